//! A training that was stopped or killed at any moment ends with the bytes of one that was not.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use balance::run::Event;
use balance::seed::Stream;

use crate::lab::{Act, Lab, Said, Watch, assert_same, contents, survive};

/// Batch statistics, dropout, moments, averages, weights and temperatures that change, a best state,
/// draws and two stages: all that must be kept.
const TEXT: &str = r#"
edition 1

experiment two {
  data = digits(labels=coarse, val=10%, test=25%, train=160 samples)
  views = 2
  augment { turn = rotation(degrees=15); norm = normalize() }
  train {
    optimizer = adamw(lr=3e-3)
    schedule = cosine()
    batch = 48
    for = 6 epochs
    keep = best(val.class.accuracy)
  }
  stage contrast {
    encoder = resnet(depth=8, width=4)
    loss {
      supcon = linear(0, 0.5, over=4 epochs) * supcon(temperature=cosine(1, 0.3))
      class = 1.0 * cross_entropy()
    }
    train { accumulate = 2; swa = 2 epochs }
  }
  stage attentive {
    encoder = vit(patch=4, dim=8, depth=1, heads=2, dropout=20%)
    loss { cnce = 0.5 * class_infonce(temperature=0.5); class = 1.0 * cross_entropy() }
    train { optimizer = lars(lr=1.0); sampler = balanced(at_least=5); clip = 1; ema = 0.8; chunk = 20 }
  }
  eval {
    fine = linear(on=concat(contrast.encoder, attentive.encoder), labels=fine, for=4 epochs)
    near = knn(on=attentive.encoder, labels=fine)
  }
}
"#;

/// Steps of each stage: four batches an epoch.
const STEPS: usize = 24;

fn uninterrupted() -> Lab {
    let lab = Lab::new();
    lab.complete(TEXT);
    lab
}

#[test]
fn stopped_and_killed_at_random_steps() {
    let expected = uninterrupted().contents();
    for case in 0..3u64 {
        let lab = Lab::new();
        let plan = lab.plan(TEXT);
        let mut stream = Stream::new(case).named("resume");
        for _ in 0..6 {
            let act = if stream.below(2) == 0 { Act::Stop } else { Act::Die };
            let mut left = 1 + stream.below(2 * STEPS / 3);
            let mut watch = Watch::reacting(move |event| {
                left -= usize::from(matches!(event, Event::Step { .. }) && left > 0);
                if left == 0 { act } else { Act::GoOn }
            });
            let outcome = survive(|| lab.run(&plan, &mut watch));
            assert!(outcome.is_none_or(|it| it.stopped || it.failures() == 0));
        }
        lab.complete(TEXT);
        assert_same(&expected, &lab.contents());
    }
}

#[test]
fn a_training_goes_on_where_it_stopped() {
    let lab = Lab::new();
    let plan = lab.plan(TEXT);
    let outcome = lab.run(&plan, &mut Watch::at_step(5, Act::Stop));
    assert!(outcome.stopped && outcome.trials.is_empty());
    let mut watch = Watch::default();
    lab.run(&plan, &mut watch);
    let expected: Vec<usize> = (6..=STEPS).chain(1..=STEPS).collect();
    assert_eq!(watch.steps, expected);
    let machine = fs::read_to_string(lab.stage("contrast").join("machine.json")).unwrap();
    let machine: serde_json::Value = serde_json::from_str(&machine).unwrap();
    let sessions = machine["sessions"].as_array().unwrap();
    let steps: Vec<_> = sessions.iter().map(|it| [&it["first_step"], &it["last_step"]]).collect();
    assert_eq!(serde_json::json!(steps), serde_json::json!([[1, 5], [6, STEPS]]));
}

#[test]
fn stopped_at_the_last_step_and_in_an_evaluation() {
    let expected = uninterrupted().contents();
    let lab = Lab::new();
    let plan = lab.plan(TEXT);
    let outcome = lab.run(&plan, &mut Watch::at_step(STEPS, Act::Stop));
    assert!(outcome.stopped);
    assert_eq!((outcome.trainings.done, outcome.trainings.failed), (1, 0));

    let mut embedding = Watch::reacting(|event| match event {
        Event::Embedded { .. } => Act::Stop,
        _ => Act::GoOn,
    });
    assert!(lab.run(&plan, &mut embedding).stopped);
    assert_eq!(embedding.trained, ["attentive"]);

    let mut halfway = Watch::reacting(|event| match event {
        Event::EvaluationShare(share) if *share >= 0.5 => Act::Stop,
        _ => Act::GoOn,
    });
    assert!(lab.run(&plan, &mut halfway).stopped);
    assert_eq!((halfway.trained.len(), halfway.evaluated), (0, vec!["fine".to_owned()]));

    lab.complete(TEXT);
    assert_same(&expected, &lab.contents());
}

#[test]
fn killed_between_the_files_of_a_result() {
    let lab = uninterrupted();
    let expected = lab.contents();
    let folder = lab.stage("contrast");

    // The state is kept and the result is not written yet.
    fs::remove_file(folder.join("result.json")).unwrap();
    lab.complete(TEXT);
    assert_same(&expected, &lab.contents());

    // A line is logged, in part, and the checkpoint that counts it is not written.
    let other = Lab::new();
    let plan = other.plan(TEXT);
    other.run(&plan, &mut Watch::at_step(9, Act::Stop));
    let metrics = other.stage("contrast").join("metrics.jsonl");
    let kept = fs::read_to_string(&metrics).unwrap();
    fs::write(&metrics, format!("{kept}{kept}{{\"epoch\":")).unwrap();
    // A file is written in part.
    fs::write(other.stage("contrast").join(".partial-x1y2z3"), "checkpoi").unwrap();
    other.complete(TEXT);
    assert_same(&expected, &other.contents());
}

#[test]
fn a_spoilt_state_is_refused_by_name() {
    let lab = Lab::new();
    let plan = lab.plan(TEXT);
    lab.run(&plan, &mut Watch::at_step(9, Act::Stop));
    let checkpoint = lab.stage("contrast").join("checkpoint.safetensors");
    let metrics = lab.stage("contrast").join("metrics.jsonl");
    let (sound, log) = (fs::read(&checkpoint).unwrap(), fs::read(&metrics).unwrap());

    let complaint = || {
        let mut watch = Watch::default();
        let outcome = lab.run(&plan, &mut watch);
        assert_eq!((outcome.failures(), outcome.trainings.failed), (1, 1));
        watch.failures.remove(0)
    };
    for cut in [0, 5, sound.len() / 2, sound.len() - 1] {
        fs::write(&checkpoint, &sound[..cut]).unwrap();
        let said = complaint();
        assert!(said.contains("checkpoint.safetensors cannot be used: "), "{said}");
        assert!(said.contains("remove this folder to train the stage again"), "{said}");
    }
    // The state of another training, under this one's name.
    let other = lab.stage("attentive").join("checkpoint.safetensors");
    fs::copy(other, &checkpoint).unwrap();
    let said = complaint();
    assert!(said.contains("it is of another training"), "{said}");
    // A log that lost lines.
    fs::write(&checkpoint, &sound).unwrap();
    fs::write(&metrics, &log[..10]).unwrap();
    let said = complaint();
    assert!(
        said.contains(&format!("metrics.jsonl has 10 bytes, of {} written", log.len())),
        "{said}"
    );
}

#[test]
fn a_result_of_something_else_is_never_reused() {
    let lab = uninterrupted();
    for (kind, name) in [("stages", "contrast"), ("evaluations", "near")] {
        let folder = crate::lab::folders(&lab.store().join(kind));
        let folder =
            folder.iter().find(|it| it.display().to_string().contains(&format!("/{name}-")));
        let path = folder.unwrap().join("result.json");
        let text = fs::read_to_string(&path).unwrap();
        let digest = text.split("\"digest\": \"").nth(1).unwrap()[..64].to_owned();
        let mut other = digest.clone();
        other.replace_range(40..41, if &digest[40..41] == "0" { "1" } else { "0" });
        fs::write(&path, text.replace(&digest, &other)).unwrap();
        let mut watch = Watch::default();
        let outcome = lab.run(&lab.plan(TEXT), &mut watch);
        assert_eq!(outcome.failures(), 1);
        let said = &watch.failures[0];
        assert!(said.contains(&format!("expected digest {digest}, found {other}")), "{said}");
        fs::write(&path, "{\"digest\": ").unwrap();
        let mut watch = Watch::default();
        lab.run(&lab.plan(TEXT), &mut watch);
        assert!(watch.failures[0].contains("result.json is damaged"), "{:?}", watch.failures);
        fs::write(&path, text).unwrap();
    }
}

/// Some seconds of training, so that there is a checkpoint to go on from.
const LONG: &str = r#"
edition 1

experiment long {
  data = digits(labels=coarse, val=10%, test=25%)
  views = 2
  augment { turn = rotation(degrees=15); norm = normalize() }
  train { optimizer = adamw(lr=1e-3); schedule = cosine(); batch = 64; for = 3000 steps }
  stage contrast {
    encoder = mlp(widths=[256, 256], out=64)
    loss { supcon = 0.5 * supcon(temperature=0.5); class = 1.0 * cross_entropy() }
  }
  eval { near = knn(on=contrast.encoder, labels=fine) }
}
"#;

#[cfg(unix)]
#[test]
fn the_program_is_interrupted_and_killed() {
    let lab = Lab::new();
    let file = lab.file("long.exp", LONG);
    let whole = lab.path("whole");
    let command = || {
        let mut command = lab.balance(&["run", &file]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let uninterrupted = command().env("BALANCE_STORE", &whole).spawn().unwrap();

    let mut stream = Stream::new(7).named("moments");
    for signal in ["-KILL", "-INT", "-KILL"] {
        let mut child = command().spawn().unwrap();
        if !wait_for_checkpoint(&lab.store(), &mut child) {
            break;
        }
        sleep(Duration::from_millis(stream.below(150) as u64));
        Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        let said = Said::at_end(child);
        if signal == "-INT" {
            let said = said.ended(130);
            assert!(
                said.err.ends_with("stopped; the same command goes on from here\n"),
                "{said:?}"
            );
            assert!(said.out.is_empty(), "{said:?}");
        } else {
            assert_eq!(said.code, None, "{said:?}");
        }
    }
    let said = Said::at_end(command().spawn().unwrap()).ended(0);
    assert!(said.err.contains("[1/1] contrast seed 0: goes on from step "), "{said:?}");
    let whole_run = Said::at_end(uninterrupted).ended(0);
    assert!(!whole_run.err.contains("goes on"), "{whole_run:?}");
    assert_same(&contents(&whole), &contents(&lab.store()));
}

/// Waits until the program has saved a state; says whether it did before it ended.
#[allow(clippy::disallowed_methods, reason = "the age of a file is the question")]
fn wait_for_checkpoint(store: &Path, child: &mut std::process::Child) -> bool {
    let begun = SystemTime::now();
    let is_new = |path: &Path| {
        let changed =
            fs::metadata(path.join("checkpoint.safetensors")).and_then(|it| it.modified());
        changed.is_ok_and(|time| time > begun)
    };
    loop {
        if crate::lab::folders(&store.join("stages")).iter().any(|path| is_new(path)) {
            return true;
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        sleep(Duration::from_millis(2));
    }
}
