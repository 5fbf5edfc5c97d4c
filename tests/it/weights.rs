//! Encoders that begin with the weights of a file, in the names and layouts of torchvision and timm.

use std::collections::BTreeMap;
use std::path::Path;

use balance::catalog::{ImageShape, Kind, Type, WeightsFacts};
use balance::diag::{Diagnostic, Sources, has_errors};
use balance::graph::{Model, build};
use balance::library::Library;
use balance::plan::{Plan, check};
use balance::resolve::{Options, load, resolve};
use balance::run::begin_with_weights;
use candle_core::{DType, Device, Tensor};

use crate::lab::{Lab, facts};
use crate::numeric::{difference, normal};
use crate::parity::fixture;

/// The file a fixture's weights are written to.
const FILE: &str = "weights.safetensors";

/// Writes named tensors in single precision.
fn write(path: &Path, tensors: &BTreeMap<String, Tensor>) {
    let narrow = tensors.iter().map(|(name, it)| (name, it.to_dtype(DType::F32).unwrap()));
    let narrow: Vec<_> = narrow.collect();
    std::fs::write(path, safetensors::serialize(narrow, None).unwrap()).unwrap();
}

/// The weights of a fixture as PyTorch's `state_dict` has them, with the classifier of a whole
/// network.
fn state_dict(fixture: &BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    let weights = fixture.iter().filter_map(|(name, tensor)| {
        Some((name.strip_prefix("weight/")?.to_owned(), tensor.clone()))
    });
    let mut state: BTreeMap<_, _> = weights.collect();
    state.insert("fc.weight".to_owned(), normal("fc", &[1000, 24]));
    state.insert("fc.bias".to_owned(), normal("fc", &[1000]));
    state.insert("bn1.num_batches_tracked".to_owned(), normal("count", &[1]));
    state
}

/// The plan of an experiment with `encoder`, on images of a shape.
fn planned(lab: &Lab, encoder: &str, image: ImageShape) -> (Option<Plan>, Vec<Diagnostic>) {
    let text = format!(
        "edition 1\nexperiment begun {{\n  data = digits()\n  encoder = {encoder}\n  \
         loss {{ class = cross_entropy() }}\n  \
         train {{ optimizer = sgd(lr=0.1); batch = 10; for = 1 epochs }}\n  \
         eval {{ near = knn(labels=fine) }}\n}}\n"
    );
    let mut sources = Sources::default();
    let reader = |_: &Path| Ok(text.as_bytes().to_vec());
    let (program, found) = load(&lab.path("begun.exp"), &mut sources, &reader);
    assert!(found.is_empty(), "{found:?}");
    let (designs, found) = resolve(&program, &lab.library.catalog(), &Options::default());
    assert!(found.is_empty(), "{found:?}");
    let mut facts = facts(&lab.library, &[], &lab.path("data"));
    facts.datasets.get_mut("digits").unwrap().image = image;
    let encoder = &designs[0].cells[0].experiment.stages[0].encoder.bound;
    let path = encoder.weights().unwrap().path.clone();
    let known = balance::data::weights(Path::new(&path));
    let known = known.map(|it| WeightsFacts { digest: it.digest, tensors: it.tensors });
    facts.weights.insert(path, known);
    check(&designs[0], &facts, None)
}

/// The model of the only stage of `plan`, before its first step.
fn begun(plan: &Plan) -> Model {
    let (stage, library) = (&plan.stages[0], Library::standard());
    let model = build(stage, &library, DType::F32, &Device::Cpu).unwrap();
    begin_with_weights(stage, &library, &model).unwrap();
    model
}

#[test]
fn a_file_of_pytorchs_gives_the_features_of_pytorch() {
    let init = format!("init=weights({FILE:?})");
    for (case, encoder, [height, width]) in [
        ("resnet18", "resnet(width=3, INIT)", [16, 16]),
        ("resnet8_group", "resnet(depth=8, width=3, norm=group, groups=3, INIT)", [9, 9]),
        ("resnet50", "resnet(depth=50, width=2, stem=imagenet, INIT)", [33, 33]),
        ("wide_resnet", "wide_resnet(depth=10, widen=1, INIT)", [8, 8]),
        ("cnn", "cnn(widths=[4, 6], out=5, INIT)", [9, 11]),
        ("cnn_bias", "cnn(widths=[4, 6], out=5, norm=none, INIT)", [9, 11]),
        ("mlp", "mlp(widths=[7, 6], out=5, INIT)", [4, 5]),
        ("vit", "vit(dim=16, depth=2, heads=2, INIT)", [8, 8]),
        ("vit_standard", "vit(dim=16, depth=2, heads=2, form=standard, INIT)", [8, 8]),
    ] {
        let (lab, expected) = (Lab::new(), fixture(case));
        write(&lab.path(FILE), &state_dict(&expected));
        let image = ImageShape { height, width, channels: 3 };
        let (plan, found) = planned(&lab, &encoder.replace("INIT", &init), image);
        let notes = found.iter().filter(|it| it.code.number == "B0811").count();
        assert!(notes == 1 && !has_errors(&found), "{case}: {found:#?}");
        let images = expected["input"].permute((0, 2, 3, 1)).unwrap().contiguous().unwrap();
        let model = begun(&plan.unwrap());
        let features = model.embed(&images.to_dtype(DType::F32).unwrap()).unwrap();
        let deviation = difference(&features, &expected["output/eval"]);
        assert!(deviation < 1e-5, "{case}: {deviation:e}");
    }
}

#[test]
fn weights_of_another_architecture_are_refused_before_any_training() {
    let lab = Lab::new();
    write(&lab.path(FILE), &state_dict(&fixture("resnet18")));
    let image = ImageShape { height: 16, width: 16, channels: 3 };
    let init = format!("init=weights({FILE:?})");
    for (encoder, parts) in [
        ("resnet(depth=34, width=3, INIT)", ["are missing", "missing: `layer1.2.bn1.bias`"]),
        ("resnet(width=4, INIT)", ["have other shapes", "`bn1.bias` is [3], and [4] is needed"]),
        ("resnet(depth=14, width=3, INIT)", ["are left over", "`layer4.1.conv2.weight`"]),
        ("mlp(widths=[10000000000], INIT)", ["parameters", "another encoder"]),
        ("vit(INIT)", ["are missing", "`blocks.0.norm1.weight`"]),
    ] {
        let (plan, found) = planned(&lab, &encoder.replace("INIT", &init), image);
        assert!(plan.is_none() && found.len() == 1, "{encoder}: {found:?}");
        assert_eq!(found[0].code.number, "B0810");
        for part in parts {
            assert!(format!("{:?}", found[0]).contains(part), "{encoder}: {found:#?}");
        }
    }
}

#[test]
fn the_content_of_the_file_is_the_address_of_the_training() {
    let lab = Lab::new();
    let image = ImageShape { height: 16, width: 16, channels: 3 };
    let digest = |name: &str, change: f64| {
        let mut state = state_dict(&fixture("resnet18"));
        let changed = state["conv1.weight"].affine(1.0, change).unwrap();
        state.insert("conv1.weight".to_owned(), changed);
        write(&lab.path(name), &state);
        let encoder = format!("resnet(width=3, init=weights({name:?}))");
        let plan = planned(&lab, &encoder, image).0.unwrap();
        plan.stages[0].digest.clone()
    };
    let first = digest("a.safetensors", 0.0);
    assert_eq!(first, digest("b.safetensors", 0.0));
    assert_ne!(first, digest("a.safetensors", 0.5));
}

#[test]
fn a_file_that_changes_after_planning_is_not_used() {
    let lab = Lab::new();
    let image = ImageShape { height: 16, width: 16, channels: 3 };
    let mut state = state_dict(&fixture("resnet18"));
    write(&lab.path(FILE), &state);
    let plan = planned(&lab, &format!("resnet(width=3, init=weights({FILE:?}))"), image).0.unwrap();
    state.insert("fc.bias".to_owned(), normal("another", &[1000]));
    write(&lab.path(FILE), &state);
    let (stage, library) = (&plan.stages[0], Library::standard());
    let model = build(stage, &library, DType::F32, &Device::Cpu).unwrap();
    let error = begin_with_weights(stage, &library, &model).unwrap_err();
    assert!(format!("{error:?}").contains("was changed"), "{error:?}");
}

#[test]
fn weights_that_are_not_finite_are_told_by_name() {
    let lab = Lab::new();
    let image = ImageShape { height: 16, width: 16, channels: 3 };
    let mut state = state_dict(&fixture("resnet18"));
    let bad = (state["conv1.weight"].clone() / 0.0).unwrap();
    state.insert("conv1.weight".to_owned(), bad);
    write(&lab.path(FILE), &state);
    let encoder = format!("resnet(width=3, init=weights({FILE:?}))");
    let plan = planned(&lab, &encoder, image).0.unwrap();
    let (stage, library) = (&plan.stages[0], Library::standard());
    let model = build(stage, &library, DType::F32, &Device::Cpu).unwrap();
    let error = begin_with_weights(stage, &library, &model).unwrap_err();
    assert!(format!("{error:?}").contains("`conv1.weight` is not finite"), "{error:?}");
}

/// Random weights of `resnet(depth=8, width=4)` for digits.
fn resnet_for_digits() -> BTreeMap<String, Tensor> {
    let catalog = Library::standard().catalog();
    let resnet = catalog.named("resnet")[0];
    let bound = balance::catalog::Bound::defaults(resnet);
    let int = balance::catalog::Value::Int;
    let bound = bound.with("depth", int(8)).with("width", int(4));
    let tensors = bound.stored(ImageShape { height: 8, width: 8, channels: 1 }).unwrap();
    let drawn = |(name, shape): (String, Vec<usize>)| {
        let values = normal(&name, &shape).affine(0.1, 1.0).unwrap();
        (name, values)
    };
    tensors.into_iter().map(drawn).collect()
}

#[test]
fn the_program_trains_on_from_a_file_and_says_what_is_wrong_with_another() {
    let lab = Lab::new();
    let text = "edition 1\nexperiment on {\n  data = digits()\n  \
                encoder = resnet(depth=8, width=4, init=weights(\"files/resnet8.safetensors\"))\n  \
                loss { class = cross_entropy() }\n  \
                train { optimizer = sgd(lr=1e-12); batch = 64; for = 1 steps }\n  \
                eval { near = knn(labels=fine) }\n}\n";
    lab.file("on.exp", text);
    let missing = lab.say(&["run", "on.exp"]);
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert!(missing.err.contains("there is no such file"), "{missing:?}");

    let weights = resnet_for_digits();
    std::fs::create_dir(lab.path("files")).unwrap();
    write(&lab.path("files/resnet8.safetensors"), &weights);
    let run = lab.say(&["run", "on.exp"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let checkpoint = lab.stage("main").join("checkpoint.safetensors");
    let trained = candle_core::safetensors::load(checkpoint, &Device::Cpu).unwrap();
    let ours = &trained["model/encoder.layer2.0.conv1.weight"];
    let theirs = weights["layer2.0.conv1.weight"].permute((2, 3, 1, 0)).unwrap();
    assert!(difference(ours, &theirs) < 1e-7);

    std::fs::write(lab.path("files/resnet8.safetensors"), "no tensors").unwrap();
    let spoilt = lab.say(&["check", "on.exp"]);
    assert_eq!(spoilt.code, Some(1), "{spoilt:?}");
    assert!(spoilt.err.contains("not a whole safetensors file"), "{spoilt:?}");
}

/// So that the next encoder can begin with a file too.
#[test]
fn every_encoder_can_begin_with_a_file() {
    for spec in Library::standard().catalog().of(Kind::Encoder) {
        // What is made of encoders begins with what they begin with.
        if spec.params.iter().any(|param| param.ty == Type::Component(Kind::Encoder)) {
            continue;
        }
        assert!(spec.param("init").is_some() && spec.stored.is_some(), "{}", spec.name);
    }
}
