//! Every kernel's gradient against central differences in f64.

use balance::kernel::*;
use candle_core::{DType, Tensor};

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
fn conv2d_of_few_channels() {
    let conv = Conv2d { stride: 1, padding: 1 };
    check_conv([2, 5, 14, 1], [3, 3, 1, 16], conv);
    check_conv([1, 4, 17, 3], [3, 3, 3, 16], conv);
    check_conv([1, 3, 14, 16], [3, 3, 16, 32], conv);
    check_conv([2, 4, 9, 32], [3, 3, 32, 32], conv);
    check_conv([1, 5, 16, 20], [5, 3, 20, 16], Conv2d { stride: 1, padding: 2 });
    check_conv([2, 6, 28, 16], [3, 3, 16, 16], Conv2d { stride: 2, padding: 1 });
    check_conv([1, 7, 19, 32], [3, 3, 32, 64], Conv2d { stride: 2, padding: 1 });
    check_conv([2, 5, 14, 32], [1, 1, 32, 32], Conv2d { stride: 2, padding: 0 });
    check_conv([1, 4, 16, 16], [1, 1, 16, 16], Conv2d { stride: 1, padding: 0 });
    check_conv([1, 9, 27, 32], [2, 2, 32, 32], Conv2d { stride: 3, padding: 0 });
}

#[test]
fn conv2d_with_winograd() {
    let conv = Conv2d { stride: 1, padding: 1 };
    check_conv([2, 4, 6, 48], [3, 3, 48, 64], conv);
    check_conv([1, 7, 5, 64], [3, 3, 64, 48], conv);
    check_conv([3, 5, 9, 48], [3, 3, 48, 48], conv);
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
fn group_norm_with_and_without_residual_and_rectifier() {
    for (channels, groups, relu) in [(3, 1, false), (6, 3, true), (16, 16, true), (300, 4, false)] {
        let shape = [2, 4, 3, channels];
        let norm = GroupNorm { groups, epsilon: 1e-5, relu };
        let inputs = [normal("x", &shape), normal("scales", &[2, channels])];
        check_gradients(&inputs, |t| group_norm(&t[0], &t[1], None, norm));
        let inputs = [&inputs[..], &[normal("residual", &shape)]].concat();
        check_gradients(&inputs, |t| group_norm(&t[0], &t[1], Some(&t[2]), norm));
    }
}

#[test]
fn max_pool_with_and_without_padding() {
    for (side, stride, padding) in [(2, 2, 0), (3, 2, 1), (3, 1, 1), (2, 3, 0)] {
        let images = [normal("x", &[2, 7, 6, 5])];
        check_gradients(&images, |t| max_pool(&t[0], MaxPool { side, stride, padding }));
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

#[test]
fn linear_with_and_without_bias_and_rectifier() {
    for (inputs, outputs, relu) in [(5, 7, false), (33, 3, true), (300, 301, true)] {
        let tensors = [
            normal("x", &[2, 3, inputs]),
            normal("weight", &[outputs, inputs]),
            normal("bias", &[outputs]),
        ];
        check_gradients(&tensors[..2], |t| linear(&t[0], &t[1], None, relu));
        check_gradients(&tensors, |t| linear(&t[0], &t[1], Some(&t[2]), relu));
    }
}

#[test]
fn sums_of_a_branch_and_what_it_goes_past() {
    let tensors = [normal("x", &[3, 5]), normal("y", &[3, 5])];
    check_gradients(&tensors, |t| sum(&t[0], &t[1]));
    check_gradients(&tensors[..1], |t| sum(&t[0], &t[0]));
    assert!(sum(&tensors[0], &normal("z", &[5, 3])).is_err());
}

#[test]
fn activations() {
    check_gradients(&[normal("x", &[7, 5])], |t| gelu(&t[0]));
    check_gradients(&[normal("x", &[7, 5])], |t| relu(&t[0]));
}

#[test]
fn what_lies_between_kernels() {
    let x = [normal("x", &[4, 6]), normal("y", &[4, 4])];
    check_gradients(&x[..1], |t| gelu(&gelu(&t[0])?.reshape((2, 12))?));
    check_gradients(&x[..1], |t| gelu(&gelu(&t[0])?.unsqueeze(1)?.flatten_all()?));
    // As many elements of the same memory, in another order; some of it; and more than once.
    check_gradients(&x[1..], |t| gelu(&gelu(&t[0])?.t()?));
    check_gradients(&x[..1], |t| gelu(&gelu(&t[0])?.reshape((6, 4))?.narrow(0, 2, 3)?));
    check_gradients(&x[..1], |t| {
        let y = gelu(&t[0])?;
        sum(&gelu(&y.reshape((6, 4))?)?, &gelu(&y.reshape((6, 4))?)?)
    });
    check_gradients(&x[1..], |t| {
        let y = gelu(&t[0])?;
        gelu(&(&y.reshape(16)?.reshape((4, 4))? * &y.t()?)?)
    });
}

#[test]
fn layer_norm_of_odd_and_long_rows() {
    for channels in [3, 16, 37, 700] {
        let inputs = [
            normal("x", &[2, 5, channels]),
            normal("scale", &[channels]),
            normal("shift", &[channels]),
        ];
        check_gradients(&inputs, |t| layer_norm(&t[0], &t[1], &t[2], 1e-5));
    }
}

#[test]
fn attention_with_and_without_factors() {
    let (batch, tokens, heads, width) = (2, 5, 3, 7);
    let plain = Attention {
        heads,
        scale: (width as f64).powf(-0.5),
        query_factors: None,
        probability_factors: None,
    };
    let queries = normal("queries", &[batch, tokens]).abs().unwrap();
    let keep = normal("keep", &[batch, heads, tokens, tokens]).gt(0.0).unwrap();
    let keep = (keep.to_dtype(DType::F64).unwrap() * 2.0).unwrap();
    let factors = Attention {
        query_factors: Some(queries.clone()),
        probability_factors: Some(PairFactors::Given(keep.clone())),
        ..plain.clone()
    };
    let qkv = [normal("qkv", &[batch, tokens, 3 * heads * width])];
    check_gradients(&qkv, |t| attention(&t[0], &plain));
    check_gradients(&qkv, |t| attention(&t[0], &factors));
    let first = |factors: Tensor, dim| factors.narrow(dim, 0, 1).unwrap();
    let of_first = Attention {
        query_factors: Some(first(queries, 1)),
        probability_factors: Some(PairFactors::Given(first(keep, 2))),
        ..plain.clone()
    };
    let q = normal("q", &[batch, 1, heads * width]);
    let apart = [q, normal("kv", &[batch, tokens, 2 * heads * width])];
    check_gradients(&apart, |t| attention_from(&t[0], &t[1], &plain));
    check_gradients(&apart, |t| attention_from(&t[0], &t[1], &of_first));
}

#[test]
fn resizing_and_pooling() {
    let images = [normal("x", &[2, 3, 4, 5])];
    for (height, width) in [(6, 8), (7, 5), (2, 3), (3, 4)] {
        check_gradients(&images, |t| upsample_nearest(&t[0], height, width));
    }
    check_gradients(&images, |t| global_average_pool(&t[0]));
}

#[test]
fn cross_entropy_with_and_without_smoothing() {
    let labels: Vec<u32> = (0..70).map(|i| i * 7 % 5).collect();
    for smoothing in [0.0, 0.1] {
        let logits = [normal("logits", &[70, 5])];
        check_gradients(&logits, |t| cross_entropy(&t[0], &labels, smoothing));
    }
}
