//! Every kernel's gradient against central differences in f64.

use balance::kernel::{BatchNorm, Conv2d, batch_norm, channel_affine, conv2d};

use crate::numeric::{check_gradients, normal};

fn check_conv(x: [usize; 4], weight: [usize; 4], conv: Conv2d) {
    let inputs = [normal("x", &x), normal("weight", &weight)];
    check_gradients(&inputs, |inputs| conv2d(&inputs[0], &inputs[1], conv));
}

#[test]
fn conv2d_with_columns() {
    check_conv([2, 6, 5, 3], [3, 3, 3, 4], Conv2d { stride: 1, padding: 1 });
    check_conv([2, 7, 7, 3], [3, 3, 3, 5], Conv2d { stride: 2, padding: 1 });
    check_conv([2, 8, 8, 2], [3, 3, 2, 5], Conv2d { stride: 2, padding: 1 });
    check_conv([1, 9, 8, 2], [5, 3, 2, 3], Conv2d { stride: 3, padding: 2 });
    check_conv([1, 4, 4, 2], [7, 7, 2, 3], Conv2d { stride: 2, padding: 3 });
    check_conv([3, 8, 8, 3], [4, 4, 3, 8], Conv2d { stride: 4, padding: 0 });
    check_conv([2, 8, 7, 3], [1, 1, 3, 4], Conv2d { stride: 2, padding: 0 });
}

#[test]
fn conv2d_with_one_pixel() {
    check_conv([2, 5, 7, 3], [1, 1, 3, 4], Conv2d { stride: 1, padding: 0 });
}

#[test]
fn conv2d_with_winograd() {
    let conv = Conv2d { stride: 1, padding: 1 };
    check_conv([2, 4, 6, 16], [3, 3, 16, 16], conv);
    check_conv([1, 7, 5, 16], [3, 3, 16, 32], conv);
    check_conv([3, 5, 9, 32], [3, 3, 32, 16], conv);
}

#[test]
fn batch_norm_with_and_without_residual_and_rectifier() {
    for (channels, relu) in [(3, false), (5, true), (16, true), (300, false)] {
        let shape = [2, 4, 3, channels];
        let norm = BatchNorm { epsilon: 1e-5, relu };
        let inputs = [normal("x", &shape), normal("scales", &[2, channels])];
        check_gradients(&inputs, |t| Ok(batch_norm(&t[0], &t[1], None, norm)?.output));
        let inputs = [&inputs[..], &[normal("residual", &shape)]].concat();
        check_gradients(&inputs, |t| Ok(batch_norm(&t[0], &t[1], Some(&t[2]), norm)?.output));
    }
}

#[test]
fn channel_affine_with_and_without_residual_and_rectifier() {
    for (channels, relu) in [(3, false), (5, true), (300, true)] {
        let shape = [4, 3, channels];
        let inputs = [normal("x", &shape), normal("scales", &[2, channels])];
        check_gradients(&inputs, |t| channel_affine(&t[0], &t[1], None, relu));
        let inputs = [&inputs[..], &[normal("residual", &shape)]].concat();
        check_gradients(&inputs, |t| channel_affine(&t[0], &t[1], Some(&t[2]), relu));
    }
}
