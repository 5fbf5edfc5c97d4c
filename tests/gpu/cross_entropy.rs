//! Cross-entropy. Results have an axis, since candle adds up no scalars on a card.

use balance::kernel::{Portion, cross_entropy, cross_entropy_mixed, cross_entropy_weighted};

use crate::beside::{same, tensor};

fn labels(rows: usize, classes: usize, step: usize) -> Vec<u32> {
    (0..rows).map(|row| ((row * step + row / 3) % classes) as u32).collect()
}

#[test]
fn cross_entropy_is_that_of_the_cpu() {
    for (rows, classes) in [(1, 1), (1, 7), (3, 33), (130, 10), (517, 2), (65, 1000)] {
        let (of, inputs) = (labels(rows, classes, 5), [tensor(&[rows, classes], 1)]);
        for smoothing in [0.0, 0.1] {
            let name = format!("cross-entropy of {rows} x {classes}, {smoothing}");
            same(&name, &inputs, |it| cross_entropy(&(&it[0] * 6.0)?, &of, smoothing)?.reshape(1));
        }
    }
}

#[test]
fn weights_and_portions_are_those_of_the_cpu() {
    let (rows, classes) = (77, 5);
    let (one, other) = (labels(rows, classes, 3), labels(rows, classes, 7));
    let weights = [0.0, 2.0, 0.5, 1.0, 3.0];
    let inputs = [tensor(&[rows, classes], 2)];
    for weights in [None, Some(&weights[..]), Some(&[0.0; 5][..])] {
        same("weighted", &inputs, |it| {
            cross_entropy_weighted(&it[0], &one, 0.1, weights)?.reshape(1)
        });
        let parts = [Portion { labels: &one, share: 0.7 }, Portion { labels: &other, share: 0.3 }];
        same("mixed", &inputs, |it| cross_entropy_mixed(&it[0], &parts, 0.2, weights)?.reshape(1));
    }
}
