//! What a network is said to cost, against the network: parameters, buffers and shapes exactly.

use balance::catalog::{
    Bound, ImageShape, Kind, Misfit, Network as Layers, Place, Port, Spec, Type, Value,
};
use balance::component;
use balance::graph::build;
use balance::library::Library;
use balance::library::decoder::{DECODERS, Decoder};
use balance::library::encoder::{ENCODERS, Network};
use balance::library::loss::{LOSSES, Site};
use balance::library::optimizer::OPTIMIZERS;
use balance::library::projector::PROJECTORS;
use balance::nn::Mode;
use balance::seed::Stream;
use balance::tensor::{Params, Scope};
use candle_core::{DType, Device, Result, Var};

use crate::networks::{IMAGES, variants};
use crate::numeric::normal;
use crate::worked::{Asked, catalog, plan_of, work_with};

/// Width of the embeddings decoders and terms are given.
const DIM: usize = 6;
const CLASSES: usize = 5;

fn place(image: ImageShape) -> Place {
    Place { image, dim: DIM, classes: CLASSES, train: 100 }
}

fn params() -> Params {
    Params::new(Stream::new(0), DType::F32, Device::Cpu)
}

#[track_caller]
fn assert_counted(layers: &Layers, params: &Params, name: &str) {
    assert_counted_besides(layers, params, name, 0);
}

/// The same but for `weights` buffers that only the data tell the number of.
fn assert_counted_besides(layers: &Layers, params: &Params, name: &str, weights: u64) {
    assert_eq!(layers.parameters(), params.count() as u64, "parameters of {name}");
    let buffers: usize = params.buffers().iter().map(|(_, var)| var.elem_count()).sum();
    assert_eq!(layers.buffers() + weights, buffers as u64, "buffers of {name}");
}

#[test]
fn encoders_are_what_they_declare() {
    for image in IMAGES {
        for entry in ENCODERS {
            for bound in variants(&entry.spec) {
                let (params, name) = (params(), format!("{bound} on {image}"));
                let layers = bound.network(&place(image)).unwrap();
                let network = (entry.build)(&bound).build(image, &params.root()).unwrap();
                assert_counted(&layers, &params, &name);
                let input = normal(&name, &[2, image.height, image.width, image.channels]);
                let input = input.to_dtype(DType::F32).unwrap();
                let output = network.forward(&input, &Mode::Eval).unwrap();
                assert_eq!(&output.dims()[1..], layers.shape(), "{name}");
            }
        }
    }
}

#[test]
fn decoders_are_what_they_declare() {
    for image in IMAGES {
        for entry in DECODERS {
            for bound in variants(&entry.spec) {
                let (params, name) = (params(), format!("{bound} to {image}"));
                let layers = bound.network(&place(image)).unwrap();
                let network = (entry.build)(&bound).build(DIM, image, &params.root()).unwrap();
                assert_counted(&layers, &params, &name);
                let input = normal(&name, &[2, DIM]).to_dtype(DType::F32).unwrap();
                let output = network.forward(&input, &Mode::Eval).unwrap();
                assert_eq!(&output.dims()[1..], layers.shape(), "{name}");
            }
        }
    }
}

#[test]
fn projectors_are_what_they_declare() {
    for entry in PROJECTORS {
        for bound in variants(&entry.spec) {
            let params = params();
            let layers = bound.network(&place(IMAGES[0])).unwrap();
            let network = (entry.build)(&bound).build(DIM, &params.root()).unwrap();
            assert_counted(&layers, &params, &bound.to_string());
            let input = normal("embeddings", &[3, DIM]).to_dtype(DType::F32).unwrap();
            let output = network.forward(&input, &Mode::Eval).unwrap();
            assert_eq!(&output.dims()[1..], layers.shape(), "{bound}");
        }
    }
}

/// Every variant of a term, with each component it needs.
fn terms(spec: &'static Spec) -> Vec<Bound> {
    let needed = spec.params.iter().find_map(|param| match (param.ty, param.default) {
        (Type::Component(kind), None) => Some((param.name, kind)),
        _ => None,
    });
    let Some((name, kind)) = needed else { return variants(spec) };
    let inner = catalog().of(kind).flat_map(variants).collect::<Vec<_>>();
    let with = |inner: &Bound| {
        let value = Value::Component(Box::new(inner.clone()));
        variants(spec).into_iter().map(move |bound| bound.with(name, value.clone()))
    };
    inner.iter().flat_map(with).collect()
}

#[test]
fn terms_train_what_they_declare() {
    let library = &Library::standard();
    for image in IMAGES {
        for entry in LOSSES {
            for bound in terms(&entry.spec) {
                let params = params();
                let site = Site { library, dim: DIM, image, classes: CLASSES, groups: 3 };
                (entry.build)(&bound).build(&site, &params.root()).unwrap();
                let layers = bound.network(&place(image)).unwrap();
                // One weight for each group.
                let reads_groups = entry.spec.needs.contains(&Port::Groups);
                let weights = if reads_groups { site.groups as u64 } else { 0 };
                assert_counted_besides(&layers, &params, &bound.to_string(), weights);
            }
        }
    }
}

#[test]
fn optimizers_keep_what_they_declare() {
    // Of what takes no steps nothing is kept between them.
    for entry in OPTIMIZERS.iter().filter(|it| !it.spec.needs.contains(&Port::Split)) {
        let bound = Bound::defaults(&entry.spec).with("lr", Value::Real(0.1));
        let var = Var::zeros(7, DType::F32, &Device::Cpu).unwrap();
        let stepper = (entry.build)(&bound).start(vec![("x".to_owned(), var)]).unwrap();
        let state = stepper.state().unwrap();
        let moments = state.values().filter(|moment| moment.elem_count() == 7).count();
        assert_eq!(moments, entry.spec.moments, "{}", entry.spec.name);
    }
}

/// So that the next component that computes something says what it costs.
#[test]
fn every_network_declares_its_layers() {
    for spec in catalog().all() {
        let computes = matches!(
            spec.kind,
            Kind::Encoder | Kind::Projector | Kind::Decoder | Kind::Loss | Kind::Evaluation
        );
        assert_eq!(computes, spec.network.is_some(), "layers of `{}`", spec.name);
        assert_eq!(spec.kind == Kind::Optimizer, spec.moments > 0, "moments of `{}`", spec.name);
    }
}

/// Every example of a component that trains, as a whole model.
#[test]
fn a_planned_stage_is_the_model_that_is_built() {
    let library = Library::standard();
    let mut count = 0;
    for spec in catalog().all() {
        for example in spec.examples() {
            let worked = work_with(&library, &[("a.exp", &example)], &Asked::default());
            for stage in worked.plans.iter().flat_map(|plan| &plan.stages) {
                count += 1;
                let model = build(stage, &library, DType::F32, &Device::Cpu).unwrap();
                assert_eq!(stage.cost.parameters, model.params().count() as u64, "{example}");
                let encoder = model.params().vars().into_iter();
                let encoder = encoder.filter(|(name, _)| name.starts_with("encoder."));
                let encoder: usize = encoder.map(|(_, var)| var.elem_count()).sum();
                assert_eq!(stage.model.parameters, encoder as u64, "{example}");
            }
        }
    }
    assert!(count > 20, "{count} stages");
}

/// The encoder of the paper.
#[test]
fn the_transformer_of_the_paper_is_as_large_as_published() {
    let vit = ENCODERS.iter().find(|entry| entry.spec.name == "vit").unwrap();
    let image = ImageShape { height: 32, width: 32, channels: 3 };
    let on = |pool: &str| {
        let bound = Bound::defaults(&vit.spec).with("pool", Value::Word(pool.to_owned()));
        bound.network(&place(image)).unwrap()
    };
    let layers = on("mean");
    assert_eq!(layers.parameters(), 3_254_784);
    assert_eq!(layers.tokens, Some(65));
    // Patches, then 7 blocks of queries, keys and values, attention, and two feed-forward layers.
    let block = 65 * 256 * 768 + 2 * 65 * 65 * 256 + 2 * 65 * 256 * 512;
    assert_eq!(layers.forward_flops(), 2 * (64 * 48 * 256 + 7 * block));
    // Where the class token alone is read, it alone asks in the last block, and the last feed-forward
    // layers see nothing else.
    let spared = 2 * 64 * (256 * 256 + 2 * 65 * 256 + 2 * 256 * 512);
    assert_eq!(on("cls").forward_flops(), layers.forward_flops() - spared);
}

/// 0.56 billion multiplications, as is often published (and the classifier's besides).
#[test]
fn a_residual_network_multiplies_as_often_as_published() {
    let resnet = ENCODERS.iter().find(|entry| entry.spec.name == "resnet").unwrap();
    let image = ImageShape { height: 32, width: 32, channels: 3 };
    let layers = Bound::defaults(&resnet.spec).network(&place(image)).unwrap();
    assert_eq!(layers.parameters(), 11_168_832);
    assert_eq!(layers.forward_flops() / 2, 555_417_600);
}

#[test]
fn a_training_goes_there_and_back_with_every_image() {
    let text = |views: usize, rest: &str| {
        format!(
            "edition 1\nexperiment counted {{\n  data = digits(labels=coarse, test=20%)\n  \
             encoder = mlp(widths=[], out=10)\n  views = {views}\n  \
             loss {{ {rest} }}\n  train {{ optimizer = sgd(lr=0.1); batch = 100; for = 3 epochs }}\n  \
             eval {{ fine = linear(labels=fine, for=2 epochs) }}\n}}\n"
        )
    };
    let plan = plan_of(&text(1, "class = cross_entropy()"));
    let stage = &plan.stages[0];
    let train = stage.data.division.train as f64;
    let forward = 2.0 * (64.0 * 10.0 + 10.0 * 2.0);
    assert_eq!(stage.model.forward_flops, 2 * 64 * 10);
    assert_eq!(stage.cost.flops, 3.0 * 3.0 * train * forward);
    // A probe is trained on embeddings that are computed once.
    let evaluation = &plan.evaluations[0];
    let division = &stage.data.division;
    let images = (division.train + division.val + division.test) as f64;
    let probe = 2.0 * 10.0 * 10.0;
    let expected = images * 2.0 * 640.0 + (3.0 * 2.0 * train + images) * probe;
    assert_eq!(evaluation.cost.flops, expected);
    assert_eq!(evaluation.cost.parameters, 110);

    // Terms that see embeddings in the same way compare them once.
    let flops = |terms: &str| plan_of(&text(2, terms)).stages[0].cost.flops;
    let one = flops("sup = supcon()");
    assert_eq!(flops("sup = supcon(); cnce = class_infonce()"), one);
    assert!(flops("sup = supcon(); cnce = class_infonce(normalize=false)") > one);
}

component! {
    /// A decoder of one image size.
    ///
    /// ```exp
    /// edition 1
    /// ```
    Decoder as dyn Decoder, version 1, network network;
    postage_stamp => PostageStamp {}
}

fn network(_: &PostageStamp, place: &Place) -> std::result::Result<Layers, Misfit> {
    Err(Misfit {
        param: None,
        message: format!("stamps are 20 x 20, and images are {}", place.image),
        label: "makes stamps alone".to_owned(),
        help: "use `mlp_decoder`".to_owned(),
    })
}

impl Decoder for PostageStamp {
    fn build(&self, _: usize, _: ImageShape, _: &Scope) -> Result<Box<dyn Network>> {
        unreachable!("the check refuses it")
    }
}

#[test]
fn a_decoder_that_cannot_make_the_image_is_refused_with_both_shapes() {
    let mut library = Library::standard();
    library.decoders.push(&ENTRY);
    let text = "edition 1\nexperiment stamps {\n  data = digits()\n  encoder = mlp(out=12)\n  \
                loss { mse = class_autoencoder(decoder=postage_stamp()) }\n  \
                train { optimizer = sgd(lr=0.1); batch = 10; for = 1 epochs }\n  \
                eval { fine = linear(labels=fine) }\n}\n";
    let worked = work_with(&library, &[("a.exp", text)], &Asked::default());
    let shown = worked.rendered();
    assert_eq!(worked.codes(), ["B0201"], "{shown}");
    for part in ["embeddings are [12]", "images are [1, 8, 8]", "makes stamps alone"] {
        assert!(shown.contains(part), "{shown}");
    }
    assert!(worked.plans.is_empty());
}
