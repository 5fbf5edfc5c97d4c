//! Trainings beside each other come to what they come to one after the other, whatever their number.

use std::sync::atomic::{AtomicUsize, Ordering};

use balance::run::{Division, Event, Outcome};
use rayon::ThreadPoolBuilder;

use crate::lab::{Act, Lab, Watch, assert_same, contents, survive};

/// Two trainings that cells share, one that begins with another, evaluations of one and of two.
const TEXT: &str = r#"
edition 1

experiment both {
  data = digits(labels=coarse, val=10%, test=25%, train=160 samples)
  views = 2
  augment { turn = rotation(degrees=15); norm = normalize() }
  train { optimizer = adamw(lr=3e-3); schedule = cosine(); batch = 48; for = 5 epochs }
  stage contrast {
    encoder = mlp(widths=[32], out=16)
    loss { sup = supcon(); class = cross_entropy() }
    train { optimizer = adamw(lr=2e-3); keep = best(val.class.accuracy) }
  }
  stage further {
    encoder = contrast.encoder
    loss { cnce = class_infonce(); class = cross_entropy() }
  }
  stage other {
    encoder = mlp(widths=[24], out=8)
    loss { sup = supcon(); class = cross_entropy() }
    train { optimizer = adamw(lr=1e-3) }
  }
  eval {
    fine = linear(on=further.encoder, labels=fine, for=4 epochs)
    near = knn(on=contrast.encoder, labels=fine)
  }
}

sweep jobs of both {
  choose network {
    "further" { }
    "both" { fine.on = concat(further.encoder, other.encoder) }
  }
  seeds = 0..2
}
"#;

/// Every division that is tried, on four threads.
fn divisions() -> [(&'static str, Division); 4] {
    [
        ("one", Division::undivided()),
        ("two", Division::of(2)),
        ("more than there are", Division::of(9)),
        ("fastest", Division::fastest(usize::MAX)),
    ]
}

fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    ThreadPoolBuilder::new().num_threads(threads).build().expect("threads").install(work)
}

fn shown(outcome: &Outcome) -> String {
    format!("{outcome:#?}")
}

#[test]
fn any_number_of_jobs_gives_the_same_bytes() {
    let mut expected = None;
    on_threads(4, || {
        for (name, division) in divisions() {
            let lab = Lab::new();
            let plan = lab.plan(TEXT);
            let ended = AtomicUsize::new(0);
            let mut watch = Watch::reacting(|event| {
                let is_end = matches!(event, Event::StageEnds { .. });
                ended.fetch_add(usize::from(is_end), Ordering::Relaxed);
                Act::GoOn
            });
            let outcome = lab.run_divided(&plan, &mut watch, division);
            let evaluated = watch.evaluated.len();
            assert_eq!((outcome.failures(), outcome.stopped), (0, false), "{name}: {outcome:?}");
            // What several trials share is trained and measured once.
            assert_eq!(ended.load(Ordering::Relaxed), plan.stages.len(), "{name}");
            assert_eq!(evaluated, plan.evaluations.len(), "{name}");
            let found = (shown(&outcome), lab.contents());
            let (outcome, contents) = expected.get_or_insert_with(|| found.clone());
            assert_eq!(*outcome, found.0, "{name}");
            assert_same(contents, &found.1);
        }
    });
}

#[test]
fn more_jobs_than_threads_have_one_each() {
    let lab = Lab::new();
    let plan = lab.plan(TEXT);
    let mut most = 0;
    let mut watch = Watch::reacting(|event| {
        if let Event::Divided { jobs, cores, .. } = event {
            assert_eq!(*cores, Some(1));
            most = most.max(*jobs);
        }
        Act::GoOn
    });
    on_threads(1, || lab.run_divided(&plan, &mut watch, Division::of(3)));
    drop(watch);
    assert_eq!(most, 3);
    let auto = Lab::new();
    let mut watch = Watch::reacting(|event| {
        assert!(!matches!(event, Event::Divided { jobs: 2.., .. }));
        Act::GoOn
    });
    on_threads(1, || auto.run_divided(&plan, &mut watch, Division::fastest(9)));
    assert_same(&lab.contents(), &auto.contents());
}

#[test]
fn stopped_and_killed_with_any_number_and_gone_on_with_another() {
    let whole = Lab::new();
    whole.complete(TEXT);
    for act in [Act::Stop, Act::Die] {
        let lab = Lab::new();
        let plan = lab.plan(TEXT);
        for (_, division) in divisions().into_iter().cycle().take(6) {
            let mut left = 23;
            let mut watch = Watch::reacting(move |event| {
                left -= usize::from(matches!(event, Event::Step { .. }) && left > 0);
                if left == 0 { act } else { Act::GoOn }
            });
            let outcome =
                survive(|| on_threads(2, || lab.run_divided(&plan, &mut watch, division)));
            assert!(outcome.is_none_or(|it| it.stopped || it.failures() == 0));
        }
        lab.complete(TEXT);
        assert_same(&whole.contents(), &lab.contents());
    }
}

#[test]
fn what_fails_stops_nothing_beside_it() {
    // A training that two trials read; one that all read, and another training begins with.
    for (rate, failures, left_out) in [("lr=1e-3", 2, 0), ("lr=2e-3", 4, 2)] {
        let text = TEXT.replace(rate, "lr=1e30");
        let mut expected = None;
        for (name, division) in divisions() {
            let lab = Lab::new();
            let plan = lab.plan(&text);
            let outcome = on_threads(4, || lab.run_divided(&plan, &mut Watch::default(), division));
            let trainings = outcome.trainings;
            assert_eq!((outcome.failures(), outcome.stopped), (failures, false), "{name}");
            assert_eq!((trainings.failed, trainings.left_out), (2, left_out), "{name}");
            let found = shown(&outcome);
            assert_eq!(*expected.get_or_insert_with(|| found.clone()), found, "{name}");
        }
    }
}

#[test]
fn the_program_divides_as_it_is_told() {
    let lab = Lab::new();
    let file = lab.file("jobs.exp", TEXT);
    let mut expected = None;
    for jobs in ["1", "2", "auto"] {
        let store = lab.path(&format!("store-{jobs}"));
        let mut command = lab.balance(&["run", &file, "--jobs", jobs]);
        let output = command.env("BALANCE_STORE", &store).env("RAYON_NUM_THREADS", "2").output();
        let said = crate::lab::Said::of(output.expect("the program starts")).ended(0);
        assert!(!said.err.contains("goes on from step"), "{said:?}");
        let table = said.out.split("written to").next().unwrap().to_owned();
        let found = (table, contents(&store));
        let (table, bytes) = expected.get_or_insert_with(|| found.clone());
        assert_eq!(*table, found.0);
        assert_same(bytes, &found.1);
    }
    for wrong in ["0", "x", "-1"] {
        let said = lab.say(&["run", &file, &format!("--jobs={wrong}")]).ended(2);
        assert!(said.err.contains("a number of jobs from 1 on, such as 2, or auto"), "{said:?}");
    }
}

#[test]
fn as_many_fit_as_the_memory_holds() {
    let plan = Lab::new().plan(TEXT);
    let (one, all) = (plan.memory_bytes(1), plan.memory_bytes(usize::MAX));
    assert!(one > 0 && plan.stages.iter().all(|stage| stage.cost.peak_bytes <= one));
    assert!(plan.memory_bytes(2) > one && plan.memory_bytes(2) <= 2 * one);
    assert_eq!((plan.jobs_within(0), plan.jobs_within(one)), (1, 1));
    assert_eq!(plan.jobs_within(plan.memory_bytes(2)), 2);
    assert_eq!(plan.jobs_within(all), plan.stages.len() + plan.evaluations.len());
}

/// Two trainings of some hundred short steps.
const LONG: &str = r#"
edition 1

experiment long {
  data = digits(labels=coarse, test=25%, train=160 samples)
  encoder = mlp(widths=[16], out=8)
  loss { class = cross_entropy() }
  train { optimizer = adamw(lr=1e-3); batch = 16; for = 2000 steps }
  eval { near = knn(labels=fine) }
}

sweep seeds of long { seeds = 0..2 }
"#;

#[test]
fn the_fastest_division_is_measured_and_no_step_is_lost() {
    let lab = Lab::new();
    let plan = lab.plan(LONG);
    let mut divided = Vec::new();
    let mut watch = Watch::reacting(|event| {
        if let Event::Divided { jobs, gain, .. } = event {
            divided.push((*jobs, *gain));
        }
        Act::GoOn
    });
    on_threads(2, || lab.run_divided(&plan, &mut watch, Division::fastest(2)));
    let mut steps = watch.steps.clone();
    drop(watch);
    steps.sort_unstable();
    let once: Vec<usize> = (1..=2000).flat_map(|step| [step, step]).collect();
    assert_eq!(steps, once);
    assert_eq!(divided[..2], [(2, None), (1, None)]);
    let (jobs, gain) = divided[2];
    let gain = gain.expect("it has been measured");
    assert_eq!(jobs + gain.jobs, 3, "two jobs beside one, or the other way round");
    assert!(gain.times >= 1.0 && gain.times.is_finite(), "{gain:?}");
    assert!(divided[3..].iter().all(|(_, gain)| gain.is_none()));
}
