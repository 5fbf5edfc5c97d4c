//! Normalisation of rows and activation functions.

use balance::kernel::{gelu, layer_norm, linear, relu, scaled, sum, tokens_on_card};
use candle_core::Tensor;

use crate::beside::{same, same_in, tensor};

#[test]
fn normalised_rows_are_those_of_the_cpu() {
    // Widths that do not fill chunks, that fill one, two, three and four for a lane, and more.
    let shapes: [&[usize]; 9] = [
        &[1, 1],
        &[1, 7],
        &[3, 5, 33],
        &[9, 8],
        &[4100, 256],
        &[5, 65, 384],
        &[17, 768],
        &[2, 1024],
        &[3, 2560],
    ];
    for shape in shapes {
        let width = [shape[shape.len() - 1]];
        let x = (tensor(shape, 1) + 0.5).unwrap();
        let inputs = [x, tensor(&width, 2), tensor(&width, 3)];
        same("layer_norm", &inputs, |it| layer_norm(&it[0], &it[1], &it[2], 1e-5));
        // The gradient of the sum is there before that of the normalisation.
        same("layer_norm beside its input", &inputs, |it| {
            sum(&it[0], &layer_norm(&it[0], &it[1], &it[2], 1e-5)?)
        });
    }
}

#[test]
fn sums_of_columns_are_there_when_they_are_read() {
    // A bias that two layers share, and one that is computed.
    let inputs = [tensor(&[300, 24], 1), tensor(&[16, 24], 2), tensor(&[16], 3)];
    same("a bias of two layers", &inputs, |it| {
        let layer = |x: &Tensor| linear(x, &it[1], Some(&it[2]), false);
        sum(&layer(&it[0])?, &layer(&gelu(&it[0])?)?)
    });
    same("a bias that is computed", &inputs, |it| {
        linear(&it[0], &it[1], Some(&gelu(&it[2])?), false)
    });
    let inputs = [tensor(&[300, 24], 1), tensor(&[24], 2), tensor(&[24], 3)];
    same("scales that are computed", &inputs, |it| {
        layer_norm(&it[0], &gelu(&it[1])?, &it[2].affine(2.0, 1.0)?, 1e-5)
    });
    same("scales of two normalisations", &inputs, |it| {
        layer_norm(&layer_norm(&it[0], &it[1], &it[2], 1e-5)?, &it[1], &it[2], 1e-5)
    });
}

#[test]
fn a_number_far_from_its_row_spoils_no_variance() -> candle_core::Result<()> {
    let far = Tensor::full(100f32, (5, 1), &candle_core::Device::Cpu)?;
    for width in [64usize, 256, 700] {
        let x = Tensor::cat(&[&far, &tensor(&[5, width - 1], 1)], 1)?;
        let inputs = [x, tensor(&[width], 2), tensor(&[width], 3)];
        same_in("layer_norm", &inputs, &[(candle_core::DType::F32, 1e-5)], |it| {
            layer_norm(&it[0], &it[1], &it[2], 1e-5)
        });
    }
    Ok(())
}

#[test]
fn parts_of_a_weight_have_their_gradients() {
    let inputs = [tensor(&[70, 24], 1), tensor(&[48, 24], 2), tensor(&[48], 3)];
    same("parts of a weight", &inputs, |it| {
        let part = |first, rows| {
            let bias = it[2].narrow(0, first, rows)?;
            linear(&it[0], &it[1].narrow(0, first, rows)?, Some(&bias), false)
        };
        // Between the two are rows that nobody reads.
        sum(&part(0, 16)?, &part(20, 16)?)
    });
    let [x, weight, _] = inputs;
    let inputs = [x, weight];
    same("a part of a part in another shape", &inputs, |it| {
        let part = it[1].narrow(0, 8, 32)?.narrow(0, 8, 16)?.reshape((8, 48))?;
        linear(&it[0].reshape((35, 48))?, &part, None, true)
    });
    same("columns of a weight", &inputs, |it| {
        linear(&it[0].narrow(1, 0, 9)?.contiguous()?, &it[1].narrow(1, 3, 9)?, None, false)
    });
}

#[test]
fn rows_of_a_view_are_normalised_alike() {
    let inputs = [tensor(&[9, 72], 1), tensor(&[24], 2), tensor(&[24], 3)];
    same("layer_norm of a view", &inputs, |it| {
        layer_norm(&it[0].narrow(1, 3, 24)?, &it[1], &it[2], 1e-6)
    });
    let inputs = [tensor(&[10, 9], 1), tensor(&[9], 2), tensor(&[9], 3)];
    same("layer_norm of rows further on", &inputs, |it| {
        layer_norm(&it[0].narrow(0, 1, 8)?, &it[1], &it[2], 1e-6)
    });
}

#[test]
fn activations_are_those_of_the_cpu() {
    let shapes: [&[usize]; 4] = [&[1], &[3, 5], &[64, 130, 17], &[7, 65, 32]];
    for shape in shapes {
        let inputs = [(tensor(shape, 1) * 4.0).unwrap()];
        same("relu", &inputs, |it| relu(&it[0]));
        same("gelu", &inputs, |it| gelu(&it[0]));
    }
    let inputs = [tensor(&[90], 1)];
    same("gelu further on", &inputs, |it| gelu(&it[0].narrow(0, 3, 83)?));
}

#[test]
fn factors_scale_what_is_below_them() {
    let shapes: [(&[usize], &[usize]); 4] =
        [(&[3, 5], &[3, 5]), (&[3, 5], &[3]), (&[4, 65, 32], &[4, 65]), (&[6, 7], &[])];
    for (shape, of_factors) in shapes {
        let factors = tensor(of_factors, 9);
        let on = |x: &Tensor| factors.to_device(x.device());
        same("scaled", &[tensor(shape, 1)], |it| scaled(&it[0], &on(&it[0])?));
    }
}

#[test]
fn tokens_are_joined_as_on_the_cpu() {
    for [batch, patches, width] in [[1, 1, 1], [3, 4, 7], [9, 64, 32], [2, 5, 24]] {
        let inputs = [
            tensor(&[batch, patches, width], 1),
            tensor(&[1, width], 2),
            tensor(&[patches + 1, width], 3),
        ];
        same("tokens", &inputs, |it| {
            if it[0].device().is_cuda() {
                return tokens_on_card(&it[0], &it[1], &it[2]);
            }
            let before = it[1].unsqueeze(0)?.broadcast_as((batch, 1, width))?;
            Tensor::cat(&[&before, &it[0]], 1)?.broadcast_add(&it[2])
        });
    }
}
