//! What pools, averages or repeats pixels.

use balance::kernel::{self, MaxPool};
use candle_core::Tensor;

use crate::beside::{halves, same, tensor};

/// Images whose channels fill vectors and do not.
const SHAPES: [[usize; 4]; 6] =
    [[2, 8, 8, 8], [3, 7, 9, 5], [1, 5, 6, 64], [5, 16, 15, 3], [2, 4, 4, 132], [70, 3, 3, 16]];

/// Which of two pixels is larger must not depend on the type.
fn images(shape: &[usize]) -> [Tensor; 1] {
    [halves(&tensor(shape, 1))]
}

const POOLS: [MaxPool; 4] = [
    MaxPool { side: 2, stride: 2, padding: 0 },
    MaxPool { side: 3, stride: 2, padding: 1 },
    MaxPool { side: 3, stride: 1, padding: 1 },
    MaxPool { side: 2, stride: 3, padding: 1 },
];

#[test]
fn max_pools_are_those_of_the_cpu() {
    for shape in SHAPES {
        for pool in POOLS {
            let name = format!("{pool:?} of {shape:?}");
            same(&name, &images(&shape), |it| kernel::max_pool(&it[0], pool));
        }
    }
}

#[test]
fn of_equal_pixels_the_first_gets_the_gradient() {
    for shape in SHAPES {
        // A few values, so that most windows have some that are equal.
        let x = ((tensor(&shape, 1) * 1.5).expect("a product")).round().expect("numbers");
        for pool in POOLS {
            let inputs = std::slice::from_ref(&x);
            same(&format!("equal, {pool:?}"), inputs, |it| kernel::max_pool(&it[0], pool));
        }
    }
}

#[test]
fn averages_are_those_of_the_cpu() {
    for shape in SHAPES {
        same(&format!("average of {shape:?}"), &images(&shape), |it| {
            kernel::global_average_pool(&it[0])
        });
    }
}

#[test]
fn nearest_pixels_are_those_of_the_cpu() {
    for shape in SHAPES {
        for [height, width] in [[16, 16], [7, 14], [3, 2], [1, 31]] {
            let name = format!("{shape:?} as {height} by {width}");
            same(&name, &images(&shape), |it| kernel::upsample_nearest(&it[0], height, width));
        }
    }
}
