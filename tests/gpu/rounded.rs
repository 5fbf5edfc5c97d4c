//! Weights that are rounded for a whole step.

use balance::kernel::{self, Conv2d, Rounded, gelu, gradients, in_halves, linear, sum};
use candle_core::{DType, Device, Result, Tensor, Var};

use crate::beside::{card, tensor};

/// Weights whose elements fill vectors and blocks, and do not; the last is that of a convolution.
const SHAPES: [&[usize]; 4] = [&[5, 7], &[7, 5], &[72, 7], &[3, 3, 8, 40]];

struct Layers(Vec<(String, Var)>);

impl Layers {
    fn on(device: &Device) -> Result<Self> {
        let var = |(at, shape): (usize, &&[usize])| {
            let values = tensor(shape, at as u64).to_device(device)?;
            Ok((at.to_string(), Var::from_tensor(&values)?))
        };
        SHAPES.iter().enumerate().map(var).collect::<Result<_>>().map(Self)
    }

    fn weight(&self, at: usize) -> &Tensor {
        self.0[at].1.as_tensor()
    }

    /// The gradients of all weights, by a step whose weights `rounded` keeps.
    fn step(&self, rounded: &mut Rounded) -> Result<Vec<Vec<f32>>> {
        let (_, found) = rounded
            .during(|| self.0.clone(), || in_halves(true, || gradients(|| self.forward())))?;
        let found = |(_, var): &(String, Var)| {
            let found = found.get(var).expect("every weight has a gradient");
            found.to_device(&Device::Cpu)?.flatten_all()?.to_vec1()
        };
        self.0.iter().map(found).collect()
    }

    fn forward(&self) -> Result<Tensor> {
        let device = self.weight(0).device();
        let halves =
            |shape: &[usize], seed| tensor(shape, seed).to_device(device)?.to_dtype(DType::BF16);
        // The second weight is read as it is, and as what is computed from it.
        let x = linear(&halves(&[3, 7], 9)?, self.weight(0), None, false)?;
        let one = linear(&x, self.weight(1), None, true)?;
        let other = linear(&x, &gelu(self.weight(1))?, None, false)?;
        // The third is read in two parts.
        let part = |first, rows| {
            linear(&sum(&one, &other)?, &self.weight(2).narrow(0, first, rows)?, None, false)
        };
        let rows = Tensor::cat(&[part(0, 16)?, part(16, 56)?], 1)?;
        let conv = Conv2d { stride: 1, padding: 1 };
        let images = kernel::conv2d(&halves(&[2, 5, 4, 8], 8)?, self.weight(3), conv)?;
        let squares = |it: &Tensor| it.to_dtype(DType::F32)?.sqr()?.sum_all();
        squares(&rows)? + squares(&images)?
    }
}

#[test]
fn weights_of_a_step_are_those_rounded_by_themselves() -> Result<()> {
    let layers = Layers::on(&card())?;
    let mut rounded = Rounded::default();
    let alone = layers.step(&mut rounded)?;
    assert_eq!(layers.step(&mut rounded)?, alone);
    // What has changed since is rounded anew.
    for (_, var) in &layers.0 {
        var.set(&var.as_tensor().affine(-1.5, 0.25)?)?;
    }
    let changed = layers.step(&mut rounded)?;
    assert_ne!(changed, alone);
    assert_eq!(changed, layers.step(&mut Rounded::default())?);
    Ok(())
}
