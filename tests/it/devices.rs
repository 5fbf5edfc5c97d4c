//! What a run is told of the device it asks for, and what `doctor` finds.

use candle_core::Device;

use balance::kernel::cards;

use crate::lab::Lab;

const TEXT: &str = "edition 1
experiment here {
  data = digits(labels=coarse, train=64 samples)
  encoder = mlp(widths=[8], out=4)
  loss { class = cross_entropy() }
  train { optimizer = adamw(lr=1e-3); batch = 32; for = 1 epochs }
  eval { near = knn(labels=fine) }
  run { device = cuda }
}
";

/// Whether tensors can be on a card here.
fn has_card() -> bool {
    cards().lacks().is_none()
}

#[test]
fn a_card_that_is_not_there_is_refused_before_training() {
    let lab = Lab::new();
    let file = lab.file("here.exp", TEXT);
    let said = lab.say(&["run", &file]).ended(if has_card() { 0 } else { 3 });
    assert_eq!(said.err.contains("asks for a CUDA card: "), !has_card(), "{said:?}");
    assert_eq!(lab.store().join("stages").exists(), has_card());
    let said = lab.say(&["run", &file, "--set", "run.device=cpu"]).ended(0);
    assert!(said.out.contains("1 training"), "{said:?}");
}

#[test]
fn what_is_asked_for_is_the_same_training_on_any_device() {
    let lab = Lab::new();
    let file = lab.file("here.exp", TEXT);
    lab.say(&["run", &file, "--set", "run.device=cpu"]).ended(0);
    let again = lab.say(&["run", &file, "--set", "run.device=auto"]).ended(0);
    assert!(again.out.contains("(1 from the store)"), "{again:?}");
}

#[test]
fn doctor_says_what_is_there() {
    let said = Lab::new().say(&["doctor"]).ended(0);
    for what in ["balance", "processor", "memory", "data", "datasets"] {
        assert!(said.out.lines().any(|line| line.starts_with(what)), "{said:?}");
    }
    assert_eq!(said.out.contains("\ncard "), has_card(), "{said:?}");
}

#[test]
fn a_device_that_cannot_be_is_an_error_and_no_panic() {
    let found = balance::kernel::card_device(0);
    assert_eq!(found.is_ok(), has_card());
    assert!(!found.is_ok_and(|device| matches!(device, Device::Cpu)));
}
