//! Whether graphs of a card's driver do what their calls do.

use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device, Result, Tensor};

use super::Replay;
use crate::kernel::{Conv2d, Draws, conv2d, linear};

/// Whether steps on a card, with convolutions or without, are sound as graphs: a few small ones, each with
/// other arguments, are computed as graphs and without, and compared bit by bit. A card is tried once; the
/// library of convolutions takes a fifth of a second to begin.
pub fn is_sound(card: &Device, convolves: bool) -> bool {
    static KNOWN: Mutex<Vec<(usize, bool, bool)>> = Mutex::new(Vec::new());
    let Ok(device) = card.as_cuda_device() else { return false };
    let ordinal = device.cuda_stream().context().ordinal();
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let is_same = |(at, with, _): &&(usize, bool, bool)| (*at, *with) == (ordinal, convolves);
    if let Some((.., is_sound)) = known.iter().find(is_same) {
        return *is_sound;
    }
    // What came to nothing is tried again by the next.
    let Ok(Some(is_sound)) = tried(card, convolves) else { return false };
    known.push((ordinal, convolves, is_sound));
    is_sound
}

/// Whether graphs did what their calls do; nothing where no graph was made.
fn tried(card: &Device, convolves: bool) -> Result<Option<bool>> {
    let mut replay = Replay::of(card, convolves);
    let images = Tensor::arange(0f32, 2.0 * 8.0 * 8.0 * 8.0, card)?.affine(1e-3, -0.5)?;
    let images = images.reshape((2, 8, 8, 8))?;
    for step in 0..6 {
        let plain = values(&work(&images, step, convolves)?)?;
        let kept = replay.run(2, || work(&super::held(&images)?, step, convolves))?;
        if values(&kept)? != plain {
            return Ok(Some(false));
        }
    }
    Ok((replay.launches() == 4).then_some(true))
}

/// Uploads, products, kernels of balance and of candle; and perhaps a convolution.
fn work(images: &Tensor, step: u64, convolves: bool) -> Result<Tensor> {
    let card = images.device();
    let numbers =
        |count: usize| (0..count).map(move |at| ((at as u64 * 7 + step) % 11) as f32 / 11.0);
    let given =
        |shape: &[usize]| Tensor::from_vec(numbers(shape.iter().product()).collect(), shape, card);
    let geometry = Conv2d { stride: 1, padding: 1 };
    let convolved = match convolves {
        true => conv2d(images, &given(&[3, 3, 8, 8])?, geometry)?,
        false => images.clone(),
    };
    let rows = convolved.reshape((2 * 8 * 8, 8))?;
    let product = linear(&rows, &given(&[8, 8])?, None, false)?;
    let halves = linear(&product.to_dtype(DType::BF16)?, &given(&[8, 8])?, None, true)?;
    let product = (product + halves.to_dtype(DType::F32)?)?;
    let factors = Draws::new(step, 1 << 31, 2.0).factors(product.dims(), DType::F32, card)?;
    let zeros = Tensor::zeros_like(&product)?;
    (product * factors)? + (zeros + step as f64)?.copy()?
}

fn values(of: &Tensor) -> Result<Vec<u32>> {
    let values = of.to_device(&Device::Cpu)?.flatten_all()?.to_vec1::<f32>()?;
    Ok(values.into_iter().map(f32::to_bits).collect())
}
