//! From a planned stage to its model: only the networks that some term or evaluation needs.

use candle_core::{DType, Device, Result};

use super::weight::{OfClasses, Weight};
use super::{Model, PairedTerm, SingleTerm};
use crate::catalog::Value;
use crate::library::encoder::{Encoder, held, part};
use crate::library::loss::{Loss, Site, Term};
use crate::library::projector::Projector;
use crate::library::{self, Library};
use crate::plan::{Projection, Stage};
use crate::seed::Stream;
use crate::tensor::Params;

/// The model of `stage`, its variables drawn from the stage's own stream.
pub fn build(stage: &Stage, library: &Library, dtype: DType, device: &Device) -> Result<Model> {
    let stream = stage_stream(stage, "init");
    let params = Params::new(stream, dtype, device.clone()).freezing(stage.frozen_networks());
    let root = params.root();
    let encoder: Box<dyn Encoder> = library::build(&library.encoders, &stage.encoder);
    let groups = stage.group_names().len();
    let mut model = Model {
        encoder: part(&*encoder, library, stage.image(), &root.pp("encoder"))?,
        projector: match &stage.projector {
            Some(Projection { call, .. }) => {
                let projector: Box<dyn Projector> = library::build(&library.projectors, call);
                let scope = root.pp("projector");
                let projector = projector.build(stage.dim, &scope)?;
                Some(if scope.is_frozen() { held(projector) } else { projector })
            }
            None => None,
        },
        pairs: Vec::new(),
        singles: Vec::new(),
        classes: stage.data.classes.of_fine.clone(),
        group_sizes: vec![0; groups],
        params,
    };
    for declared in &stage.terms {
        let loss: Box<dyn Loss> = library::build(&library.losses, &declared.call);
        let site = Site {
            library,
            dim: declared.on.map_or(stage.dim, |slice| slice.width),
            image: stage.image(),
            classes: declared.classes.names.len(),
            groups,
        };
        let (name, weight) =
            (declared.name.clone(), Weight::new(&declared.weight, &stage.horizon()));
        let (of_classes, on) = (OfClasses::new(&declared.call), declared.on);
        match loss.build(&site, &root.pp("loss").pp(&name))? {
            Term::Pairwise(parts) => {
                let temperature = match declared.call.value("temperature") {
                    Some(Value::Course(course)) => Some(course.clone()),
                    _ => None,
                };
                model.pairs.push(PairedTerm { name, on, weight, of_classes, temperature, parts });
            }
            Term::Single(term) => {
                let classes = declared.classes.of_fine.clone();
                model.singles.push(SingleTerm { name, on, weight, of_classes, classes, term });
            }
        }
    }
    // What sees the same part is compared together.
    let order: Vec<_> = model.pairs.iter().map(|paired| paired.on).collect();
    model.pairs.sort_by_key(|paired| order.iter().position(|on| *on == paired.on));
    Ok(model)
}

/// The random numbers of a stage for one purpose: addressed by its trial's seed, or by what that
/// purpose is pinned to, and by its name.
pub fn stage_stream(stage: &Stage, purpose: &str) -> Stream {
    let root = stage.pins.get(purpose).copied().unwrap_or(stage.seed);
    Stream::new(root).named("stage").named(&stage.name).named(purpose)
}
