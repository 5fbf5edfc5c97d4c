//! Stages that begin with what another has trained.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use balance::plan::Plan;
use balance::run::{Event, Tally};
use balance::seed::Stream;
use candle_core::Device;

use crate::lab::{Act, Lab, Watch, assert_same, survive};

/// What is tuned stands before what it begins with; both have dropout and batch statistics.
const TEXT: &str = r#"
edition 1

param alpha: fraction = 50%

experiment two {
  data = digits(labels=coarse, val=10%, test=25%, train=160 samples)
  views = 2
  augment { turn = rotation(degrees=15); norm = normalize() }
  train { optimizer = adamw(lr=3e-3); batch = 48; for = 4 epochs }
  stage tune {
    encoder = contrast.encoder
    loss { class = cross_entropy(labels=fine) }
    train { optimizer = sgd(lr=0.05, momentum=0.9); ema = 0.9 }
  }
  stage contrast {
    encoder = concat(a=resnet(depth=8, width=4), b=vit(patch=4, dim=8, depth=1, heads=2, dropout=20%))
    loss { sup = (1 - alpha) * supcon(); cnce = alpha * class_infonce(); class = cross_entropy() }
    train { keep = best(val.class.accuracy); for = 6 epochs }
  }
  eval { near = knn(on=tune.encoder, labels=fine) }
}
"#;

fn replaced(parts: &[(&str, &str)]) -> String {
    parts.iter().fold(TEXT.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "{old}");
        text.replace(old, new)
    })
}

/// The encoder in the kept state of a training.
fn encoder(folder: &Path) -> BTreeMap<String, Vec<f32>> {
    let bytes = fs::read(folder.join("checkpoint.safetensors")).unwrap();
    let all = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).unwrap();
    let of_encoder = all.into_iter().filter(|(name, _)| name.starts_with("model/encoder."));
    of_encoder.map(|(name, it)| (name, it.flatten_all().unwrap().to_vec1().unwrap())).collect()
}

fn digest(plan: &Plan, stage: &str) -> String {
    plan.stages.iter().find(|it| it.name == stage).unwrap().digest.text().to_owned()
}

/// A rate so small that no weight changes by a bit leaves what was begun with.
#[test]
fn a_stage_begins_with_the_state_that_another_keeps() {
    let rate = ("sgd(lr=0.05, momentum=0.9); ema = 0.9", "sgd(lr=1e-30)");
    let vit = ("b=vit(patch=4, dim=8, depth=1, heads=2, dropout=20%)", "b=mlp(widths=[8], out=8)");
    let norm = ("a=resnet(depth=8, width=4)", "a=mlp(widths=[16], out=8)");
    for keep in ["last", "best(val.class.accuracy)"] {
        let lab = Lab::new();
        let kept = ("keep = best(val.class.accuracy)", format!("keep = {keep}"));
        let mut watch = Watch::default();
        let plan = lab.plan(&replaced(&[rate, vit, norm, (kept.0, &kept.1)]));
        assert_eq!(lab.run(&plan, &mut watch).failures(), 0);
        assert_eq!(watch.trained, ["contrast", "tune"]);
        let (before, after) = (encoder(&lab.stage("contrast")), encoder(&lab.stage("tune")));
        assert!(!before.is_empty());
        assert!(before == after, "{keep}");
    }
}

#[test]
fn stopped_and_killed_anywhere_it_comes_to_the_same_bytes() {
    let whole = Lab::new();
    whole.complete(TEXT);
    let expected = whole.contents();
    for case in 0..2u64 {
        let lab = Lab::new();
        let plan = lab.plan(TEXT);
        let mut stream = Stream::new(case).named("begins");
        for _ in 0..4 {
            let act = if stream.below(2) == 0 { Act::Stop } else { Act::Die };
            let mut left = 1 + stream.below(20);
            let mut watch = Watch::reacting(move |event| {
                left -= usize::from(matches!(event, Event::Step { .. }) && left > 0);
                if left == 0 { act } else { Act::GoOn }
            });
            survive(|| lab.run(&plan, &mut watch));
        }
        lab.complete(TEXT);
        assert_same(&expected, &lab.contents());
    }
}

#[test]
fn its_address_follows_what_it_begins_with_and_nothing_of_its_name() {
    let lab = Lab::new();
    let plan = lab.plan(TEXT);
    let other = lab.plan(&replaced(&[("fraction = 50%", "fraction = 25%")]));
    assert_ne!(digest(&plan, "tune"), digest(&other, "tune"));
    let alone = ["contrast.encoder", "mlp"];
    let alone = lab.plan(&replaced(&[(alone[0], alone[1])]));
    assert!(alone.stages.iter().all(|it| it.begins_with.is_none()));
    assert_eq!(alone.stages.len(), 1, "nothing reads `contrast` any more");
    // A weight that does nothing to `contrast` reruns neither.
    let same = lab.plan(&replaced(&[("\nedition 1", "# A remark.\nedition 1")]));
    assert_eq!(digest(&plan, "tune"), digest(&same, "tune"));
}

#[test]
fn cells_share_what_they_begin_with() {
    let lab = Lab::new();
    let sweep = "sweep s of two { grid { tune.train.for = [1 epochs, 2 epochs] } }";
    let mut watch = Watch::default();
    let plan = lab.plan(&format!("{TEXT}\n{sweep}"));
    lab.run(&plan, &mut watch);
    assert_eq!(watch.trained, ["contrast", "tune", "tune"]);
    let sweep = "sweep s of two { grid { alpha = [0%, 100%] } }";
    let plan = lab.plan(&format!("{TEXT}\n{sweep}"));
    let mut names: Vec<_> = plan.stages.iter().map(|it| it.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["contrast", "contrast", "tune", "tune"]);
}

#[test]
fn what_begins_with_a_failure_is_left_out() {
    let lab = Lab::new();
    let text = replaced(&[
        ("optimizer = adamw(lr=3e-3)", "optimizer = sgd(lr=1e30)"),
        ("    train { keep = best", "    train { optimizer = sgd(lr=1e30); keep = best"),
    ]);
    let plan = lab.plan(&text);
    let mut watch = Watch::default();
    let outcome = lab.run(&plan, &mut watch);
    let expected = Tally { failed: 1, left_out: 1, ..Tally::default() };
    assert_eq!(outcome.trainings, expected);
    assert_eq!(outcome.evaluations, Tally { left_out: 1, ..Tally::default() });
    assert_eq!((watch.trained.len(), watch.failures.len()), (1, 1));
}
