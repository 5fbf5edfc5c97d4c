//! What can go wrong around a sound file: every failure is told by name, and none takes more with it
//! than what depends on it.

use std::fs;
use std::path::Path;

use balance::catalog::Natural;
use balance::component;
use balance::library::augment::{Augment, ChannelStats, Image};
use balance::run::{Event, Tally};
use balance::seed::Stream;
use balance::store::{Store, hold};

use crate::lab::{Act, Lab, Said, Watch};

/// A file of one small experiment whose parts can be replaced.
fn text(parts: &[(&str, &str)]) -> String {
    let mut text = r#"
edition 1
param rate: positive = 1e-3
experiment small {
  data = digits(labels=coarse, val=10%, test=25%, train=128 samples)
  augment { norm = normalize() }
  train { optimizer = sgd(lr=rate); batch = 64; for = 3 epochs }
  stage contrast {
    encoder = mlp(widths=[16], out=8)
    loss { class = 1.0 * cross_entropy() }
  }
  eval { near = knn(on=contrast.encoder, labels=fine) }
}
"#
    .to_owned();
    for (old, new) in parts {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    text
}

#[test]
fn an_absent_dataset_is_told_with_the_command_that_fetches_it() {
    let lab = Lab::new();
    let file =
        lab.file("a.exp", &text(&[("digits(", "cifar10("), ("test=25%, train=128 samples", "")]));
    let said = lab.say(&["run", &file]).ended(1);
    assert!(said.err.contains("`cifar10` is not on this machine"), "{said:?}");
    assert!(said.err.contains("`balance data fetch cifar10`"), "{said:?}");
    assert!(said.err.contains("B0803"), "{said:?}");
    assert!(!lab.store().exists() && said.out.is_empty(), "{said:?}");
    // A file can be checked before its data are here.
    let said = lab.say(&["check", &file]).ended(0);
    assert!(said.err.contains("`balance data fetch cifar10`"), "{said:?}");
    // The command names the folder that was asked for.
    let said = lab.say(&["run", &file, "--data", "elsewhere"]).ended(1);
    assert!(said.err.contains("`balance data fetch cifar10 --data elsewhere`"), "{said:?}");
}

/// The files of MNIST, all black.
fn black_mnist(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for (name, count) in [("train", 60_000u32), ("t10k", 10_000)] {
        let images = [2051, count, 28, 28].map(u32::to_be_bytes).concat();
        let labels = [2049, count].map(u32::to_be_bytes).concat();
        for (kind, head, size) in [("images-idx3", images, 784), ("labels-idx1", labels, 1)] {
            let path = folder.join(format!("{name}-{kind}-ubyte"));
            fs::write(&path, &head).unwrap();
            let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
            file.set_len(head.len() as u64 + u64::from(count) * size).unwrap();
        }
    }
}

#[test]
fn damaged_data_are_told_by_file() {
    let lab = Lab::new();
    let file = lab.file("a.exp", &text(&[("digits(", "mnist("), ("test=25%,", "")]));
    let folder = lab.path("data/mnist");
    black_mnist(&folder);
    let said = lab.say(&["run", &file]).ended(3);
    let expected = "train-images-idx3-ubyte`: differs from what was published: expected SHA-256 \
                    ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db, found ";
    assert!(said.err.contains(expected), "{said:?}");
    assert!(said.out.contains(" failed\n"), "{said:?}");

    let labels = folder.join("t10k-labels-idx1-ubyte");
    fs::OpenOptions::new().write(true).open(labels).unwrap().set_len(700).unwrap();
    let said = lab.say(&["run", &file]).ended(3);
    let expected =
        "t10k-labels-idx1-ubyte`: the file is truncated: expected 10008 bytes, found 700";
    assert!(said.err.contains(expected), "{said:?}");
    assert_eq!(said.err.matches("balance data fetch mnist").count(), 1, "{said:?}");
}

#[test]
fn a_batch_larger_than_the_data_is_refused_before_training() {
    let lab = Lab::new();
    let file = lab.file("a.exp", &text(&[("batch = 64", "batch = 129")]));
    let said = lab.say(&["run", &file]).ended(1);
    assert!(said.err.contains("a batch is larger than the training data"), "{said:?}");
    assert!(said.err.contains("128 images to train on"), "{said:?}");
}

#[test]
fn a_loss_that_explodes_fails_its_cell_alone() {
    let sweep = "sweep rates of small { grid { rate = [1e-3, 1e30] }; seeds = 0..2 }\n";
    let lab = Lab::new();
    let file = lab.file("a.exp", &(text(&[]) + sweep));
    let said = lab.say(&["run", &file]).ended(3);
    let line = said.err.lines().find(|line| line.contains("failed")).unwrap();
    let expected = "contrast seed 0 failed: the term `class` is ";
    assert!(line.starts_with(expected) && line.contains(" in step "), "{line}");
    assert!(line.contains(", batch ") && line.ends_with(" of epoch 1"), "{line}");
    assert!(said.err.contains("a smaller learning rate"), "{said:?}");
    let rows: Vec<&str> = said.out.lines().filter(|line| line.contains("1e")).collect();
    assert!(rows.len() == 2 && rows[0].contains('±') && rows[1].ends_with("failed"), "{rows:?}");
    let tally = "4 trainings (2 failed), 4 evaluations (2 left out)\n2 of 4 runs failed";
    assert!(said.out.contains(tally), "{said:?}");
    // What went well is kept, and what failed is tried again.
    let said = lab.say(&["run", &file]).ended(3);
    let tally =
        "4 trainings (2 from the store, 2 failed), 4 evaluations (2 from the store, 2 left out)";
    assert!(said.out.contains(tally), "{said:?}");
}

#[test]
fn the_last_sound_state_stays_when_a_loss_explodes() {
    let lab = Lab::new();
    // The rate grows over ten steps until the weights overflow.
    let schedule = "sgd(lr=rate); schedule = one_cycle()";
    let text = text(&[("sgd(lr=rate)", schedule), ("1e-3", "1e12"), ("3 epochs", "50 epochs")]);
    let plan = lab.plan(&text);
    let mut watch = Watch::default();
    let outcome = lab.run(&plan, &mut watch);
    assert_eq!((outcome.trainings.failed, outcome.evaluations.left_out), (1, 1));
    let folder = lab.stage("contrast");
    let help = format!("the last sound state stays in {}", folder.display());
    assert!(watch.failures[0].contains(&help), "{:?}", watch.failures);
    let bytes = fs::read(folder.join("checkpoint.safetensors")).unwrap();
    let tensors = candle_core::safetensors::load_buffer(&bytes, &candle_core::Device::Cpu).unwrap();
    for (name, tensor) in tensors.iter().filter(|(name, _)| name.starts_with("model/")) {
        let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
        assert!(values.iter().all(|value| value.is_finite()), "{name}");
    }
    assert!(!folder.join("result.json").exists());
}

#[test]
fn a_store_that_cannot_be_written_is_told_at_once() {
    let lab = Lab::new();
    let file = lab.file("a.exp", &text(&[]));
    let store = lab.file("occupied", "a file, not a folder");
    let said = lab.say(&["run", &file, "--store", &store]).ended(3);
    assert!(said.err.contains(&format!("results cannot be kept in {store}: ")), "{said:?}");
    assert_eq!(said.err.lines().count(), 1, "{said:?}");
}

#[test]
fn a_folder_that_another_process_holds_is_left_alone() {
    let lab = Lab::new();
    let text = text(&[]);
    let file = lab.file("a.exp", &text);
    let plan = lab.plan(&text);
    let folder = Store::new(lab.store()).stage(&plan.stages[0]);
    let held = hold(&folder).expect("free");
    let said = lab.say(&["run", &file]).ended(3);
    let expected = format!("another balance is at work in {}", folder.display());
    assert!(said.err.contains(&expected), "{said:?}");
    drop(held);
    lab.say(&["run", &file]).ended(0);
    assert!(!folder.join("lock").exists());
}

#[test]
fn what_another_process_has_done_meanwhile_is_in_the_table() {
    let lab = Lab::new();
    let text = text(&[]);
    let plan = lab.plan(&text);
    let folder = Store::new(lab.store()).stage(&plan.stages[0]);
    let mut held = Some(hold(&folder).expect("free"));
    // The other is done with everything when it is told that this one cannot begin.
    let mut watch = Watch::reacting(|event| {
        if matches!(event, Event::Failed { .. }) && held.take().is_some() {
            lab.complete(&text);
        }
        Act::GoOn
    });
    let outcome = lab.run(&plan, &mut watch);
    assert_eq!((outcome.failures(), outcome.stopped), (0, false), "{outcome:?}");
    assert!(outcome.trials[0].evaluations.iter().all(Option::is_some), "{outcome:?}");
    let found = Tally { found: plan.stages.len(), ..Tally::default() };
    assert_eq!(outcome.trainings, found);
    assert_eq!(outcome.evaluations, Tally { found: plan.evaluations.len(), ..found });
}

#[test]
fn a_damaged_checkpoint_is_told_by_file() {
    let lab = Lab::new();
    let text = text(&[]);
    let file = lab.file("a.exp", &text);
    lab.say(&["run", &file]).ended(0);
    let folder = lab.stage("contrast");
    let checkpoint = folder.join("checkpoint.safetensors");
    let bytes = fs::read(&checkpoint).unwrap();
    fs::write(&checkpoint, &bytes[..bytes.len() / 2]).unwrap();
    // The result stands; what is still to be evaluated cannot be.
    lab.say(&["run", &file]).ended(0);
    let more = text.replace("near = knn(", "nearer = knn(");
    let more = lab.file("b.exp", &more);
    let Said { err, .. } = lab.say(&["run", &more]).ended(3);
    assert!(err.contains("nearer seed 0 failed: "), "{err}");
    assert!(err.contains("checkpoint.safetensors cannot be used: "), "{err}");
    assert!(err.contains("remove this folder to train the stage again"), "{err}");
    fs::remove_dir_all(&folder).unwrap();
    lab.say(&["run", &more]).ended(0);
    assert_eq!(fs::read(&checkpoint).unwrap(), bytes);
}

component! {
    /// Breaks down.
    Augment as dyn Augment, version 1;
    broken => Broken {
        /// The size of image it breaks on.
        side: Natural = 8,
    }
}

impl Augment for Broken {
    fn apply(&self, image: &mut Image, _stats: &ChannelStats, _stream: Stream) {
        if image.shape.width == self.side.get() {
            // A panic that is not reported on standard error.
            std::panic::resume_unwind(Box::new("no image may be so wide"));
        }
    }
}

#[test]
fn a_transform_that_panics_is_an_error_and_no_hang() {
    let mut lab = Lab::new();
    lab.library.augments.push(&ENTRY);
    let transform = "augment { norm = normalize(); fault = broken() }";
    let text = text(&[("augment { norm = normalize() }", transform)]);
    let mut watch = Watch::default();
    let outcome = lab.run(&lab.plan(&text), &mut watch);
    assert_eq!((outcome.failures(), outcome.trainings.failed), (1, 1));
    let said = &watch.failures[0];
    assert!(said.contains("making a batch failed: "), "{said}");
    assert!(said.contains("no image may be so wide"), "{said}");
}
