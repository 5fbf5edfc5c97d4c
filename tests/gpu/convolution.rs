//! Convolutions, by cuDNN where it is there and without it.

use balance::kernel::{self, Conv2d, without_cudnn};
use candle_core::Tensor;

use crate::beside::{same, tensor};

/// [N,H,W,C], then side, filters, stride and padding.
const CASES: [([usize; 4], [usize; 4]); 17] = [
    ([2, 8, 8, 8], [3, 16, 1, 1]),
    ([1, 5, 7, 3], [3, 5, 1, 1]),
    ([3, 9, 11, 5], [3, 8, 2, 1]),
    ([2, 32, 32, 3], [3, 64, 1, 1]),
    ([4, 16, 16, 64], [3, 64, 1, 1]),
    ([4, 16, 16, 64], [3, 3, 1, 1]),
    ([4, 16, 16, 64], [3, 128, 2, 1]),
    ([4, 15, 17, 64], [3, 72, 2, 1]),
    ([2, 8, 8, 64], [1, 32, 1, 0]),
    ([2, 9, 7, 64], [1, 32, 2, 0]),
    ([1, 4, 4, 5], [1, 3, 1, 0]),
    ([3, 33, 31, 3], [7, 8, 2, 3]),
    ([1, 7, 7, 8], [7, 8, 1, 0]),
    ([2, 6, 6, 8], [2, 4, 2, 0]),
    ([2, 6, 5, 4], [3, 4, 3, 2]),
    ([70, 12, 12, 16], [3, 8, 1, 1]),
    ([1, 1, 1, 8], [3, 8, 1, 1]),
];

fn check(name: &str) {
    for (shape, [side, filters, stride, padding]) in CASES {
        let weight = tensor(&[side, side, shape[3], filters], 2);
        let conv = Conv2d { stride, padding };
        let name = format!("{name} of {shape:?} by {side}, {filters} filters, {conv:?}");
        same(&name, &[tensor(&shape, 1), weight], |it| kernel::conv2d(&it[0], &it[1], conv));
    }
}

#[test]
fn convolutions_are_those_of_the_cpu() {
    check("the convolution");
}

#[test]
fn convolutions_without_cudnn_are_those_of_the_cpu() {
    without_cudnn(|| check("the convolution without cuDNN"));
}

#[test]
fn sums_are_cut_into_shares_of_windows() {
    // More windows than a share has, and a number that shares do not divide.
    let inputs = [tensor(&[13, 29, 23, 4], 1), tensor(&[3, 3, 4, 6], 2)];
    let conv = Conv2d { stride: 1, padding: 1 };
    without_cudnn(|| same("shares", &inputs, |it| kernel::conv2d(&it[0], &it[1], conv)));
}

#[test]
fn kernels_of_unequal_sides_are_those_of_the_cpu() {
    let inputs: [Tensor; 2] = [tensor(&[2, 9, 8, 8], 1), tensor(&[2, 3, 8, 16], 2)];
    for padding in [0, 1] {
        let conv = Conv2d { stride: 1, padding };
        same("unequal sides", &inputs, |it| kernel::conv2d(&it[0], &it[1], conv));
    }
}
