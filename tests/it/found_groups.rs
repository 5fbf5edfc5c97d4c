//! Groups that earlier stages find: what they are, that training reads them, and who says so;
//! against naive loops, blobs whose parts are known, and the accuracy of the classifier that errs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::ControlFlow;

use balance::catalog::{Bound, Features, ParamType, Value};
use balance::library::eval::{Site, Split};
use balance::library::grouping::{Found, GROUPINGS, Images, Seen};
use balance::library::{Library, build};
use balance::measure::Points;
use balance::measure::subclasses::Search;
use balance::plan::Plan;
use balance::run::{Event, Pool};
use balance::seed::Stream;
use serde_json::Value as Json;

use crate::lab::{Act, Lab, Watch, assert_same};

fn grouping(name: &str, args: &[(&str, Value)], seen: &Seen) -> Found {
    let entry = GROUPINGS.iter().find(|it| it.spec.name == name).expect("registered");
    let all = entry.spec.params.iter().map(|param| match param.default {
        Some(default) => default(),
        None => Features::Encoder("first".to_owned()).to_value(),
    });
    let bound = Bound { spec: &entry.spec, args: all.collect() };
    let bound = args.iter().fold(bound, |bound, (name, value)| bound.with(name, value.clone()));
    let site = &mut Site {
        library: &Library::standard(),
        stream: Stream::new(3),
        progress: &mut |_| ControlFlow::Continue(()),
    };
    build(GROUPINGS, &bound).find(seen, site).unwrap()
}

fn names() -> Vec<String> {
    ["even", "odd"].map(str::to_owned).to_vec()
}

/// Images of two classes, each with blobs at these centres; with the blob of each image.
fn blobs(centres: &[&[(f32, f32)]], count: usize, seed: u64) -> (Images, Vec<u32>) {
    let mut stream = Stream::new(seed);
    let (mut embeddings, mut labels, mut blobs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..count {
        let mut blob = 0;
        for (class, centres) in centres.iter().enumerate() {
            for (x, y) in *centres {
                embeddings.push(x + 0.1 * stream.normal() as f32);
                embeddings.push(y + 0.1 * stream.normal() as f32);
                labels.push(class as u32);
                blobs.push(blob);
                blob += 1;
            }
        }
    }
    (Images { embeddings, dim: 2, labels, scores: None }, blobs)
}

const CENTRES: [&[(f32, f32)]; 2] =
    [&[(0.0, 0.0), (3.0, 0.0), (0.0, 4.0)], &[(0.0, 0.0), (3.0, 3.0)]];

#[test]
fn errors_are_those_of_counting() {
    let mut stream = Stream::new(1);
    let mut images = |count: usize| {
        let scores: Vec<f32> = (0..2 * count).map(|_| stream.normal() as f32).collect();
        let labels = (0..count).map(|_| stream.below(2) as u32).collect();
        Images { embeddings: vec![0.0; count], dim: 1, labels, scores: Some(scores) }
    };
    let seen = Seen { classes: &names(), train: images(200), val: images(50) };
    let found = grouping("errors", &[], &seen);
    for (images, found) in [(&seen.train, &found.train), (&seen.val, &found.val)] {
        let scores = images.scores.as_ref().unwrap();
        assert_eq!(found.len(), images.labels.len());
        for (at, group) in found.iter().enumerate() {
            let guess = u32::from(scores[2 * at + 1] > scores[2 * at]);
            assert_eq!(*group, u32::from(guess != images.labels[at]));
        }
        assert!(found.contains(&0) && found.contains(&1));
    }
}

#[test]
fn clusters_are_the_blobs_of_each_class_and_no_two_classes_share_one() {
    let (train, blob) = blobs(&CENTRES, 60, 4);
    let (val, val_blob) = blobs(&CENTRES, 30, 5);
    let seen = Seen { classes: &names(), train, val };
    for method in ["kmeans", "gmm"] {
        let found = grouping("clusters", &[("method", Value::Word(method.to_owned()))], &seen);
        let mut group_of: BTreeMap<u32, u32> = BTreeMap::new();
        let pairs = blob.iter().zip(&found.train).chain(val_blob.iter().zip(&found.val));
        for (blob, group) in pairs {
            assert_eq!(group_of.entry(*blob).or_insert(*group), group, "{method}");
        }
        // Three clusters of the first class, two of the second, which begins at the eleventh name.
        let groups: BTreeSet<u32> = group_of.into_values().collect();
        assert_eq!(groups, BTreeSet::from([0, 1, 2, 10, 11]), "{method}");
    }
}

#[test]
fn a_given_number_of_clusters_and_a_class_without_images() {
    let (mut train, _) = blobs(&CENTRES, 20, 4);
    train.labels.fill(1);
    let (val, _) = blobs(&CENTRES, 5, 5);
    let seen = Seen { classes: &names(), train, val };
    let found = grouping("clusters", &[("k", Value::Int(4))], &seen);
    assert_eq!(found.train.iter().collect::<BTreeSet<_>>(), BTreeSet::from([&4, &5, &6, &7]));
    for (group, label) in found.val.iter().zip(&seen.val.labels) {
        assert!(if *label == 0 { *group == 0 } else { (4..8).contains(group) });
    }
}

/// One cluster that is two blobs: a part stays where its images are as hard as all, and no easier.
#[test]
fn a_part_of_a_cluster_stays_if_its_images_are_hard() {
    let centres = [&[(0.0, 0.0), (9.0, 0.0), (0.0, 9.0), (9.0, 9.0), (20.0, 20.0)][..]];
    let (images, blob) = blobs(&centres, 60, 6);
    let points = Points::new(&images.embeddings, 2);
    let search = Search::new(None, 5);
    let parts = |hard: Option<u32>| {
        let found = search.fit(points, 1, &Stream::new(1)).unwrap();
        let losses: Option<Vec<f64>> =
            hard.map(|hard| blob.iter().map(|it| f64::from(u8::from(*it == hard))).collect());
        let tree = search.cut((points, losses.as_deref()), None, found, &Stream::new(2));
        tree.predict(points)
    };
    let all: BTreeSet<u32> = parts(None).into_iter().collect();
    assert_eq!(all.len(), 5, "without losses all parts stay");
    for hard in 0..5 {
        // What is as easy as nothing goes back to the whole; its mean loss is 0.2.
        let labels = parts(Some(hard));
        let other = labels[(hard as usize + 1) % 5];
        for (label, blob) in labels.iter().zip(&blob) {
            assert_eq!(*label != other, *blob == hard);
        }
    }
}

const TEXT: &str = r#"
edition 1

experiment colors {
  data = colored(images=digits(), flipped=10%, val=20%)
  encoder = mlp(widths=[16], out=8)
  loss { class = cross_entropy() }
  train { optimizer = adamw(lr=3e-3); batch = 64; for = 2 epochs }
  stage first { train { for = 1 epochs } }
  stage twice {
    groups = errors(on=first)
    train { sampler = upweighted(times=20) }
  }
  stage robust {
    groups = clusters(on=first, k=3)
    loss { class = group_dro(adjustment=1) }
    train { sampler = balanced(by=group); keep = best(val.class.worst_found_group_accuracy) }
  }
  eval {
    base = classify(on=first)
    jtt = classify(on=twice)
    george = classify(on=robust)
  }
}
"#;

/// The same with `pairs` replaced.
fn text(pairs: &[(&str, &str)]) -> String {
    let replaced = |text: String, (from, to): &(&str, &str)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    };
    pairs.iter().fold(TEXT.to_owned(), replaced)
}

fn json(path: std::path::PathBuf) -> Json {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn digest(plan: &Plan, stage: &str) -> String {
    plan.stages.iter().find(|it| it.name == stage).unwrap().digest.text().to_owned()
}

/// What the first stage has wrong is what it is not accurate in; clusters lie within classes; and
/// the trainings differ from those without.
#[test]
fn trainings_read_what_was_found() {
    let lab = Lab::new();
    lab.complete(&text(&[]));
    let accuracy = |split: &str| {
        let results = lab.store().join("evaluations");
        let folders = crate::lab::folders(&results);
        let base = folders.iter().find(|it| it.to_string_lossy().contains("/base-")).unwrap();
        let result = json(base.join("result.json"));
        let scores = result["scores"].as_array().unwrap().clone();
        let is_it = |it: &&Json| it["split"] == split && it["metric"] == "accuracy";
        scores.iter().find(is_it).unwrap()["value"].as_f64().unwrap()
    };
    let kept = json(lab.stage("twice").join("groups.json"));
    for split in ["train", "val"] {
        let groups = kept[split].as_array().unwrap();
        let wrong = groups.iter().filter(|it| **it == 1).count();
        let expected = (1.0 - accuracy(split)) * groups.len() as f64;
        assert_eq!(wrong, expected.round() as usize, "{split}");
        assert!(wrong > 0);
    }
    let result = json(lab.stage("robust").join("result.json"));
    let found = result["found_groups"].as_array().unwrap();
    let names: Vec<&str> = found.iter().map(|it| it["group"].as_str().unwrap()).collect();
    let expected =
        ["below_5", "5_and_above"].map(|class| [1, 2, 3].map(|at| format!("{class} {at}")));
    assert_eq!(names, expected.concat());
    let all: u64 = found.iter().map(|it| it["train"].as_u64().unwrap()).sum();
    assert_eq!(all, result["data"]["train"].as_u64().unwrap());
    // One kind of draw, and how often: without the groups the state is another.
    let state =
        |lab: &Lab, stage| fs::read(lab.stage(stage).join("checkpoint.safetensors")).unwrap();
    let other = Lab::new();
    other.complete(&text(&[("upweighted(times=20)", "upweighted(times=1)"), ("k=3", "k=2")]));
    assert_eq!(state(&lab, "first"), state(&other, "first"));
    assert_ne!(state(&lab, "twice"), state(&other, "twice"));
    assert_ne!(state(&lab, "robust"), state(&other, "robust"));
}

#[test]
fn stopped_anywhere_they_come_to_the_same_bytes() {
    let whole = Lab::new();
    whole.complete(&text(&[]));
    let broken = Lab::new();
    let plan = broken.plan(&text(&[]));
    for steps in [4, 12, 25, 30] {
        let mut left = steps;
        let mut watch = Watch::reacting(move |event| {
            left -= usize::from(matches!(event, Event::Step { .. }) && left > 0);
            if left == 0 { Act::Stop } else { Act::GoOn }
        });
        assert!(broken.run(&plan, &mut watch).stopped);
    }
    broken.complete(&text(&[]));
    assert_same(&whole.contents(), &broken.contents());
}

#[test]
fn the_search_for_groups_tells_how_far_it_is_and_can_be_stopped() {
    let text = text(&[(", k=3)", ")")]);
    let whole = Lab::new();
    let mut shares = Vec::new();
    let mut watch = Watch::reacting(|event| {
        if let Event::Grouping { stage, share, .. } = event
            && stage.name == "robust"
        {
            shares.push(*share);
        }
        Act::GoOn
    });
    whole.run(&whole.plan(&text), &mut watch);
    drop(watch);
    assert_eq!((shares[0], shares[shares.len() - 1]), (0.0, 1.0));
    assert!(shares.len() > 10 && shares.is_sorted(), "{shares:?}");
    let broken = Lab::new();
    for least in [0.0, 0.2, 0.9] {
        let mut watch = Watch::reacting(|event| match event {
            Event::Grouping { stage, share, .. } if stage.name == "robust" && *share >= least => {
                Act::Stop
            }
            _ => Act::GoOn,
        });
        assert!(broken.run(&broken.plan(&text), &mut watch).stopped);
        assert!(!watch.trained.iter().any(|name| name == "robust"), "{:?}", watch.trained);
    }
    broken.complete(&text);
    assert_same(&whole.contents(), &broken.contents());
}

#[test]
fn a_group_that_nobody_is_in_is_told_of() {
    // Color alone tells the classes, so the first stage has nothing wrong.
    let easy = [("flipped=10%", "flipped=0%"), ("for = 1 epochs", "for = 30 epochs")];
    for (pairs, expected) in [(&[][..], None), (&easy[..], Some("wrong"))] {
        let (lab, mut told) = (Lab::new(), None);
        let mut watch = Watch::reacting(|event| {
            if let Event::EmptyGroup { stage, group } = event {
                assert_eq!(stage.name, "twice");
                told = Some((*group).to_owned());
            }
            Act::GoOn
        });
        assert!(!lab.run(&lab.plan(&text(pairs)), &mut watch).stopped);
        drop(watch);
        assert_eq!(told.as_deref(), expected);
    }
}

#[test]
fn groups_that_are_gone_are_named() {
    let lab = Lab::new();
    lab.complete(&text(&[]));
    let kept = lab.stage("twice").join("groups.json");
    fs::remove_file(&kept).unwrap();
    fs::remove_dir_all(lab.store().join("evaluations")).unwrap();
    let mut watch = Watch::default();
    lab.run(&lab.plan(&text(&[])), &mut watch);
    let said = watch.failures.join("\n");
    assert!(said.contains("groups.json cannot be used: it is missing"), "{said}");
    assert_eq!(watch.evaluated.len(), 3);
}

#[test]
fn an_address_follows_what_is_found_and_by_whom() {
    let lab = Lab::new();
    let plan = lab.plan(&text(&[]));
    let names: Vec<&str> = plan.stages.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["first", "twice", "robust"]);
    let differs = |pairs: &[(&str, &str)], stage: &str| {
        digest(&lab.plan(&text(pairs)), stage) != digest(&plan, stage)
    };
    assert!(differs(&[("for = 1 epochs", "for = 3 epochs")], "twice"));
    assert!(differs(&[("k=3", "k=4")], "robust") && !differs(&[("k=3", "k=4")], "twice"));
    assert!(differs(&[("times=20", "times=21")], "twice"));
    // A group is known by its place among the names, not by its name.
    let of_data = |names: &str| {
        let data = format!("colored(images=digits(), val=20%, groups=[group({{{names}}})])");
        let plan = lab.plan(&format!(
            "edition 1\nexperiment a {{\n  data = {data}\n  encoder = mlp()\n  \
             loss {{ class = cross_entropy() }}\n  train {{ optimizer = adamw(lr=1e-3); batch = 64; \
             for = 1 epochs; sampler = upweighted(group=\"a\", times=5) }}\n  \
             eval {{ c = classify() }}\n}}\n"
        ));
        plan.stages[0].digest.text().to_owned()
    };
    let halves = ["[0, 1, 2, 3, 4]", "[5, 6, 7, 8, 9]"];
    let named = |a: &str, b: &str| format!("\"{a}\" = {}, \"{b}\" = {}", halves[0], halves[1]);
    assert_ne!(of_data(&named("a", "b")), of_data(&named("b", "a")));
    assert_eq!(of_data(&named("a", "b")), of_data(&named("a", "c")));
    // Groups that nothing reads change nothing, and need no stage.
    let unread = [("sampler = upweighted(times=20)", "sampler = shuffled()")];
    let without = [unread[0], ("groups = errors(on=first)", "")];
    let digests = [&unread[..], &without[..]].map(|pairs| digest(&lab.plan(&text(pairs)), "twice"));
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn the_ledger_says_who_has_found_groups() {
    let uses = |pairs: &[(&str, &str)], evaluation: &str| {
        let plan = Lab::new().plan(&text(pairs));
        let found = plan.evaluations.iter().find(|it| it.name == evaluation).unwrap();
        found.group_labels.as_ref().expect("the data have groups").to_string()
    };
    let report = "report train + val + test";
    assert_eq!(uses(&[], "base"), format!("train –, select –, {report}"));
    let found = "groups found by first";
    assert_eq!(uses(&[], "jtt"), format!("train –, select –, {report}; {found}"));
    assert_eq!(uses(&[], "george"), format!("train –, select –, {report}; {found}"));
    // Chosen by the true groups, or found by what has read them.
    let chosen = [("worst_found_group", "worst_group")];
    assert_eq!(uses(&chosen, "george"), format!("train –, select val, {report}; {found}"));
    let told = [("train { for = 1 epochs }", "loss { class = group_dro() }")];
    assert_eq!(uses(&told, "jtt"), format!("train train, select –, {report}; {found}"));
}

/// Where a colour is most of an image, what a short training has wrong are the images of the other
/// colour, and clusters inside a class are its colours.
#[test]
fn in_colours_the_true_groups_are_found() {
    let lab = Lab::new();
    let text = text(&[
        ("flipped=10%", "flipped=5%"),
        ("widths=[16], out=8", "widths=[64], out=16"),
        ("for = 1 epochs", "for = 3 epochs"),
        ("k=3", "k=2"),
    ]);
    lab.complete(&text);
    let plan = lab.plan(&text);
    let pool = Pool::load(&plan.stages[0].data, &lab.library, &lab.path("data")).unwrap();
    let kept = |stage: &str| {
        let groups = json(lab.stage(stage).join("groups.json"))["train"].clone();
        groups.as_array().unwrap().iter().map(|it| it.as_u64().unwrap()).collect::<Vec<u64>>()
    };
    let truth = pool.groups_of(Split::Train);
    // Red below five and green above agree: the first group and the last.
    let is_rare = |group: &u32| pool.group_names[*group as usize].contains("green") == (*group < 2);
    let rare = truth.iter().filter(|it| is_rare(it)).count();
    let wrong = kept("twice");
    let both = truth.iter().zip(&wrong).filter(|(group, it)| is_rare(group) && **it == 1).count();
    assert!(rare > 40 && both as f64 >= 0.9 * rare as f64);
    let clusters = kept("robust");
    let mut tables: BTreeMap<(u64, u32), usize> = BTreeMap::new();
    for (cluster, group) in clusters.iter().zip(&truth) {
        *tables.entry((*cluster, *group)).or_default() += 1;
    }
    assert_eq!(tables.len(), 4, "each cluster is one group");
}
