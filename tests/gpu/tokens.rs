//! What a transformer makes its tokens of, and takes of them.

use balance::kernel::{first_channels, first_token, patches_on_card};
use candle_core::{DType, Device, Result, Tensor};

use crate::beside::{card, same, tensor};

#[test]
fn the_first_token_is_taken_as_on_the_cpu() {
    // Widths of whole chunks and others, one token, and one sample.
    for shape in [[3, 5, 16], [2, 65, 32], [4, 1, 8], [1, 7, 3], [70, 4, 12]] {
        same("first token", &[tensor(&shape, 1)], |it| first_token(&it[0]));
        // Its own gradient is added to that of all tokens.
        same("first token beside all", &[tensor(&shape, 1)], |it| {
            first_token(&it[0])?.broadcast_add(&it[0])
        });
    }
}

#[test]
fn the_first_channels_are_taken_as_on_the_cpu() {
    let shapes: [(&[usize], usize); 4] =
        [(&[2, 5, 4, 8], 3), (&[7], 7), (&[3, 9], 1), (&[40, 33, 16], 10)];
    for (shape, channels) in shapes {
        same("first channels", &[tensor(shape, 1)], |it| first_channels(&it[0], channels));
    }
}

#[test]
fn patches_are_cut_as_on_the_cpu() -> Result<()> {
    for ([batch, height, width, channels], side) in
        [([2, 8, 8, 3], 4), ([3, 6, 9, 1], 3), ([1, 4, 4, 2], 4), ([5, 7, 9, 3], 2)]
    {
        let (down, across) = (height / side, width / side);
        let whole = [batch, down * side, across * side, channels];
        let images = tensor(&whole, 1);
        let cut = images.reshape(&[batch, down, side, across, side, channels][..])?;
        let size = side * side * channels;
        let cut = cut.permute([0, 1, 3, 2, 4, 5])?.reshape((batch, down * across, size))?;
        for dtype in [DType::F32, DType::BF16] {
            let values = |it: &Tensor| -> Result<Vec<f32>> {
                let it = it.to_device(&Device::Cpu)?.to_dtype(dtype)?.to_dtype(DType::F32)?;
                it.flatten_all()?.to_vec1()
            };
            let found = patches_on_card(&images.to_device(&card())?.to_dtype(dtype)?, side)?;
            assert_eq!(found.dims(), cut.dims());
            assert_eq!(values(&found)?, values(&cut)?, "{whole:?}");
        }
    }
    Ok(())
}
