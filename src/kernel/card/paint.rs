//! Views of images that lie on the card as bytes: a part of each, enlarged, mirrored and recoloured,
//! all views of a batch at once.

use candle_core::{DType, Device, Result, Tensor, bail};

use super::{Arg, COPIED, Card, Grid, Operand, Source, device, on};

/// Words that describe a view: five, and the numbers of its touches.
const WORDS: usize = 20;

/// Touches that a view has room for, four bits each.
const TOUCHES: usize = 8;

/// Bytes that a block shares: the taps of its view and, where there is room, its image; larger ones
/// are read where they are.
const SHARED: usize = 48_000;

/// Bytes of a tap.
const TAP: usize = 12;

/// Longest side of images: a block has room for the taps of two.
const LONGEST: usize = SHARED / TAP / 2;

/// Bytes of images that are copied to the card at once.
const BLOCK: usize = 16 << 20;

/// Something that is done to all pixels of a view, the values cut to [0, 1] after a change of colour.
#[derive(Debug, Clone, Copy)]
pub enum Touch<'a> {
    /// Times a factor.
    Brightness(f32),
    /// Away from the mean luminance, or towards it, by a factor.
    Contrast(f32),
    /// Away from each pixel's own luminance, or towards it, by a factor.
    Saturation(f32),
    /// Around the colour circle by a share of it.
    Hue(f32),
    /// Luminance in the place of colours.
    Gray,
    /// What is taken away from each channel, and what it is multiplied with afterwards.
    Scale { means: &'a [f32], scales: &'a [f32] },
}

/// What a view is made of, as the kernel reads it.
#[derive(Debug, Clone, Copy)]
pub struct View {
    words: [u32; WORDS],
    touches: usize,
    used: usize,
}

impl View {
    /// Of image `image`, mirrored or not before and after a crop: its top, left, height and width.
    pub fn new(image: u32, [top, left, height, width]: [usize; 4], mirrored: [bool; 2]) -> Self {
        let pair = |low: usize, high: usize| low as u32 | (high as u32) << 16;
        let mut words = [0; WORDS];
        words[0] = image;
        words[1] = pair(top, left);
        words[2] = pair(height, width);
        words[3] = u32::from(mirrored[0]) | u32::from(mirrored[1]) << 1;
        Self { words, touches: 0, used: 5 }
    }

    /// Adds a touch behind the others; whether there was room for it.
    pub fn touch(&mut self, touch: Touch) -> bool {
        let (kind, factor) = match touch {
            Touch::Brightness(factor) => (1, Some(factor)),
            Touch::Contrast(factor) => (2, Some(factor)),
            Touch::Saturation(factor) => (3, Some(factor)),
            Touch::Hue(turn) => (4, Some(turn)),
            Touch::Gray => (5, None),
            Touch::Scale { .. } => (6, None),
        };
        let [means, scales] = match touch {
            Touch::Scale { means, scales } => [means, scales],
            _ => [&[][..]; 2],
        };
        let numbers = means.iter().chain(scales).copied().chain(factor);
        let needed = numbers.clone().count();
        if self.touches == TOUCHES || self.used + needed > WORDS {
            return false;
        }
        self.words[4] |= kind << (4 * self.touches);
        self.touches += 1;
        for (word, number) in self.words[self.used..].iter_mut().zip(numbers) {
            *word = number.to_bits();
        }
        self.used += needed;
        true
    }
}

/// Whether images of this height, width and channels can be painted, or painted on.
pub fn is_paintable([height, width, channels]: [usize; 3]) -> bool {
    [height, width].iter().all(|side| (1..=LONGEST).contains(side)) && (1..=64).contains(&channels)
}

/// Images of one shape [n, height, width, channels] as bytes on a card, if they take at most `share` of
/// what is free of its memory; `read` appends the bytes of one to others.
///
/// # Errors
/// Those of `read`, and when memory is short or `device` is no card.
pub fn resident(
    device: &Device,
    shape: [usize; 4],
    share: f64,
    mut read: impl FnMut(usize, &mut Vec<u8>) -> Result<()>,
) -> Result<Option<Tensor>> {
    let card = Card { device: device.as_cuda_device()? };
    let (count, size) = (shape[0], shape[1..].iter().product::<usize>());
    if (count * size) as f64 > share * device::free_memory(card.device)? as f64 {
        return Ok(None);
    }
    let mut to = card.room(count * size, DType::U8)?;
    let at_once = (BLOCK / size.max(1)).max(1);
    let mut bytes = Vec::with_capacity(at_once.min(count) * size);
    for first in (0..count).step_by(at_once) {
        bytes.clear();
        (first..count.min(first + at_once)).try_for_each(|image| read(image, &mut bytes))?;
        to.fill(first * size, &bytes)?;
    }
    Ok(Some(to.tensor(&shape[..])))
}

/// The views in order [views, height, width, channels] of `images` [n, _, _, channels] of bytes; white
/// is 1 there.
///
/// # Errors
/// When the images are not bytes on a card, or memory is short.
pub fn paint(
    images: &Tensor,
    views: &[View],
    [height, width]: [usize; 2],
    dtype: DType,
) -> Result<Tensor> {
    let (_, rows, columns, channels) = images.dims4()?;
    if images.dtype() != DType::U8 {
        bail!("views are painted of bytes, not of {:?}", images.dtype());
    }
    if ![[rows, columns], [height, width]].iter().all(|[h, w]| is_paintable([*h, *w, channels])) {
        bail!("images of {rows} x {columns} x {channels} are too large to be painted");
    }
    on([images], |[images]| {
        let size = height * width * channels;
        let to = images.card().room(views.len() * size, dtype)?;
        let at_once = COPIED / (4 * WORDS);
        for (piece, views) in views.chunks(at_once).enumerate() {
            launch(images, views, ([height, width], to.from(piece * at_once * size)), dtype)?;
        }
        Ok(to.tensor((views.len(), height, width, channels)))
    })
}

fn launch(
    images: Operand,
    views: &[View],
    ([height, width], to): ([usize; 2], Arg),
    dtype: DType,
) -> Result<()> {
    let card = images.card();
    let (_, rows, columns, channels) = images.shape().dims4()?;
    let mut words = Vec::with_capacity(views.len() * WORDS);
    views.iter().for_each(|view| words.extend_from_slice(&view.words));
    let words = card.upload(&words)?;
    let (taps, bytes) = ((TAP * (height + width)).next_multiple_of(16), rows * columns * channels);
    let is_near = taps + bytes <= SHARED;
    let shared = taps + if is_near { bytes } else { 0 };
    let sizes = [rows, columns, channels, height, width].map(Arg::size);
    let mut args = vec![images.at(), words.at(), to];
    args.extend(sizes);
    args.push(Arg::Int(i32::from(is_near)));
    let grid = Grid { shared, ..Grid::of(views.len(), 256) };
    card.launch((Source::PAINT, "paint"), dtype, grid, &args)
}
