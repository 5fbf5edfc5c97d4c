//! The terms of a stage on embeddings that are given, without a network.

use candle_core::{DType, Device, Result, Tensor, Var, bail};

use super::weight::OfClasses;
use crate::catalog::Value;
use crate::kernel::contrastive_weighted;
use crate::library::loss::{Loss, Site, Term as Built};
use crate::library::{self, Library};
use crate::plan::{Stage, Term};
use crate::tensor::Params;

/// What a term comes to.
pub struct OnGiven {
    pub name: String,
    /// Its weight in the first step.
    pub weight: f64,
    /// The value before the weight, and its gradient by the embeddings; none for a term that has
    /// weights of its own to train.
    pub computed: Option<(f64, Tensor)>,
}

/// The terms of `stage` in its first step. `embeddings` [V·B,D] (f64) holds item i of view v in row
/// v·B + i; `labels` has the class of each item.
///
/// # Errors
/// When a term needs more views, or a positive that is not there.
pub fn on_given(
    stage: &Stage,
    library: &Library,
    embeddings: &Tensor,
    labels: &[u32],
) -> Result<Vec<OnGiven>> {
    // Doubles are numbers of the CPU alone.
    let embeddings = embeddings.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
    let embeddings = Var::from_tensor(&embeddings)?;
    let one = |term: &Term| {
        let computed = value(stage, library, term, &embeddings, labels)?;
        let weight = term.weight.at(0, &stage.horizon());
        Ok(OnGiven { name: term.name.clone(), weight, computed })
    };
    stage.terms.iter().map(one).collect()
}

fn value(
    stage: &Stage,
    library: &Library,
    term: &Term,
    embeddings: &Var,
    labels: &[u32],
) -> Result<Option<(f64, Tensor)>> {
    let (rows, dim) = embeddings.dims2()?;
    let loss: Box<dyn Loss> = library::build(&library.losses, &term.call);
    let params =
        Params::new(super::stage_stream(stage, "init"), DType::F64, embeddings.device().clone());
    let groups = stage.group_names().len();
    let classes = term.classes.names.len();
    let site = Site { library, dim, image: stage.image(), classes, groups };
    let Built::Pairwise(mut parts) = loss.build(&site, &params.root())? else { return Ok(None) };
    if let Some(Value::Course(course)) = term.call.value("temperature") {
        let temperature = course.at(0, &stage.horizon());
        parts.iter_mut().for_each(|part| part.temperature = temperature);
    }
    let weights = vec![of_items(term, labels)?; parts.len()];
    let views = rows / labels.len().max(1);
    let (total, _) = contrastive_weighted(embeddings, labels, views, &parts, &weights)?;
    let gradients = total.backward()?;
    let gradient = match gradients.get(embeddings) {
        Some(gradient) => gradient.clone(),
        None => embeddings.zeros_like()?,
    };
    Ok(Some((total.to_scalar::<f64>()?, gradient)))
}

/// The weights of the classes, by item.
fn of_items(term: &Term, labels: &[u32]) -> Result<Option<Vec<f64>>> {
    let mut of_classes = OfClasses::new(&term.call);
    of_classes.balance(labels);
    let most = labels.iter().max().map_or(0, |most| *most as usize + 1);
    match of_classes.by_class() {
        Some(weights) if weights.len() < most => {
            bail!("`{}` weighs {} classes, and there are {most}", term.name, weights.len())
        }
        _ => Ok(of_classes.of_items(labels)),
    }
}
