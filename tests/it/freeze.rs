//! Networks that are not trained.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use balance::graph::{Batch, build};
use balance::library::Library;
use balance::nn::Mode;
use balance::plan::Stage;
use balance::seed::Stream;
use candle_core::{DType, Device, Tensor};

use crate::lab::{Act, Lab, Watch, assert_same};
use crate::numeric::values;
use crate::worked::plan_of;

/// Everything that could change a frozen network: weight decay, batch statistics, dropout, power
/// iteration, and an average.
const TEXT: &str = r#"
edition 1

experiment two {
  data = digits(labels=coarse, val=10%, test=25%, train=160 samples)
  views = 2
  train { optimizer = adamw(lr=3e-2, weight_decay=0.5); batch = 48; for = 2 epochs }
  encoder = concat(
    a=resnet(depth=8, width=4),
    b=concat(a=vit(patch=4, dim=8, depth=1, heads=2, dropout=50%), b=mlp(widths=[8], out=8, lipschitz=1.0)),
  )
  stage contrast { loss { sup = supcon(); class = cross_entropy() } }
  stage tune {
    encoder = contrast.encoder
    projector = mlp_projector(hidden=8, out=8)
    loss { sup = supcon(); class = cross_entropy(labels=fine) }
    train { freeze = [encoder]; ema = 0.9; clip = 1 }
  }
  eval { near = knn(on=tune.encoder, labels=fine) }
}
"#;

type State = BTreeMap<String, Vec<f32>>;

/// The kept state of a training.
fn kept(folder: &Path) -> State {
    let bytes = fs::read(folder.join("checkpoint.safetensors")).unwrap();
    let all = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).unwrap();
    let values = |tensor: Tensor| tensor.flatten_all().unwrap().to_vec1().unwrap();
    let model = all.into_iter().filter(|(name, _)| name.starts_with("model/"));
    model.map(|(name, tensor)| (name["model/".len()..].to_owned(), values(tensor))).collect()
}

/// The names of what differs.
fn changed(before: &State, after: &State) -> Vec<String> {
    let differs = |name: &&String| before.get(*name) != after.get(*name);
    before.keys().filter(differs).cloned().collect()
}

fn encoder_of(state: State) -> State {
    state.into_iter().filter(|(name, _)| name.starts_with("encoder.")).collect()
}

/// What a training that freezes `networks` changes of the encoder it begins with.
fn changes(networks: &str) -> Vec<String> {
    let lab = Lab::new();
    lab.complete(&TEXT.replace("freeze = [encoder]", &format!("freeze = {networks}")));
    let before = encoder_of(kept(&lab.stage("contrast")));
    assert!(before.keys().any(|name| name.ends_with("running_mean")));
    assert!(before.keys().any(|name| name.ends_with("right")));
    changed(&before, &kept(&lab.stage("tune")))
}

#[test]
fn nothing_of_a_frozen_encoder_changes_by_a_bit() {
    assert_eq!(changes("[encoder]"), Vec::<String>::new());
    let free = changes("none");
    for part in ["encoder.a.", "encoder.b.a.", "encoder.b.b."] {
        assert!(free.iter().any(|name| name.starts_with(part)), "{part}: {free:?}");
    }
    let half = changes("[encoder.b]");
    assert!(!half.is_empty() && half.iter().all(|name| name.starts_with("encoder.a.")), "{half:?}");
    let inner = changes("[encoder.a, encoder.b.a]");
    assert!(!inner.is_empty());
    assert!(inner.iter().all(|name| name.starts_with("encoder.b.b.")), "{inner:?}");
}

fn tune(text: &str) -> Stage {
    plan_of(text).stages.into_iter().find(|it| it.name == "tune").unwrap()
}

fn batch(stage: &Stage) -> Batch {
    let mut stream = Stream::new(1);
    let (rows, image) = (stage.views * 12, stage.image());
    let values: Vec<f32> = (0..rows * image.size()).map(|_| stream.normal() as f32).collect();
    let shape = (rows, image.height, image.width, image.channels);
    Batch {
        images: Tensor::from_vec(values, shape, &Device::Cpu).unwrap(),
        clean: None,
        fine: (0..12).map(|item| item % 10).collect(),
        mixed: None,
        groups: Vec::new(),
        views: stage.views,
    }
}

/// In training a frozen encoder gives what it gives in an evaluation, and what is not frozen gets
/// the gradients it would get of such embeddings.
#[test]
fn a_frozen_encoder_is_evaluated_in_training() {
    let stage = tune(TEXT);
    let model = build(&stage, &Library::standard(), DType::F32, &Device::Cpu).unwrap();
    let names: Vec<String> = model.params().vars().into_iter().map(|(name, _)| name).collect();
    assert!(
        !names.is_empty() && names.iter().all(|name| !name.starts_with("encoder")),
        "{names:?}"
    );
    let losses: Vec<f64> = (0..2)
        .map(|step| {
            let mode = Mode::Train(Stream::new(step));
            let (loss, grads) = model.gradients(batch(&stage), &mode).unwrap();
            assert!(model.params().without_gradient(&grads).is_empty());
            values(&loss.terms.iter().find(|(name, _)| name == "class").unwrap().1)[0]
        })
        .collect();
    assert_eq!(losses[0].to_bits(), losses[1].to_bits(), "dropout or recorded statistics");
}

/// A gradient passes a frozen projector on its way to the encoder.
#[test]
fn a_frozen_projector_hands_gradients_on() {
    let text = TEXT.replace("freeze = [encoder]", "freeze = [projector]");
    let stage = tune(&text.replace("; class = cross_entropy(labels=fine)", ""));
    let model = build(&stage, &Library::standard(), DType::F32, &Device::Cpu).unwrap();
    let names: Vec<String> = model.params().vars().into_iter().map(|(name, _)| name).collect();
    assert!(names.iter().all(|name| name.starts_with("encoder")), "{names:?}");
    let mode = Mode::Train(Stream::new(3));
    let (_, grads) = model.gradients(batch(&stage), &mode).unwrap();
    assert!(model.params().without_gradient(&grads).is_empty());
}

/// In chunks too, although batch normalisation that is trained could not be.
#[test]
fn chunks_of_a_frozen_encoder_have_the_gradients_of_the_batch() {
    let stage = tune(&TEXT.replace("freeze = [encoder]", "freeze = [encoder]; chunk = 5"));
    let model = build(&stage, &Library::standard(), DType::F64, &Device::Cpu).unwrap();
    let batch = || {
        let batch = batch(&stage);
        Batch { images: batch.images.to_dtype(DType::F64).unwrap(), ..batch }
    };
    let stream = Stream::new(5);
    let (_, whole) = model.gradients(batch(), &Mode::Train(stream.clone())).unwrap();
    let (_, chunks) = model.gradients_by_chunks(&batch(), 5, &stream).unwrap();
    for (name, var) in model.params().vars() {
        let difference = (whole.get(&var).unwrap() - chunks.get(&var).unwrap()).unwrap();
        let most = difference.abs().unwrap().flatten_all().unwrap().max(0).unwrap();
        assert!(most.to_scalar::<f64>().unwrap() < 1e-12, "{name}");
    }
}

#[test]
fn what_is_frozen_costs_no_way_back() {
    let (frozen, free) = (tune(TEXT), tune(&TEXT.replace("freeze = [encoder]; ", "")));
    let encoder = free.model.parameters;
    assert_eq!(frozen.cost.parameters, free.cost.parameters - encoder);
    assert_eq!(frozen.frozen.as_ref().unwrap().parameters, encoder);
    assert_eq!((frozen.model.parameters, frozen.dim), (encoder, free.dim));
    assert!(frozen.cost.flops < 0.5 * free.cost.flops);
    assert!(frozen.cost.peak_bytes < free.cost.peak_bytes);
    assert_ne!(frozen.digest, free.digest);
    let half = tune(&TEXT.replace("[encoder]", "[encoder.a]"));
    assert!(frozen.cost.flops < half.cost.flops && half.cost.flops < free.cost.flops);
    // However the whole is named.
    let parts = tune(&TEXT.replace("[encoder]", "[encoder.b, encoder.a]"));
    assert_eq!(parts.digest, frozen.digest);
}

#[test]
fn it_goes_on_with_the_same_bytes() {
    let whole = Lab::new();
    whole.complete(TEXT);
    let lab = Lab::new();
    let plan = lab.plan(TEXT);
    let mut begun = 0;
    let mut watch = Watch::reacting(|event| {
        begun += usize::from(matches!(event, balance::run::Event::Step { step: 3, .. }));
        if begun == 2 { Act::Stop } else { Act::GoOn }
    });
    assert!(lab.run(&plan, &mut watch).stopped);
    lab.complete(TEXT);
    assert_same(&whole.contents(), &lab.contents());
}
