//! Whether training learns: what is known of a loss before, during and after.

use std::path::Path;

use balance::catalog::{Amount, DatasetFacts, ImageShape, Labels, Natural};
use balance::component;
use balance::data::{DataError, FINE, Images, Raw, Split, describe};
use balance::library::dataset::Dataset;
use balance::run::Event;

use crate::lab::{Act, Lab, Watch};

/// The losses of every step.
fn losses(lab: &Lab, text: &str) -> Vec<f64> {
    let mut losses = Vec::new();
    let mut watch = Watch::reacting(|event| {
        if let Event::Step { loss, .. } = event {
            losses.push(*loss);
        }
        Act::GoOn
    });
    let outcome = lab.run(&lab.plan(text), &mut watch);
    assert_eq!(outcome.failures(), 0, "{:?}", outcome.trials);
    drop(watch);
    losses
}

#[test]
fn before_the_first_step_cross_entropy_is_the_logarithm_of_the_classes() {
    for encoder in ["mlp()", "resnet(depth=8, width=16)", "vit(patch=2, dim=32, depth=2, heads=2)"]
    {
        for (labels, classes) in [("fine", 10.0f64), ("coarse", 2.0)] {
            let text = format!(
                "edition 1
                experiment first {{
                  data = digits(labels={labels})
                  augment {{ norm = normalize() }}
                  encoder = {encoder}
                  loss {{ class = 1.0 * cross_entropy() }}
                  train {{ optimizer = adamw(lr=1e-3); batch = 256; for = 1 steps }}
                  eval {{ near = knn(labels=fine) }}
                }}"
            );
            let loss = losses(&Lab::new(), &text)[0];
            assert!((loss / classes.ln() - 1.0).abs() < 0.1, "{encoder} {labels}: {loss}");
        }
    }
}

#[test]
fn one_batch_is_learned_by_heart() {
    for encoder in [
        "mlp()",
        "cnn(widths=[16, 32])",
        "cnn(widths=[16, 32], norm=none)",
        "resnet(depth=8, width=16)",
        "resnet(depth=8, width=16, norm=group, groups=4)",
        "resnet(depth=50, width=4)",
        "wide_resnet(depth=10, widen=1)",
    ] {
        let text = format!(
            "edition 1
            experiment heart {{
              data = digits(labels=fine, train=32 samples)
              augment {{ norm = normalize() }}
              encoder = {encoder}
              loss {{ class = 1.0 * cross_entropy() }}
              train {{ optimizer = adamw(lr=1e-2); batch = 32; for = 100 steps }}
              eval {{ near = knn(labels=fine) }}
            }}"
        );
        let losses = losses(&Lab::new(), &text);
        assert!(losses.len() == 100 && losses[99] < 0.01, "{encoder}: {}", losses[99]);
    }
}

component! {
    /// Two classes of noise, one darker than the other.
    Dataset as dyn Dataset, version 1;
    clusters => Clusters {
        /// The labels training sees.
        labels: Labels = Labels::Column("fine".to_owned()),
        /// For validation.
        val: Amount = Amount::Fraction(0.2),
        /// For the test split.
        test: Amount = Amount::Fraction(0.2),
        /// Fixes the division.
        split_seed: Natural = 0,
    }
}

const IMAGES: usize = 500;

impl Dataset for Clusters {
    fn facts(&self, _root: &Path) -> DatasetFacts {
        let names = vec!["dark".to_owned(), "bright".to_owned()];
        DatasetFacts {
            image: ImageShape { height: 4, width: 4, channels: 1 },
            coarse: (names.clone(), vec![0, 1]),
            fine: names,
            train: IMAGES,
            test: None,
            digest: "clusters".to_owned(),
            ..DatasetFacts::default()
        }
    }

    fn load(&self, _root: &Path) -> Result<Raw, DataError> {
        let fine: Vec<u32> = (0..IMAGES as u32).map(|image| image % 2).collect();
        let pixel = |at: usize| (100 * (at / 16 % 2) + at * at % 97) as u8;
        let images = Images {
            height: 4,
            width: 4,
            channels: 1,
            pixels: (0..IMAGES * 16).map(pixel).collect(),
            labels: vec![(FINE.to_owned(), fine)],
        };
        let description = describe("digits").expect("it is known");
        let splits = vec![(Split::Pool, images)];
        Ok(Raw { description, splits, sha256: "clusters".to_owned(), content: "made up" })
    }
}

#[test]
fn two_separable_clusters_are_told_apart() {
    let mut lab = Lab::new();
    lab.library.datasets.push(&ENTRY);
    let text = "edition 1
        experiment apart {
          data = clusters()
          augment { norm = normalize() }
          encoder = mlp(widths=[16], out=8)
          loss { class = 1.0 * cross_entropy() }
          train { optimizer = adamw(lr=1e-2); batch = 50; for = 10 epochs }
          eval { probe = linear(labels=fine, for=10 epochs); near = knn(labels=fine) }
        }";
    let outcome = lab.complete(text).remove(0);
    for evaluated in outcome.trials[0].evaluations.iter().flatten() {
        assert!(evaluated.scores.iter().any(|score| score.split == "test"));
        for score in evaluated.scores.iter().filter(|score| score.metric == "accuracy") {
            assert_eq!(score.value, 1.0, "{} {score:?}", evaluated.evaluation);
        }
    }
    let log = std::fs::read_to_string(lab.stage("main").join("metrics.jsonl")).unwrap();
    assert!(log.lines().last().unwrap().contains(r#""val.class.accuracy":1.0"#), "{log}");
}
