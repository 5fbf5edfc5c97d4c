//! Spectral norms. Weights and what is made of them are f32 on the card too.

use balance::kernel::{self, Conv2d, Effort, Map};
use candle_core::{DType, Tensor};

use crate::beside::{same_in, tensor};

/// A weight, its map, and a vector to begin from.
fn layers() -> Vec<(Tensor, Map, Tensor)> {
    let conv = |stride, padding, size| Map::Convolution { conv: Conv2d { stride, padding }, size };
    vec![
        (tensor(&[7, 5], 1), Map::Matrix, tensor(&[5], 2)),
        (tensor(&[64, 300], 1), Map::Matrix, tensor(&[300], 2)),
        (tensor(&[1, 9], 1), Map::Matrix, tensor(&[9], 2)),
        (tensor(&[3, 3, 3, 8], 1), conv(1, 1, [9, 7]), tensor(&[9, 7, 3], 2)),
        (tensor(&[3, 3, 16, 32], 1), conv(2, 1, [8, 8]), tensor(&[8, 8, 16], 2)),
    ]
}

const TYPES: &[(DType, f64)] = &[(DType::F32, 1e-5)];

#[test]
fn iterations_are_those_of_the_cpu() {
    for (weight, map, start) in layers() {
        for times in [1, 3] {
            let inputs = [weight.clone()];
            let name = format!("{times} iterations of {:?}", weight.dims());
            same_in(&name, &inputs, TYPES, |it| {
                let start = start.to_device(it[0].device())?;
                let found = kernel::singular(&it[0], map, &start, Effort::Times(times))?;
                let bounded = kernel::bounded(&it[0], &found.slope, 0.7)?.flatten_all()?;
                Tensor::cat(&[bounded, found.right.flatten_all()?], 0)
            });
        }
    }
}

#[test]
fn settled_values_are_those_of_the_cpu() {
    for (weight, map, start) in layers() {
        let find = |device| {
            let on = |it: &Tensor| it.to_device(device).expect("a copy");
            let effort = Effort::Settled(500);
            kernel::singular(&on(&weight), map, &on(&start), effort).expect("a value").value
        };
        let (expected, found) = (find(&candle_core::Device::Cpu), find(&crate::beside::card()));
        assert!((found / expected - 1.0).abs() < 1e-4, "{found} is not {expected}");
    }
}

#[test]
fn a_weight_of_zeros_stays_one() {
    let weight = tensor(&[6, 4], 1).zeros_like().expect("zeros");
    same_in("zeros", &[weight], TYPES, |it| {
        let start = tensor(&[4], 2).to_device(it[0].device())?;
        let found = kernel::singular(&it[0], Map::Matrix, &start, Effort::Settled(10))?;
        kernel::bounded(&it[0], &found.slope, 2.0)
    });
}
