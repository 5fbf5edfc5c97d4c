//! Normalisations of channels, with what is added and the rectifier behind them.

use balance::kernel::{self, GroupNorm};
use balance::nn::{BatchNorm, Mode};
use balance::seed::Stream;
use balance::tensor::Params;
use candle_core::{DType, Device, Result, Tensor};

use crate::beside::{card, distance, halves, same, same_in, tensor};

/// Shapes whose channels fill vectors and do not, with few pixels and with many.
const SHAPES: [&[usize]; 7] = [
    &[2, 3, 5, 3],
    &[1, 1, 7, 8],
    &[3, 7, 5, 64],
    &[33, 520],
    &[4, 40, 41, 5],
    &[5, 64, 64, 16],
    &[2, 9, 9, 132],
];

/// Data, scales and shifts, and what is added.
fn inputs(shape: &[usize]) -> [Tensor; 3] {
    let channels = shape[shape.len() - 1];
    // What a rectifier passes must not depend on how its input is rounded.
    let x = halves(&(tensor(shape, 1) * 2.0).expect("a product"));
    [x, tensor(&[2, channels], 2), halves(&tensor(shape, 3))]
}

fn residual(it: &[Tensor]) -> Result<Tensor> {
    it[2].to_dtype(it[0].dtype())
}

#[test]
fn batch_norm_is_that_of_the_cpu() {
    for shape in SHAPES {
        let [x, scale_shift, added] = inputs(shape);
        for relu in [false, true] {
            let norm = kernel::BatchNorm { epsilon: 1e-5, relu };
            let name = format!("batch norm of {shape:?}, rectified: {relu}");
            same(&name, &[x.clone(), scale_shift.clone()], |it| {
                Ok(kernel::batch_norm(&it[0], &it[1], None, norm)?.output)
            });
            let all = [x.clone(), scale_shift.clone(), added.clone()];
            same(&format!("{name}, added"), &all, |it| {
                let residual = residual(it)?;
                Ok(kernel::batch_norm(&it[0], &it[1], Some(&residual), norm)?.output)
            });
        }
    }
}

#[test]
fn a_gradient_that_comes_in_parts_is_that_of_all() {
    let norm = kernel::BatchNorm { epsilon: 1e-5, relu: true };
    let block = |it: &[Tensor]| -> Result<Tensor> {
        Ok(kernel::batch_norm(&it[0], &it[1], Some(&residual(it)?), norm)?.output)
    };
    for shape in SHAPES {
        let all = inputs(shape);
        same(&format!("an output of {shape:?} that two read"), &all, |it| {
            let y = block(it)?;
            kernel::sum(&y, &kernel::gelu(&y)?)
        });
        same(&format!("an output of {shape:?} that three read"), &all, |it| {
            let y = block(it)?;
            kernel::sum(&kernel::sum(&y, &kernel::gelu(&y)?)?, &kernel::relu(&y)?)
        });
    }
}

#[test]
fn batch_norm_of_data_far_from_zero_is_that_of_the_cpu() {
    let x = (tensor(&[5, 11, 13, 24], 1) + 30.0).expect("a sum");
    let norm = kernel::BatchNorm { epsilon: 1e-5, relu: false };
    // Distances are rounded where the data are 30 times as large.
    same_in("batch norm", &[x, tensor(&[2, 24], 2)], &[(DType::F32, 1e-4)], |it| {
        Ok(kernel::batch_norm(&it[0], &it[1], None, norm)?.output)
    });
}

#[test]
fn running_statistics_are_those_of_the_cpu() {
    for shape in SHAPES {
        let channels = shape[shape.len() - 1];
        let [expected, found] = [Device::Cpu, card()].map(|device| {
            let params = Params::new(Stream::new(0), DType::F32, device.clone());
            let norm = BatchNorm::new(&params.root(), channels).expect("a layer");
            let x = tensor(shape, 1).to_device(&device).expect("data");
            for _ in 0..3 {
                norm.forward(&x, None, true, &Mode::Train(Stream::new(1))).expect("a pass");
            }
            let recorded = params.buffers().into_iter().map(|(_, var)| {
                var.to_device(&Device::Cpu).and_then(|it| it.to_vec1::<f32>()).expect("numbers")
            });
            recorded.collect::<Vec<_>>().concat()
        });
        assert!(distance(&found, &expected) < 1e-5, "of {shape:?}");
    }
}

#[test]
fn channel_affine_is_that_of_the_cpu() {
    for shape in SHAPES {
        let [x, scale_shift, added] = inputs(shape);
        for relu in [false, true] {
            let name = format!("channel affine of {shape:?}, rectified: {relu}");
            same(&name, &[x.clone(), scale_shift.clone()], |it| {
                kernel::channel_affine(&it[0], &it[1], None, relu)
            });
            let all = [x.clone(), scale_shift.clone(), added.clone()];
            same(&format!("{name}, added"), &all, |it| {
                kernel::channel_affine(&it[0], &it[1], Some(&residual(it)?), relu)
            });
        }
    }
}

#[test]
fn group_norm_is_that_of_the_cpu() {
    let cases: [(&[usize], usize); 5] = [
        (&[2, 3, 5, 6], 3),
        (&[3, 7, 5, 64], 32),
        (&[1, 1, 3, 8], 1),
        (&[70, 4, 4, 48], 8),
        (&[2, 40, 41, 16], 4),
    ];
    for (shape, groups) in cases {
        let [x, scale_shift, added] = inputs(shape);
        for relu in [false, true] {
            let norm = GroupNorm { groups, epsilon: 1e-5, relu };
            let name = format!("group norm of {shape:?}, rectified: {relu}");
            same(&name, &[x.clone(), scale_shift.clone()], |it| {
                kernel::group_norm(&it[0], &it[1], None, norm)
            });
            let all = [x.clone(), scale_shift.clone(), added.clone()];
            same(&format!("{name}, added"), &all, |it| {
                kernel::group_norm(&it[0], &it[1], Some(&residual(it)?), norm)
            });
        }
    }
}

#[test]
fn stacks_are_those_of_the_cpu() {
    let inputs = [tensor(&[37], 1), tensor(&[37], 2)];
    // Parameters are f32.
    same_in("stack", &inputs, &[(DType::F32, 0.0)], |it| kernel::stacked(&it[0], &it[1]));
}
