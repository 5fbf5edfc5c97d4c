//! What is drawn on the card: the numbers of the CPU.

use balance::nn::{DropPath, Dropout, Linear, Mode, keep_factors, residual};
use balance::seed::Stream;
use balance::tensor::Params;
use candle_core::{DType, Device, Result, Tensor};

use crate::beside::{card, same, tensor};

fn factors(shape: &[usize], probability: f64, dtype: DType, device: &Device) -> Tensor {
    let mode = Mode::Train(Stream::new(5));
    let drawn = keep_factors((&mode, "layer"), probability, (shape, dtype), device);
    drawn.unwrap().unwrap()
}

fn values(factors: &Tensor) -> Result<Vec<f32>> {
    factors.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
}

#[test]
fn factors_are_the_same_bit_by_bit() {
    // Fewer than a chunk, more than a piece, and a rest behind the last chunk.
    for shape in [&[1][..], &[3], &[7, 5], &[3, 8, 65, 65], &[2 * 16384 + 3]] {
        for probability in [1e-17, 0.05, 0.5, 0.9, 1.0] {
            for dtype in [DType::F32, DType::BF16] {
                let expected = factors(shape, probability, dtype, &Device::Cpu);
                let found = factors(shape, probability, dtype, &card());
                assert_eq!(values(&found).unwrap(), values(&expected).unwrap());
            }
        }
    }
}

#[test]
fn dropped_elements_are_those_of_the_cpu() {
    let params = Params::new(Stream::new(1), DType::F32, Device::Cpu);
    let mode = Mode::Train(Stream::new(2));
    let shapes: [&[usize]; 5] = [&[1, 1], &[3, 5], &[9, 65, 32], &[70, 16], &[5, 16384]];
    for shape in shapes {
        let inputs = [tensor(shape, 1)];
        let dropout = Dropout::new(&params.root().pp("dropout"), 0.3);
        same("dropout", &inputs, |it| dropout.forward(&it[0], &mode));
        let path = DropPath::new(&params.root().pp("path"), 0.4);
        same("drop_path", &inputs, |it| path.forward(&it[0], &mode));
    }
}

#[test]
fn branches_are_added_as_on_the_cpu() {
    let params = Params::new(Stream::new(1), DType::F32, Device::Cpu);
    let mode = Mode::Train(Stream::new(2));
    // Chunks within a sample, samples within a chunk, and a rest behind the last chunk.
    let shapes: [&[usize]; 5] = [&[1, 2], &[5, 3], &[9, 65, 32], &[70, 16], &[3, 16391]];
    for shape in shapes {
        for (of_elements, of_samples) in [(0.3, 0.4), (0.3, 0.0), (0.0, 0.4), (0.0, 0.0)] {
            let dropout = Dropout::new(&params.root().pp("dropout"), of_elements);
            let path = DropPath::new(&params.root().pp("path"), of_samples);
            let inputs = [tensor(shape, 1), tensor(shape, 2)];
            same("residual", &inputs, |it| {
                let branch = it[1].to_dtype(it[0].dtype())?;
                residual(&it[0], &branch, (&dropout, &path), &mode)
            });
            // Whole chunks that do not begin on 16 bytes.
            same("residual of parts", &inputs, |it| {
                let part =
                    |whole: &Tensor| whole.flatten_all()?.narrow(0, 1, whole.elem_count() - 1);
                let branch = it[1].to_dtype(it[0].dtype())?;
                residual(&part(&it[0])?, &part(&branch)?, (&dropout, &path), &mode)
            });
        }
    }
}

#[test]
fn what_gelu_makes_of_a_layer_is_dropped_as_on_the_cpu() {
    let mode = Mode::Train(Stream::new(2));
    for (rows, inputs, outputs) in [(1, 3, 1), (9, 5, 7), (33, 16, 64), (300, 8, 130)] {
        for probability in [0.0, 0.3] {
            let tensors = [&[rows, inputs][..], &[outputs, inputs], &[outputs]];
            let inputs: Vec<Tensor> = (1..).zip(tensors).map(|(at, it)| tensor(it, at)).collect();
            same("gelu of a layer", &inputs, |it| {
                let params = Params::new(Stream::new(1), DType::F32, it[0].device().clone());
                let dropout = Dropout::new(&params.root().pp("dropout"), probability);
                let layer = Linear::of(it[1].clone(), Some(it[2].clone()));
                layer.forward_gelu(&it[0], &dropout, &mode)
            });
        }
    }
}

#[test]
fn what_a_layer_makes_is_dropped_and_added_as_on_the_cpu() {
    let sizes = [(1, 2, 3, 1), (9, 5, 5, 7), (3, 33, 16, 64), (2, 300, 8, 130), (70, 1, 4, 16)];
    for (samples, tokens, inputs, outputs) in sizes {
        let shapes = [
            &[samples, tokens, outputs][..],
            &[samples, tokens, inputs],
            &[outputs, inputs],
            &[outputs],
        ];
        let tensors: Vec<Tensor> = (1..).zip(shapes).map(|(at, it)| tensor(it, at)).collect();
        for (of_elements, of_samples) in [(0.3, 0.4), (0.0, 0.0)] {
            for mode in [Mode::Train(Stream::new(2)), Mode::Eval] {
                same("a layer onto a branch", &tensors, |it| {
                    let params = Params::new(Stream::new(1), DType::F32, it[0].device().clone());
                    let dropout = Dropout::new(&params.root().pp("dropout"), of_elements);
                    let path = DropPath::new(&params.root().pp("path"), of_samples);
                    let layer = Linear::of(it[2].clone(), Some(it[3].clone()));
                    let y = it[1].to_dtype(it[0].dtype())?;
                    layer.forward_onto(&it[0], &y, (&dropout, &path), &mode)
                });
            }
        }
    }
}

#[test]
fn nothing_is_dropped_in_an_evaluation() {
    let params = Params::new(Stream::new(1), DType::F32, Device::Cpu);
    let dropout = Dropout::new(&params.root(), 0.3);
    same("dropout", &[tensor(&[3, 5], 1)], |it| {
        dropout.forward(&it[0], &Mode::Eval)?.affine(2.0, 0.0)
    });
}
