//! Kernels against naive loops, f32 against f64, and one number of threads against another.

use balance::kernel::*;
use candle_core::{DType, Device, Result, Tensor, Var};

use crate::numeric::{difference, normal, values, weighted};

type Operation = dyn Fn(&[Tensor]) -> Result<Tensor> + Send + Sync;

/// An operation at a size where work is divided, with its inputs.
struct Case {
    name: &'static str,
    inputs: Vec<Tensor>,
    operation: Box<Operation>,
}

fn case(
    name: &'static str,
    shapes: &[&[usize]],
    operation: impl Fn(&[Tensor]) -> Result<Tensor> + Send + Sync + 'static,
) -> Case {
    let inputs =
        shapes.iter().enumerate().map(|(index, shape)| normal(&format!("{name} {index}"), shape));
    Case { name, inputs: inputs.collect(), operation: Box::new(operation) }
}

fn conv(stride: usize, padding: usize) -> impl Fn(&[Tensor]) -> Result<Tensor> {
    move |t| conv2d(&t[0], &t[1], Conv2d { stride, padding })
}

fn cases() -> Vec<Case> {
    let norm = BatchNorm { epsilon: 1e-5, relu: true };
    let labels: Vec<u32> = (0..300).map(|i| i % 10).collect();
    let heads = Attention {
        heads: 4,
        scale: 0.25,
        query_factors: Some(normal("queries", &[6, 17]).abs().unwrap()),
        probability_factors: Some(PairFactors::Given(
            normal("factors", &[6, 4, 17, 17]).abs().unwrap(),
        )),
    };
    let others = Attention {
        query_factors: Some(normal("queries", &[6, 3]).abs().unwrap()),
        probability_factors: Some(PairFactors::Given(
            normal("factors", &[6, 4, 3, 17]).abs().unwrap(),
        )),
        ..heads
    };
    vec![
        case("conv 5x5", &[&[5, 23, 19, 3], &[5, 5, 3, 20]], conv(1, 2)),
        case("conv stride 2", &[&[9, 24, 24, 16], &[3, 3, 16, 32]], conv(2, 1)),
        case("conv 1x1 stride 2", &[&[9, 24, 24, 16], &[1, 1, 16, 32]], conv(2, 0)),
        case("conv 1x1", &[&[4, 19, 20, 16], &[1, 1, 16, 32]], conv(1, 0)),
        case("conv few", &[&[19, 15, 17, 16], &[3, 3, 16, 32]], conv(1, 1)),
        case("conv few stride 2", &[&[19, 14, 28, 16], &[3, 3, 16, 32]], conv(2, 1)),
        case("conv winograd", &[&[9, 15, 17, 48], &[3, 3, 48, 64]], conv(1, 1)),
        case("conv winograd wide", &[&[3, 8, 8, 144], &[3, 3, 144, 128]], conv(1, 1)),
        case("conv one channel", &[&[9, 28, 28, 1], &[3, 3, 1, 16]], conv(1, 1)),
        case("batch norm", &[&[9, 20, 21, 16], &[2, 16], &[9, 20, 21, 16]], move |t| {
            Ok(batch_norm(&t[0], &t[1], Some(&t[2]), norm)?.output)
        }),
        case("group norm", &[&[9, 20, 21, 16], &[2, 16], &[9, 20, 21, 16]], move |t| {
            let norm = GroupNorm { groups: 4, epsilon: 1e-5, relu: true };
            group_norm(&t[0], &t[1], Some(&t[2]), norm)
        }),
        case("max pool", &[&[9, 15, 17, 16]], |t| {
            max_pool(&t[0], MaxPool { side: 3, stride: 2, padding: 1 })
        }),
        case("channel affine", &[&[4000, 7], &[2, 7]], |t| {
            channel_affine(&t[0], &t[1], None, true)
        }),
        case("linear", &[&[700, 30], &[70, 30], &[70]], |t| {
            linear(&t[0], &t[1], Some(&t[2]), true)
        }),
        case("sum", &[&[70, 301], &[70, 301]], |t| sum(&t[0], &t[1])),
        case("linear, many weights", &[&[300, 301], &[302, 301]], |t| {
            linear(&t[0], &t[1], None, false)
        }),
        case("gelu", &[&[50, 1000]], |t| gelu(&t[0])),
        case("relu", &[&[50, 1000]], |t| relu(&t[0])),
        case("layer norm", &[&[700, 65], &[65], &[65]], |t| layer_norm(&t[0], &t[1], &t[2], 1e-5)),
        case("attention", &[&[6, 17, 3 * 64]], move |t| attention(&t[0], &heads)),
        case("attention from", &[&[6, 3, 64], &[6, 17, 2 * 64]], move |t| {
            attention_from(&t[0], &t[1], &others)
        }),
        case("upsample", &[&[9, 5, 7, 6]], |t| upsample_nearest(&t[0], 13, 14)),
        case("pool", &[&[9, 5, 7, 6]], |t| global_average_pool(&t[0])),
        case("cross-entropy", &[&[300, 10]], move |t| cross_entropy(&t[0], &labels, 0.1)),
    ]
}

/// Output and gradients of a case in `dtype`.
fn run(case: &Case, dtype: DType) -> Vec<Tensor> {
    let vars: Vec<Var> = case
        .inputs
        .iter()
        .map(|input| Var::from_tensor(&input.to_dtype(dtype).unwrap()).unwrap())
        .collect();
    let inputs: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let y = (case.operation)(&inputs).unwrap();
    let grads = weighted(&y).unwrap().backward().unwrap();
    let gradient = |var: &Var| grads.get(var).unwrap().clone();
    [y].into_iter().chain(vars.iter().map(gradient)).collect()
}

#[test]
fn f32_agrees_with_f64() {
    for case in cases() {
        let (fast, exact) = (run(&case, DType::F32), run(&case, DType::F64));
        for (fast, exact) in fast.iter().zip(&exact) {
            let error = difference(fast, exact);
            assert!(error < 1e-4, "{}: {error}", case.name);
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let bits = |threads: usize| -> Vec<Vec<f64>> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let results = |case: &Case| run(case, DType::F32).iter().map(values).collect::<Vec<_>>();
        pool.install(|| cases().iter().flat_map(results).collect())
    };
    let one = bits(1);
    assert!(one == bits(2), "1 and 2 threads differ");
    assert!(one == bits(4), "1 and 4 threads differ");
}

/// The value of element (n, i, j, c) of [N,H,W,C] data, 0 outside the image.
fn pixel(x: &Tensor, [n, i, j, c]: [isize; 4]) -> f64 {
    let (_, height, width, channels) = x.dims4().unwrap();
    if !(0..height as isize).contains(&i) || !(0..width as isize).contains(&j) {
        return 0.0;
    }
    let at = ((n as usize * height + i as usize) * width + j as usize) * channels + c as usize;
    x.flatten_all().unwrap().get(at).unwrap().to_scalar().unwrap()
}

/// Convolution as it is written in textbooks.
fn naive_conv(x: &Tensor, weight: &Tensor, stride: isize, padding: isize) -> Vec<f64> {
    let (batch, height, width, channels) = x.dims4().unwrap();
    let (kernel_height, kernel_width, _, filters) = weight.dims4().unwrap();
    let windows =
        |size: usize, kernel: usize| (size as isize + 2 * padding - kernel as isize) / stride;
    let mut y = Vec::new();
    for n in 0..batch as isize {
        for i in 0..=windows(height, kernel_height) {
            for j in 0..=windows(width, kernel_width) {
                for f in 0..filters as isize {
                    let mut sum = 0.0;
                    for ki in 0..kernel_height as isize {
                        for kj in 0..kernel_width as isize {
                            for c in 0..channels as isize {
                                let (i, j) = (i * stride + ki - padding, j * stride + kj - padding);
                                sum += pixel(x, [n, i, j, c]) * pixel(weight, [ki, kj, c, f]);
                            }
                        }
                    }
                    y.push(sum);
                }
            }
        }
    }
    y
}

#[test]
fn convolution_is_what_the_textbook_says() {
    for (x, weight, stride, padding) in [
        ([2, 5, 6, 3], [3, 3, 3, 4], 1, 1),
        ([1, 7, 6, 2], [3, 5, 2, 3], 2, 2),
        ([1, 5, 5, 2], [1, 1, 2, 3], 1, 0),
        ([1, 5, 5, 2], [1, 1, 2, 3], 2, 0),
        ([1, 5, 7, 48], [3, 3, 48, 48], 1, 1),
        ([1, 3, 8, 16], [3, 3, 16, 32], 1, 1),
        ([1, 3, 14, 1], [3, 3, 1, 16], 1, 1),
        ([1, 3, 16, 16], [3, 3, 16, 32], 2, 1),
    ] {
        let (x, weight) = (normal("x", &x), normal("weight", &weight));
        let expected = naive_conv(&x, &weight, stride, padding);
        let conv = Conv2d { stride: stride as usize, padding: padding as usize };
        let y = conv2d(&x, &weight, conv).unwrap();
        let expected = Tensor::from_vec(expected, y.dims(), &Device::Cpu).unwrap();
        assert!(difference(&y, &expected) < 1e-12);
    }
}

#[test]
fn batch_norm_standardizes_each_channel() {
    let x = normal("x", &[5, 3, 2, 4]).affine(3.0, 100.0).unwrap();
    let scales = Tensor::new(&[[1.0, 2.0, -1.0, 0.0], [0.0, 0.0, 0.5, 3.0]], &Device::Cpu).unwrap();
    let norm = BatchNorm { epsilon: 1e-5, relu: false };
    let result = batch_norm(&x, &scales, None, norm).unwrap();
    let rows = values(&x);
    let (y, mean, variance) =
        (values(&result.output), values(&result.mean), values(&result.variance));
    for c in 0..4 {
        let channel: Vec<f64> = rows.iter().skip(c).step_by(4).copied().collect();
        let expected_mean = channel.iter().sum::<f64>() / 30.0;
        let expected = channel.iter().map(|x| (x - expected_mean).powi(2)).sum::<f64>() / 30.0;
        assert!((mean[c] - expected_mean).abs() < 1e-10 && (variance[c] - expected).abs() < 1e-9);
        let (scale, shift) = ([1.0, 2.0, -1.0, 0.0][c], [0.0, 0.0, 0.5, 3.0][c]);
        for (x, y) in channel.iter().zip(y.iter().skip(c).step_by(4)) {
            let z = (x - expected_mean) / (expected + 1e-5).sqrt();
            assert!((y - (z * scale + shift)).abs() < 1e-9);
        }
    }
}

#[test]
fn group_norm_standardizes_each_group_of_each_image() {
    let x = normal("x", &[2, 3, 2, 4]).affine(3.0, 100.0).unwrap();
    let scales = [[1.0, 2.0, -1.0, 0.0], [0.0, 0.0, 0.5, 3.0]];
    let norm = GroupNorm { groups: 2, epsilon: 1e-5, relu: false };
    let result = group_norm(&x, &Tensor::new(&scales, &Device::Cpu).unwrap(), None, norm).unwrap();
    let (rows, y) = (values(&x), values(&result));
    for image in 0..2 {
        for group in 0..2 {
            let at = |i: usize| image * 24 + i / 2 * 4 + group * 2 + i % 2;
            let mean = (0..12).map(|i| rows[at(i)]).sum::<f64>() / 12.0;
            let variance = (0..12).map(|i| (rows[at(i)] - mean).powi(2)).sum::<f64>() / 12.0;
            for i in 0..12 {
                let channel = group * 2 + i % 2;
                let z = (rows[at(i)] - mean) / (variance + 1e-5).sqrt();
                let expected = z * scales[0][channel] + scales[1][channel];
                assert!((y[at(i)] - expected).abs() < 1e-9);
            }
        }
    }
}

#[test]
fn pooling_takes_the_largest_and_the_first_of_equals() {
    let x = Tensor::new(&[[-3.0, -1.0, -1.0], [-5.0, -4.0, -2.0], [7.0, 7.0, 0.0]], &Device::Cpu);
    let x = Var::from_tensor(&x.unwrap().reshape((1, 3, 3, 1)).unwrap()).unwrap();
    let pooled = |pool| max_pool(x.as_tensor(), pool).unwrap();
    let y = pooled(MaxPool { side: 2, stride: 1, padding: 0 });
    assert_eq!(values(&y), [-1.0, -1.0, 7.0, 7.0]);
    let grads = y.sum_all().unwrap().backward().unwrap();
    assert_eq!(values(grads.get(&x).unwrap()), [0., 2., 0., 0., 0., 0., 1., 1., 0.]);
    // What is around the image is less than anything in it.
    let y = pooled(MaxPool { side: 3, stride: 2, padding: 1 });
    assert_eq!(values(&y), [-1.0, -1.0, 7.0, 7.0]);
}

#[test]
fn attention_is_a_softmax_over_keys() {
    let (tokens, heads, width) = (4, 2, 3);
    let qkv = normal("qkv", &[1, tokens, 3 * heads * width]);
    let settings = Attention { heads, scale: 0.7, query_factors: None, probability_factors: None };
    let y = values(&attention(&qkv, &settings).unwrap());
    let qkv = values(&qkv);
    let at = |token: usize, part: usize, head: usize, i: usize| {
        qkv[token * 3 * heads * width + part * heads * width + head * width + i]
    };
    for head in 0..heads {
        for query in 0..tokens {
            let weight = |key: usize| {
                let dot = (0..width).map(|i| at(query, 0, head, i) * at(key, 1, head, i));
                (0.7 * dot.sum::<f64>()).exp()
            };
            let total: f64 = (0..tokens).map(weight).sum();
            for i in 0..width {
                let mix = (0..tokens).map(|key| weight(key) * at(key, 2, head, i)).sum::<f64>();
                let found = y[query * heads * width + head * width + i];
                assert!((found - mix / total).abs() < 1e-12);
            }
        }
    }
}

#[test]
fn some_queries_read_what_all_of_them_read() {
    let (heads, width) = (2, 3);
    let qkv = normal("qkv", &[5, 21, 3 * heads * width]);
    let settings = Attention { heads, scale: 0.7, query_factors: None, probability_factors: None };
    let all = attention(&qkv, &settings).unwrap();
    let part = |rows: usize, first: usize, size: usize| {
        qkv.narrow(1, 0, rows).unwrap().narrow(2, first, size).unwrap()
    };
    let total = heads * width;
    let (q, kv) = (part(4, 0, total), part(21, total, 2 * total));
    let some = attention_from(&q, &kv, &settings).unwrap();
    assert!(difference(&some, &all.narrow(1, 0, 4).unwrap()) < 1e-14);
}

#[test]
fn queries_that_do_not_fit_are_refused() {
    let settings =
        |heads| Attention { heads, scale: 0.7, query_factors: None, probability_factors: None };
    let refused = |q: &[usize], kv: &[usize], heads: usize| {
        let result = attention_from(&normal("q", q), &normal("kv", kv), &settings(heads));
        result.unwrap_err().to_string()
    };
    assert!(refused(&[2, 3, 7], &[2, 5, 14], 2).contains("a width of 7 does not hold"));
    assert!(refused(&[2, 3, 8], &[2, 5, 12], 2).contains("shape [2, N, 16], found [2, 5, 12]"));
    assert!(refused(&[2, 3, 8], &[4, 5, 16], 2).contains("found [4, 5, 16]"));
}

#[test]
fn cross_entropy_is_the_smoothed_negative_log_likelihood() {
    let logits = normal("logits", &[7, 3]);
    let labels = [0, 1, 2, 2, 1, 0, 0];
    let rows = values(&logits);
    let log_p = |row: usize, class: usize| {
        let total: f64 = (0..3).map(|k| rows[row * 3 + k].exp()).sum();
        rows[row * 3 + class] - total.ln()
    };
    for smoothing in [0.0, 0.3] {
        let row = |row: usize| {
            let everywhere = (0..3).map(|k| log_p(row, k)).sum::<f64>() / 3.0;
            (smoothing - 1.0) * log_p(row, labels[row] as usize) - smoothing * everywhere
        };
        let expected = (0..7).map(row).sum::<f64>() / 7.0;
        let found: f64 = cross_entropy(&logits, &labels, smoothing).unwrap().to_scalar().unwrap();
        assert!((found - expected).abs() < 1e-12);
    }
}

#[test]
fn cross_entropy_of_extreme_scores_is_finite() {
    let logits = Tensor::new(&[[1e4, -1e4], [-1e4, 1e4]], &Device::Cpu).unwrap();
    let value: f64 = cross_entropy(&logits, &[1, 1], 0.0).unwrap().to_scalar().unwrap();
    assert!((value - 1e4).abs() < 1e-6);
}

#[test]
fn up_sampling_repeats_the_nearest_pixel() {
    let x = Tensor::new(&[[[[1.0], [2.0], [3.0]]]], &Device::Cpu).unwrap();
    let y = upsample_nearest(&x, 2, 5).unwrap();
    assert_eq!(values(&y), [1., 1., 2., 2., 3., 1., 1., 2., 2., 3.]);
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let x = normal("x", &[1, 4, 4, 3]);
    let conv = Conv2d { stride: 1, padding: 0 };
    assert!(conv2d(&x, &normal("w", &[3, 3, 2, 4]), conv).is_err());
    assert!(conv2d(&x, &normal("w", &[5, 5, 3, 4]), conv).is_err());
    assert!(channel_affine(&x, &normal("s", &[2, 4]), None, false).is_err());
    let norm = GroupNorm { groups: 2, epsilon: 1e-5, relu: false };
    assert!(group_norm(&x, &normal("s", &[2, 3]), None, norm).is_err());
    assert!(max_pool(&x, MaxPool { side: 5, stride: 1, padding: 0 }).is_err());
    assert!(max_pool(&x, MaxPool { side: 2, stride: 1, padding: 2 }).is_err());
    assert!(linear(&x, &normal("w", &[3, 4]), None, false).is_err());
    assert!(cross_entropy(&normal("l", &[2, 3]), &[0, 3], 0.0).is_err());
    assert!(cross_entropy(&normal("l", &[2, 3]), &[0], 0.0).is_err());
}

#[test]
fn a_constant_input_gets_no_gradient_and_costs_none() {
    let x = normal("x", &[1, 4, 4, 3]);
    let weight = Var::from_tensor(&normal("w", &[3, 3, 3, 4])).unwrap();
    let y = conv2d(&x, weight.as_tensor(), Conv2d { stride: 1, padding: 1 }).unwrap();
    let grads = y.sum_all().unwrap().backward().unwrap();
    assert!(grads.get(&weight).is_some() && grads.get(&x).is_none());
}
