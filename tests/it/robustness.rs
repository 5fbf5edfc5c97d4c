//! Evaluations that look further than features: at the last state beside the best, at loss terms by
//! themselves, at corrupted images, and at labels that training saw changed.

use std::collections::BTreeMap;
use std::fs;

use balance::run::Outcome;
use serde_json::Value;

use crate::lab::{Act, Lab, Watch, contents};
use crate::worked::{Asked, work_all};

fn file(train: &str, data: &str, eval: &str) -> String {
    format!(
        "edition 1\nexperiment a {{\n  data = digits(labels=coarse, val=20%, {data})\n  \
         encoder = mlp(widths=[32], out=16)\n  loss {{ class = cross_entropy() }}\n  \
         train {{ optimizer = adamw(lr=5e-2); batch = 50; for = 8 epochs; {train} }}\n  \
         eval {{ {eval} }}\n}}\n"
    )
}

/// The scores of the only trial, by `evaluation.split.metric`.
fn scores(outcome: &Outcome) -> BTreeMap<String, f64> {
    let evaluated = outcome.trials.iter().flat_map(|trial| trial.evaluations.iter().flatten());
    let named = evaluated.flat_map(|it| {
        let name = |split: &str, metric: &str| format!("{}.{split}.{metric}", it.evaluation);
        it.scores.iter().map(move |score| (name(&score.split, &score.metric), score.value))
    });
    named.collect()
}

#[test]
fn the_best_and_the_last_state_are_measured_of_one_training() {
    let eval = "best = knn(); last = knn(on=last); named = knn(on=last(main.encoder))\n    \
                apart = cka(with=last(main.encoder))";
    // The validation accuracy of so hasty a training falls again before its end.
    let (hasty, data) = ("keep = best(val.class.accuracy)", "train=300 samples");
    let both = Lab::new();
    let found = scores(&both.complete(&file(hasty, data, eval))[0]);
    let get = |name: &str| found[name];
    let log = fs::read_to_string(both.stage("main").join("metrics.jsonl")).unwrap();
    let accuracy = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["val.class.accuracy"].as_f64().unwrap()
    };
    let all: Vec<f64> = log.lines().map(accuracy).collect();
    let most = all.iter().copied().fold(0.0, f64::max);
    assert!(*all.last().unwrap() < most, "the last epoch is the best: {all:?}");
    assert!(get("apart.test.cka") < 1.0 - 1e-6);
    // The same training that keeps its last state gives that of it.
    let last = Lab::new();
    let alone = scores(&last.complete(&file("keep = last", data, eval))[0]);
    for split in ["val", "test"] {
        let name = |which: &str| format!("{which}.{split}.accuracy");
        assert_eq!(found[&name("last")], alone[&name("best")]);
        assert_eq!(found[&name("last")], found[&name("named")]);
        assert_eq!(alone[&name("last")], alone[&name("best")]);
    }
    assert!(["val", "test"].iter().any(|split| {
        found[&format!("best.{split}.accuracy")] != found[&format!("last.{split}.accuracy")]
    }));
    assert_eq!(alone["apart.test.cka"], 1.0);
}

#[test]
fn a_training_that_was_stopped_leaves_both_states_all_the_same() {
    let text = file("keep = best(val.class.accuracy)", "train=300 samples", "last = knn(on=last)");
    let (whole, pieces) = (Lab::new(), Lab::new());
    whole.complete(&text);
    let plan = pieces.plan(&text);
    for step in [9, 30] {
        assert!(pieces.run(&plan, &mut Watch::at_step(step, Act::Stop)).stopped);
    }
    assert!(!pieces.run(&plan, &mut Watch::default()).stopped);
    assert_eq!(contents(&whole.store()), contents(&pieces.store()));
}

#[test]
fn a_probe_may_see_an_encoder_that_drops() {
    let probe = |encoder: &str, dropout: &str| {
        let eval = format!(
            "probe = linear(labels=fine, for=2 epochs, features=augmented, dropout={dropout})"
        );
        let text = file("keep = last", "train=200 samples", &eval);
        let text = text.replace("mlp(widths=[32], out=16)", encoder);
        scores(&Lab::new().complete(&text)[0])
    };
    let drops = "vit(patch=4, dim=16, heads=2, depth=1, dropout=40%)";
    let [whole, dropped] = ["off", "released"].map(|it| probe(drops, it));
    assert_ne!(whole, dropped);
    assert_eq!(probe(drops, "released"), dropped);
    // Where nothing drops, there is nothing to see.
    let whole = "mlp(widths=[32], out=16)";
    assert_eq!(probe(whole, "off"), probe(whole, "released"));
}

#[test]
fn each_term_stands_beside_the_sum() {
    let lab = Lab::new();
    let text = "edition 1\nexperiment a {\n  data = digits(labels=coarse, train=400 samples)\n  \
                encoder = mlp(widths=[32], out=16)\n  views = 2\n  loss {\n    \
                sup = 0.5 * supcon()\n    near = 0.1 * infonce()\n    \
                mse = class_autoencoder(decoder=mlp_decoder(widths=[32]))\n  }\n  \
                train { optimizer = adamw(lr=5e-3); batch = 100; for = 150 steps }\n  \
                eval { trade = permutation(labels=fine, within=coarse) }\n}\n";
    let outcome = lab.complete(text).remove(0);
    let all = scores(&outcome);
    let evaluated = outcome.trials[0].evaluations[0].as_ref().unwrap();
    let term = |name: &str| evaluated.terms.iter().find(|it| it.term == name).unwrap();
    assert_eq!(evaluated.terms.len(), 3);
    for name in ["sup", "near"] {
        let (before, after) = (term(name).before, term(name).after);
        assert!(before > 0.0 && (before / after - 1.0).abs() < 1e-5, "{name}: {before} {after}");
    }
    assert!(term("mse").after > 1.005 * term("mse").before);
    let sum = term("sup").before + term("near").before;
    assert!((sum - all["trade.train.loss"]).abs() < 1e-9);
    assert!((term("mse").after - all["trade.train.permuted_seeing_loss"]).abs() < 1e-9);
    let written = contents(&lab.store());
    let is_result = |path: &&String| path.contains("trade") && path.ends_with("result.json");
    let path = written.keys().find(is_result).unwrap();
    let result: Value = serde_json::from_slice(&written[path]).unwrap();
    assert_eq!(result["terms"][2]["sees"], "image");
}

#[test]
fn corrupted_images_are_guessed_by_what_has_seen_clean_ones() {
    let eval = "probe = linear(labels=coarse, optimizer=lbfgs(), standardize=true)\n    \
                weather = corruptions(labels=coarse)\n    \
                own = corruptions(labels=coarse, head=trained, kinds=[contrast], severities=[1, 5])\n    \
                weak = corruptions(labels=coarse, kinds=[contrast, shot_noise], severities=[1])\n    \
                strong = corruptions(labels=coarse, kinds=[contrast], severities=[5])\n    \
                twice = corruptions(labels=coarse, kinds=[contrast, contrast, brightness], severities=[3, 3])";
    let text = file("", "train=500 samples", eval);
    let (lab, again) = (Lab::new(), Lab::new());
    let found = scores(&lab.complete(&text)[0]);
    let get = |name: &str| found[name];
    assert_eq!(get("weather.test.clean_accuracy"), get("probe.test.accuracy"));
    // Digits have no color.
    assert!(!found.contains_key("weather.test.saturate_accuracy"));
    let kinds: Vec<f64> = found
        .iter()
        .filter(|(name, _)| name.starts_with("weather.test.") && name.ends_with("_accuracy"))
        .filter(|(name, _)| !name.ends_with("clean_accuracy"))
        .map(|(_, value)| *value)
        .collect();
    assert_eq!(kinds.len(), 9);
    let mean = kinds.iter().sum::<f64>() / 9.0;
    assert!((get("weather.test.accuracy") - mean).abs() < 1e-12);
    assert!(mean < get("weather.test.clean_accuracy"));
    let (weak, strong) = (get("weak.test.contrast_accuracy"), get("strong.test.contrast_accuracy"));
    assert!(strong < weak, "{strong} {weak}");
    // A kind that is named twice counts once.
    let (contrast, brightness) =
        (get("twice.test.contrast_accuracy"), get("twice.test.brightness_accuracy"));
    assert!(contrast != brightness);
    assert!((get("twice.test.accuracy") - 0.5 * (contrast + brightness)).abs() < 1e-12);
    let own = get("own.test.contrast_accuracy");
    assert!(own > 0.5 && own < get("own.test.clean_accuracy"), "{own}");
    again.complete(&text);
    assert_eq!(contents(&lab.store()), contents(&again.store()));
}

#[test]
fn a_head_that_no_term_trains_is_refused_before_training() {
    let codes = |labels: &str| {
        let text = file(
            "",
            "train=500 samples",
            &format!("w = corruptions(labels={labels}, head=trained)"),
        );
        work_all(&[("a.exp", &text)], &Asked::default()).codes()
    };
    assert!(codes("fine").contains(&"B0104"));
    assert!(!codes("coarse").contains(&"B0104"));
}

#[test]
fn changed_labels_are_found_by_their_neighbours() {
    let lab = Lab::new();
    let data = "train=500 samples, label_noise=20%";
    // So short a training learns no single label by heart.
    let text = file("", data, "noise = noisy_labels(k=15)")
        .replace("lr=5e-2", "lr=1e-2")
        .replace("8 epochs", "4 epochs");
    let found = scores(&lab.complete(&text)[0]);
    assert_eq!(found["noise.train.observed_accuracy"], 0.8);
    assert!(found["noise.train.accuracy"] > 0.85, "{found:?}");
    assert!(found["noise.train.auroc"] > 0.9, "{found:?}");
}
