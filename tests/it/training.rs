//! What a training does beside the plain step, against what it should come to.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use balance::graph::{Batch, build};
use balance::library::Library;
use balance::nn::Mode;
use balance::seed::Stream;
use candle_core::{DType, Device, Tensor};

use crate::lab::Lab;
use crate::numeric::normal;
use crate::worked::plan_of;

/// A short training without chance in its model; `parts` are replaced.
fn text(parts: &[(&str, &str)]) -> String {
    let mut text = r#"
edition 1
experiment one {
  data = digits(labels=coarse, val=10%, test=25%, train=150 samples)
  train { optimizer = sgd(lr=0.1); batch = 50; for = 1 steps }
  encoder = mlp(widths=[16], out=8)
  loss { class = cross_entropy() }
  eval { near = knn(labels=fine) }
}
"#
    .to_owned();
    for (old, new) in parts {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    text
}

type Values = BTreeMap<String, Vec<f64>>;

/// The kept state of the only training of `text`.
fn trained(text: &str) -> Values {
    let lab = Lab::new();
    lab.complete(text);
    kept(&lab.stage("main"))
}

fn kept(folder: &Path) -> Values {
    let bytes = fs::read(folder.join("checkpoint.safetensors")).unwrap();
    let all = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).unwrap();
    let model = all.into_iter().filter_map(|(name, tensor)| {
        Some((name.strip_prefix("model/")?.to_owned(), numbers(&tensor)))
    });
    model.collect()
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// The weights before the first step of `text`.
fn initial(text: &str) -> Values {
    let model =
        build(&plan_of(text).stages[0], &Library::standard(), DType::F32, &Device::Cpu).unwrap();
    let state = model.params().state().unwrap();
    state.iter().map(|(name, tensor)| (name.clone(), numbers(tensor))).collect()
}

/// `a + share * (b - a)`
fn between(a: &Values, b: &Values, share: f64) -> Values {
    let mix = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a + share * (b - a)).collect();
    a.iter().map(|(name, a)| (name.clone(), mix(a, &b[name]))).collect()
}

fn length(values: &Values) -> f64 {
    values.values().flatten().map(|it| it * it).sum::<f64>().sqrt()
}

fn apart(a: &Values, b: &Values) -> f64 {
    let differences = a.iter().flat_map(|(name, a)| a.iter().zip(&b[name]));
    differences.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

fn step(text: &str) -> Values {
    let (before, after) = (initial(text), trained(text));
    let change = |name: &String, after: &[f64]| {
        after.iter().zip(&before[name]).map(|(after, before)| after - before).collect()
    };
    after.iter().map(|(name, after)| (name.clone(), change(name, after))).collect()
}

#[test]
fn a_long_gradient_is_cut_to_its_bound_and_keeps_its_direction() {
    let free = step(&text(&[]));
    let norm = length(&free) / 0.1;
    let cut = step(&text(&[("batch = 50", "batch = 50; clip = 0.01")]));
    assert!(norm > 0.02, "{norm}");
    assert!((length(&cut) / 0.1 - 0.01).abs() < 1e-5, "{}", length(&cut));
    let zero = between(&free, &free, 0.0).into_iter().map(|(n, v)| (n, vec![0.0; v.len()]));
    let expected = between(&zero.collect(), &free, 0.01 / norm);
    assert!(apart(&cut, &expected) < 1e-7);
    // A bound that is not reached changes nothing.
    let wide = text(&[("batch = 50", "batch = 50; clip = 1e3")]);
    assert_eq!(trained(&wide), trained(&text(&[])));
}

#[test]
fn pieces_add_up_to_the_batch() {
    let five = ("1 steps", "5 steps");
    let whole = trained(&text(&[five]));
    for pieces in ["2", "3", "50"] {
        let piece = format!("batch = 50; accumulate = {pieces}");
        let pieces = trained(&text(&[five, ("batch = 50", &piece)]));
        assert!(apart(&whole, &pieces) < 2e-6, "{}", apart(&whole, &pieces));
        assert!(length(&whole) > 1.0);
    }
}

/// With batch normalisation, whose statistics are averaged too.
const NORMALISED: (&str, &str) = ("mlp(widths=[16], out=8)", "resnet(depth=8, width=4)");

#[test]
fn the_moving_average_is_evaluated() {
    let steps = |count: usize| {
        let length = format!("{count} steps");
        trained(&text(&[NORMALISED, ("1 steps", &length)]))
    };
    // The first weights are taken as they are.
    let mut expected = steps(1);
    for count in 2..5 {
        expected = between(&expected, &steps(count), 0.1);
    }
    let ema = ("batch = 50", "batch = 50; ema = 0.9");
    let found = trained(&text(&[NORMALISED, ("1 steps", "4 steps"), ema]));
    assert!(apart(&found, &expected) < 1e-6, "{}", apart(&found, &expected));
    assert!(apart(&found, &steps(4)) > 1e-3);
}

#[test]
fn the_mean_over_ends_of_epochs_is_evaluated() {
    let epochs = |count: usize| {
        let length = format!("{count} epochs");
        trained(&text(&[NORMALISED, ("1 steps", &length)]))
    };
    let swa = ("batch = 50", "batch = 50; swa = 1 epochs");
    let found = trained(&text(&[NORMALISED, ("1 steps", "3 epochs"), swa]));
    let expected = between(&epochs(2), &epochs(3), 0.5);
    assert!(apart(&found, &expected) < 1e-6, "{}", apart(&found, &expected));
}

#[test]
fn the_best_state_is_one_of_the_average() {
    let train = "batch = 50; ema = 0.7";
    let best = format!("{train}; keep = best(val.class.accuracy)");
    let lab = Lab::new();
    let rate = ("lr=0.1", "lr=1.5");
    lab.complete(&text(&[rate, ("1 steps", "8 epochs"), ("batch = 50", &best)]));
    let result: serde_json::Value =
        serde_json::from_slice(&fs::read(lab.stage("main").join("result.json")).unwrap()).unwrap();
    let epoch = result["best"]["epoch"].as_u64().unwrap();
    assert!((1..8).contains(&epoch), "the case shows nothing when the last state is the best");
    let length = format!("{epoch} epochs");
    let there = trained(&text(&[rate, ("1 steps", &length), ("batch = 50", train)]));
    assert_eq!(kept(&lab.stage("main")), there);
}

/// A transform that notes which numbers it is given.
mod noted {
    use std::sync::Mutex;

    use balance::component;
    use balance::library::augment::{Augment, ChannelStats, Image};
    use balance::seed::Stream;

    /// One test uses it.
    pub static SEEN: Mutex<Vec<u64>> = Mutex::new(Vec::new());

    component! {
        /// Notes a number for each image.
        Augment as dyn Augment, version 1;
        noted => Noted {}
    }

    impl Augment for Noted {
        fn apply(&self, _image: &mut Image, _stats: &ChannelStats, mut stream: Stream) {
            SEEN.lock().unwrap().push(stream.bits());
        }
    }
}

#[test]
fn an_image_that_comes_again_is_augmented_anew() {
    let mut lab = Lab::new();
    lab.library.augments.push(&noted::ENTRY);
    // Five images of the one class are drawn ten times a batch.
    lab.complete(&text(&[
        (
            "labels=coarse",
            "labels=group({ \"one\" = [0], \"other\" = [1, 2, 3, 4, 5, 6, 7, 8, 9] })",
        ),
        ("train=150 samples", "train=50 samples"),
        ("batch = 50", "batch = 20; sampler = balanced(by=class)"),
        ("1 steps", "1 epochs"),
        ("encoder =", "augment { noted = noted() }\n  encoder ="),
    ]));
    let mut seen = noted::SEEN.lock().unwrap().clone();
    assert_eq!(seen.len(), 60);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 60);
}

/// Terms of both sorts: those that compare all of a batch, and means.
const CHUNKED: &str = r#"
edition 1
experiment large {
  data = digits(labels=coarse)
  views = 2
  encoder = ENCODER
  projector = mlp_projector(hidden=9, out=5, batch_norm=true)
  loss {
    supcon = 0.7 * supcon()
    cnce = 0.4 * class_infonce()
    class = 0.5 * cross_entropy()
    weighed = 0.2 * cross_entropy(class_weights=[1, 3])
    image = 0.3 * class_autoencoder(decoder=mlp_decoder())
  }
  train { optimizer = adamw(lr=1e-3); batch = 22; chunk = 6; for = 1 epochs }
  eval { fine = linear(labels=fine) }
}
"#;

/// A transformer without dropout.
const STILL: &str = "vit(patch=4, dim=8, depth=2, heads=2, dropout=0%, head_dropout=0%, \
                     drop_path=0%, embed_dropout=0%)";

fn batch(items: usize) -> Batch {
    let images = normal("images", &[2 * items, 8, 8, 1]);
    let fine = (0..items as u32).map(|item| item * 7 % 10).collect();
    Batch { images, clean: None, fine, groups: Vec::new(), views: 2, mixed: None }
}

fn model(encoder: &str) -> balance::graph::Model {
    let plan = plan_of(&CHUNKED.replace("ENCODER", encoder));
    build(&plan.stages[0], &Library::standard(), DType::F64, &Device::Cpu).unwrap()
}

#[test]
fn chunks_have_the_gradient_of_the_whole_batch() {
    for encoder in ["mlp(widths=[16], out=8)", "mlp(widths=[16], out=8, lipschitz=2)", STILL] {
        let model = model(encoder);
        let start = model.params().state().unwrap();
        let (whole, grads) = model.gradients(batch(22), &Mode::Train(Stream::new(1))).unwrap();
        for chunk in [1, 6, 7, 21] {
            // A bounded layer keeps a vector that each step moves.
            model.params().restore(&start).unwrap();
            let (cached, found) =
                model.gradients_by_chunks(&batch(22), chunk, &Stream::new(1)).unwrap();
            let total = numbers(&whole.total)[0];
            assert!((numbers(&cached.total)[0] - total).abs() < 1e-12 * total.abs());
            for ((name, value), (other, expected)) in cached.terms.iter().zip(&whole.terms) {
                assert_eq!(name, other);
                let (value, expected) = (numbers(value)[0], numbers(expected)[0]);
                assert!((value - expected).abs() < 1e-12, "{name}: {value} is not {expected}");
            }
            for (name, var) in model.params().vars() {
                let (found, expected) =
                    (numbers(found.get(&var).unwrap()), numbers(grads.get(&var).unwrap()));
                let most = expected.iter().fold(1e-3f64, |most, it| most.max(it.abs()));
                for (found, expected) in found.iter().zip(expected) {
                    assert!((found - expected).abs() < 1e-10 * most, "{name} by {chunk}");
                }
            }
        }
    }
}

/// Were other numbers dropped in the second pass, the gradient would be of another loss.
#[test]
fn both_passes_drop_the_same_numbers() {
    let model = model("vit(patch=4, dim=8, depth=1, heads=2, dropout=30%)");
    let loss = || {
        let (loss, _) = model.gradients_by_chunks(&batch(10), 4, &Stream::new(1)).unwrap();
        numbers(&loss.total)[0]
    };
    let (_, grads) = model.gradients_by_chunks(&batch(10), 4, &Stream::new(1)).unwrap();
    for (name, var) in model.params().vars() {
        let (before, slope) = (var.copy().unwrap(), grads.get(&var).unwrap());
        let along = (slope / numbers(&slope.sqr().unwrap().sum_all().unwrap())[0].sqrt()).unwrap();
        let mut ends = [1e-5, -1e-5].map(|way| {
            var.set(&(&before + (&along * way).unwrap()).unwrap()).unwrap();
            loss()
        });
        var.set(&before).unwrap();
        ends[0] = (ends[0] - ends[1]) / 2e-5;
        let expected = numbers(&slope.sqr().unwrap().sum_all().unwrap())[0].sqrt();
        assert!(
            (ends[0] - expected).abs() < 1e-5 * (1.0 + expected),
            "{name}: {ends:?} {expected}"
        );
    }
}
