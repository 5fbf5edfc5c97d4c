//! What a run means, exactly: which images are seen when, which state is kept, what is trained once,
//! and what a failure takes with it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use balance::graph::build;
use balance::library::eval::Split;
use balance::run::{Event, Outcome, Pool, Tally, Trained};
use candle_core::{DType, Device, Tensor};

use crate::lab::{Act, Lab, Watch, survive};

/// One stage with a classifier; `parts` are replaced.
fn text(parts: &[(&str, &str)]) -> String {
    let mut text = r#"
edition 1
param k: int = 5
param rate: positive = 3e-3
experiment one {
  data = digits(labels=coarse, val=10%, test=25%, train=200 samples)
  augment { norm = normalize() }
  train { optimizer = adamw(lr=rate); batch = 64; for = 5 epochs }
  stage main {
    encoder = mlp(widths=[32], out=16)
    loss { class = 1.0 * cross_entropy() }
  }
  eval { near = knn(on=main.encoder, labels=fine, k=k) }
}
"#
    .to_owned();
    for (old, new) in parts {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    text
}

fn score(outcome: &Outcome, trial: usize, evaluation: &str, split: &str) -> f64 {
    let evaluated = outcome.trials[trial].evaluations.iter().flatten();
    let evaluated = evaluated.into_iter().find(|it| it.evaluation == evaluation).unwrap();
    evaluated.scores.iter().find(|it| it.split == split).unwrap().value
}

fn log(folder: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn trained(folder: &Path) -> Trained {
    serde_json::from_slice(&fs::read(folder.join("result.json")).unwrap()).unwrap()
}

/// The tensors of a checkpoint whose names begin with `part/`.
fn state(folder: &Path, part: &str) -> BTreeMap<String, Tensor> {
    let bytes = fs::read(folder.join("checkpoint.safetensors")).unwrap();
    let all = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).unwrap();
    let of_part = all.into_iter().filter_map(|(name, tensor)| {
        Some((name.strip_prefix(part)?.strip_prefix('/')?.to_owned(), tensor))
    });
    of_part.collect()
}

fn values(state: &BTreeMap<String, Tensor>) -> BTreeMap<&String, Vec<f32>> {
    let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1().unwrap();
    state.iter().map(|(name, tensor)| (name, values(tensor))).collect()
}

/// Transforms that make every image black.
mod black {
    pub mod at_random {
        use balance::component;
        use balance::library::augment::{Augment, ChannelStats, Image};
        use balance::seed::Stream;

        component! {
            /// Makes an image black, by chance.
            Augment as dyn Augment, version 1;
            black => Black {}
        }

        impl Augment for Black {
            fn apply(&self, image: &mut Image, _stats: &ChannelStats, _stream: Stream) {
                super::super::APPLIED.fetch_add(1, super::super::Ordering::Relaxed);
                image.values.fill(0.0);
            }
        }
    }

    pub mod always {
        use balance::component;
        use balance::library::augment::{Augment, ChannelStats, Image};
        use balance::seed::Stream;

        component! {
            /// Makes an image black, by rule.
            Augment as dyn Augment, version 1, fixed true;
            pitch_black => Black {}
        }

        impl Augment for Black {
            fn apply(&self, image: &mut Image, _stats: &ChannelStats, _stream: Stream) {
                image.values.fill(0.0);
            }
        }
    }
}

/// How many images were made black by chance; one test uses it.
static APPLIED: AtomicUsize = AtomicUsize::new(0);

#[test]
fn evaluations_see_the_fixed_transforms_and_no_others() {
    let mut lab = Lab::new();
    lab.library.augments.extend([&black::at_random::ENTRY, &black::always::ENTRY]);
    let near = |transform: &str| {
        let augment = format!("augment {{ dark = {transform}() }}");
        let text = text(&[("augment { norm = normalize() }", &augment)]);
        score(&lab.complete(&text)[0], 0, "near", "test")
    };
    // An encoder that learned nothing still keeps images apart, as long as it sees them.
    assert!(near("black") > 0.7);
    // Each of five epochs has every image once, in the one view that cross-entropy needs.
    assert_eq!(APPLIED.load(Ordering::Relaxed), 5 * 200);
    assert!(near("pitch_black") < 0.2);

    let text = text(&[
        ("augment { norm = normalize() }", "augment { dark = black() }"),
        ("batch = 64", "batch = 64; drop_last = true"),
    ]);
    lab.complete(&text);
    assert_eq!(APPLIED.load(Ordering::Relaxed), 5 * 200 + 5 * 192);
}

#[test]
fn the_last_batch_of_an_epoch_is_smaller_or_left_out() {
    for (drop_last, items) in [(false, vec![64.0, 64.0, 64.0, 8.0]), (true, vec![64.0; 3])] {
        let lab = Lab::new();
        let batch = format!("batch = 64; drop_last = {drop_last}");
        let plan = lab.plan(&text(&[("batch = 64", &batch)]));
        let mut losses = Vec::new();
        lab.run(
            &plan,
            &mut Watch::reacting(|event| {
                if let Event::Step { loss, .. } = event {
                    losses.push(*loss);
                }
                Act::GoOn
            }),
        );
        let log = log(&lab.stage("main"));
        assert_eq!((losses.len(), log.len()), (5 * items.len(), 5));
        for (epoch, (line, losses)) in log.iter().zip(losses.chunks(items.len())).enumerate() {
            assert_eq!(line["epoch"], epoch + 1);
            assert_eq!(line["step"], (epoch + 1) * items.len());
            // A mean over items, not over batches.
            let sum: f64 = losses.iter().zip(&items).map(|(loss, items)| loss * items).sum();
            let mean = sum / items.iter().sum::<f64>();
            assert!((line["loss"].as_f64().unwrap() - mean).abs() < 1e-12);
            assert!((line["terms"]["class"].as_f64().unwrap() - mean).abs() < 1e-12);
        }
    }
}

#[test]
fn a_training_may_end_within_an_epoch() {
    let lab = Lab::new();
    lab.complete(&text(&[("5 epochs", "6 steps")]));
    let log = log(&lab.stage("main"));
    let steps: Vec<_> = log.iter().map(|line| (&line["epoch"], &line["step"])).collect();
    assert_eq!(serde_json::json!(steps), serde_json::json!([[1, 4], [2, 6]]));
    assert_eq!(trained(&lab.stage("main")).steps, 6);
}

/// Noisy enough that the best epoch is not the last one.
const KEEP: (&str, &str) = ("batch = 64", "batch = 64; keep = best(val.class.accuracy)");

#[test]
fn the_best_state_is_kept() {
    let lab = Lab::new();
    let text = text(&[KEEP, ("5 epochs", "12 epochs"), ("3e-3", "3e-2")]);
    let plan = lab.plan(&text);
    lab.run(&plan, &mut Watch::default());
    let folder = lab.stage("main");
    let log = log(&folder);
    let accuracy = |line: &serde_json::Value| line["val.class.accuracy"].as_f64().unwrap();
    let highest = log.iter().map(accuracy).fold(0.0, f64::max);
    let first = log.iter().position(|line| accuracy(line) == highest).unwrap() + 1;
    let best = trained(&folder).best.expect("asked for");
    assert_eq!((best.epoch, best.accuracy), (first, highest));
    assert!(first < 12, "the case shows nothing when the last state is the best");

    // The kept state is the one that this training had then.
    let other = Lab::new();
    other.run(&plan, &mut Watch::at_step(first * 4, Act::Stop));
    let then = state(&other.stage("main"), "model");
    assert_eq!(values(&then), values(&state(&folder, "model")));
    assert!(state(&folder, "best").is_empty() && state(&folder, "optimizer").is_empty());
    // And not the last one.
    let last = Lab::new();
    last.complete(&text.replace("; keep = best(val.class.accuracy)", ""));
    assert_ne!(values(&then), values(&state(&last.stage("main"), "model")));
}

#[test]
fn validation_uses_running_statistics() {
    let lab = Lab::new();
    let parts = [
        ("mlp(widths=[32], out=16)", "resnet(depth=8, width=4)"),
        ("augment { norm = normalize() }", ""),
    ];
    let plan = lab.plan(&text(&parts));
    lab.run(&plan, &mut Watch::default());
    let folder = lab.stage("main");
    let stage = &plan.stages[0];
    let model = build(stage, &lab.library, DType::F32, &Device::Cpu).unwrap();
    model.params().restore(&state(&folder, "model")).unwrap();
    let pool = Pool::load(&stage.data, &lab.library, &lab.path("data")).unwrap();
    let val = pool.indices(Split::Val);
    // One image at a time: statistics of the batch would make nonsense of it.
    let right = val.iter().filter(|item| {
        let image: Vec<f32> =
            pool.image(**item).unwrap().iter().map(|it| f32::from(*it) / 255.0).collect();
        let image = Tensor::from_vec(image, (1, 8, 8, 1), &Device::Cpu).unwrap();
        let judged = model.judged(&image).unwrap();
        let (name, right) = model.right(&judged[0], &[pool.fine[**item as usize]]).unwrap();
        assert_eq!(name, "class");
        right[0]
    });
    let accuracy = right.count() as f64 / val.len() as f64;
    assert_eq!(trained(&folder).last_epoch.val["val.class.accuracy"], accuracy);
    assert!(accuracy > 0.6, "{accuracy}");
}

#[test]
fn evaluations_change_nothing() {
    let lab = Lab::new();
    let evaluations = "eval {
    before = knn(on=main.encoder, labels=fine)
    probe = linear(on=main.encoder, labels=fine, for=3 epochs, features=augmented)
    after = knn(on=main.encoder, labels=fine)
  }";
    let parts = [
        ("mlp(widths=[32], out=16)", "resnet(depth=8, width=4)"),
        ("norm = normalize()", "turn = rotation(degrees=20); norm = normalize()"),
        ("eval { near = knn(on=main.encoder, labels=fine, k=k) }", evaluations),
    ];
    let text = text(&parts);
    let plan = lab.plan(&text);
    let mut first = Watch::reacting(|event| match event {
        Event::EvaluationBegins { .. } => Act::Stop,
        _ => Act::GoOn,
    });
    assert!(lab.run(&plan, &mut first).stopped);
    let checkpoint = || fs::read(lab.stage("main").join("checkpoint.safetensors")).unwrap();
    let before = checkpoint();
    let outcome = lab.run(&plan, &mut Watch::default());
    assert!(before == checkpoint());
    for split in ["val", "test"] {
        let [a, b] = ["before", "after"].map(|name| score(&outcome, 0, name, split));
        assert_eq!(a, b);
    }
}

#[test]
fn what_several_cells_need_is_trained_once() {
    let lab = Lab::new();
    let sweep = "sweep some of one { grid { k = [1, 3, 5]; rate = [1e-3, 2e-3] }; seeds = 0..2 }\n";
    let text = text(&[]) + sweep;
    let plan = lab.plan(&text);
    let mut watch = Watch::default();
    let outcome = lab.run(&plan, &mut watch);
    assert_eq!((outcome.trials.len(), watch.trained.len(), watch.evaluated.len()), (12, 4, 12));
    assert_eq!(outcome.trainings, Tally { done: 4, ..Tally::default() });
    let mut watch = Watch::default();
    let outcome = lab.run(&plan, &mut watch);
    assert_eq!((outcome.trials.len(), watch.trained.len(), watch.evaluated.len()), (12, 0, 0));
    assert_eq!(outcome.evaluations, Tally { found: 12, ..Tally::default() });
}

const TWO: (&str, &str) = (
    "stage main {",
    "stage other {
    encoder = mlp(widths=[8], out=4)
    loss { class = 1.0 * cross_entropy() }
    train.optimizer = adamw(lr=1e30)
  }
  stage main {",
);

#[test]
fn a_failure_leaves_out_only_what_depends_on_it() {
    let lab = Lab::new();
    let evaluations = "eval {
    near = knn(on=main.encoder, labels=fine)
    lost = knn(on=other.encoder, labels=fine)
    both = knn(on=concat(main.encoder, other.encoder), labels=fine)
    geo = geometry(on=main.encoder)
  }";
    let parts = [TWO, ("eval { near = knn(on=main.encoder, labels=fine, k=k) }", evaluations)];
    let plan = lab.plan(&text(&parts));
    let mut watch = Watch::default();
    let outcome = lab.run(&plan, &mut watch);
    assert_eq!(outcome.trainings, Tally { done: 1, failed: 1, ..Tally::default() });
    assert_eq!(outcome.evaluations, Tally { done: 2, left_out: 2, ..Tally::default() });
    assert_eq!(watch.evaluated, ["near", "geo"]);
    assert_eq!(watch.failures.len(), 1);
    let present: Vec<bool> = outcome.trials[0].evaluations.iter().map(Option::is_some).collect();
    assert_eq!(present, [true, false, false, true]);
    assert!(outcome.trials[0].failure.as_ref().unwrap().contains("class"));
}

#[test]
fn joined_features_are_those_of_each_side_by_side() {
    let lab = Lab::new();
    let evaluations = "eval {
    a = linear(on=main.encoder, labels=fine, for=8 epochs)
    b = linear(on=other.encoder, labels=fine, for=8 epochs)
    both = linear(on=concat(main.encoder, other.encoder), labels=fine, for=8 epochs)
    twice = knn(on=concat(main.encoder, main.encoder), labels=fine)
    once = knn(on=main.encoder, labels=fine)
  }";
    let parts = [
        TWO,
        ("1e30", "1e-3"),
        ("eval { near = knn(on=main.encoder, labels=fine, k=k) }", evaluations),
    ];
    let outcome = &lab.complete(&text(&parts))[0];
    let of = |name| score(outcome, 0, name, "train");
    assert!(of("both") >= of("a").max(of("b")), "{} {} {}", of("both"), of("a"), of("b"));
    assert_eq!(score(outcome, 0, "twice", "test"), score(outcome, 0, "once", "test"));
}

#[test]
fn features_are_computed_once_for_all_evaluations_of_a_trial() {
    let lab = Lab::new();
    let evaluations = "eval {
    a = knn(on=main.encoder, labels=fine, k=1)
    b = knn(on=main.encoder, labels=coarse, k=3)
    c = geometry(on=main.encoder)
  }";
    let part = ("eval { near = knn(on=main.encoder, labels=fine, k=k) }", evaluations);
    let mut embedded = 0;
    lab.run(
        &lab.plan(&text(&[part])),
        &mut Watch::reacting(|event| {
            if let Event::Embedded { done, of } = event {
                embedded += if done == of { *of } else { 0 };
            }
            Act::GoOn
        }),
    );
    // Training, validation and test images of digits.
    assert_eq!(embedded, 200 + 135 + 449);
}

#[test]
fn a_dead_process_holds_nothing() {
    let lab = Lab::new();
    let plan = lab.plan(&text(&[]));
    assert!(survive(|| lab.run(&plan, &mut Watch::at_step(3, Act::Die))).is_none());
    assert!(lab.stage("main").join("lock").exists());
    assert_eq!(lab.run(&plan, &mut Watch::default()).failures(), 0);
    assert!(!lab.stage("main").join("lock").exists());
}
