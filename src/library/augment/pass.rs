//! Both views of an image in one pass over its bytes: the strokes that transforms have drawn, with
//! no image in between, written to where the batch wants them.
//!
//! The numbers are those of [`Stroke::make`], one stroke after the other, to the last bit. A mirror
//! beside a crop costs nothing, since it only changes where the crop is read from or written to.

use super::image::{Tap, gray_pixels, recolored, taps};
use super::{Augment, ChannelStats, Crop, Image, Stroke};
use crate::catalog::ImageShape;
use crate::kernel::wide::wide;
#[cfg(feature = "cuda")]
use crate::kernel::{Touch, View};
use crate::seed::Stream;

/// Numbers handled together where channels alternate: a multiple of the width of every vector unit
/// and of 1, 2, 3 and 4 channels.
const ROUND: usize = 48;

/// The image that views are made of, with the buffers that making them takes.
#[derive(Default)]
pub struct Pass {
    source: Source,
    draft: Draft,
    scratch: Scratch,
}

/// An image with channels last, white being 1.
#[derive(Default)]
struct Source {
    shape: ImageShape,
    values: Vec<f32>,
}

/// The strokes of a view.
#[derive(Default)]
struct Draft {
    /// Whether the source is mirrored before it is cropped, and what is left of it behind that.
    mirrored: [bool; 2],
    crop: Option<(Crop, usize, usize)>,
    /// What is done to the pixels then.
    rest: Vec<Stroke>,
}

#[derive(Default)]
struct Scratch {
    row: Vec<f32>,
    planes: Vec<f32>,
    down: Vec<Tap>,
    across: Vec<Tap>,
}

impl Pass {
    /// Begins with an image as it is stored.
    pub fn read(&mut self, bytes: &[u8], shape: ImageShape) {
        self.source.shape = shape;
        self.source.values.resize(bytes.len(), 0.0);
        lighten(bytes, &mut self.source.values);
    }

    /// Begins with an image whose values do not matter: only what is drawn for its views does.
    #[cfg(feature = "cuda")]
    pub fn imagine(&mut self, shape: ImageShape) {
        self.source = Source { shape, values: Vec::new() };
    }

    /// The view as a card paints it, of image `image`, if a card can.
    #[cfg(feature = "cuda")]
    pub fn view(&self, image: u32) -> Option<View> {
        let ImageShape { height, width, channels } = self.source.shape;
        let (crop, ..) =
            self.draft.crop.unwrap_or((Crop { top: 0, left: 0, height, width }, height, width));
        let mut mirrored = self.draft.mirrored;
        // Colours do not change with the place they are at.
        let turns = self.draft.rest.iter().filter(|it| **it == Stroke::Mirror).count();
        mirrored[1] ^= !turns.is_multiple_of(2);
        let Crop { top, left, height, width } = crop;
        let mut view = View::new(image, [top, left, height, width], mirrored);
        let mut touches = self.draft.rest.iter().flat_map(|it| it.touches());
        let is_whole = touches.all(|touch| match touch {
            Touch::Scale { means, .. } if means.len() != channels => false,
            touch => view.touch(touch),
        });
        is_whole.then_some(view)
    }

    /// Begins a view of the image.
    pub fn begin(&mut self) {
        (self.draft.mirrored, self.draft.crop) = ([false; 2], None);
        self.draft.rest.clear();
    }

    /// The shape of the view so far.
    pub fn shape(&self) -> ImageShape {
        let of = self.source.shape;
        self.draft.crop.map_or(of, |(_, height, width)| ImageShape { height, width, ..of })
    }

    /// Takes up what `augment` draws from `stream`, if this pass can do it behind what is there.
    pub fn takes(&mut self, augment: &dyn Augment, stats: &ChannelStats, stream: Stream) -> bool {
        let stroke = augment.stroke(self.shape(), stats, stream);
        stroke.is_some_and(|stroke| self.draft.takes(stroke))
    }

    /// The view, alone.
    pub fn image(&mut self) -> Image {
        let shape = self.shape();
        let mut image = Image { shape, values: vec![0.0; shape.size()] };
        self.paint(&mut image.values);
        image
    }

    /// Makes the view.
    ///
    /// # Panics
    /// When `out` is not as large as the view's shape says.
    pub fn paint(&mut self, out: &mut [f32]) {
        assert_eq!(out.len(), self.shape().size());
        paint(&self.source, &self.draft, self.shape(), &mut self.scratch, out);
    }
}

impl Draft {
    fn takes(&mut self, stroke: Stroke) -> bool {
        let is_placed = !self.rest.is_empty();
        match stroke {
            Stroke::None => {}
            Stroke::Mirror if !is_placed => {
                let mirrored = &mut self.mirrored[usize::from(self.crop.is_some())];
                *mirrored = !*mirrored;
            }
            Stroke::Crop { crop, height, width } => {
                let enlarges = height >= crop.height && width >= crop.width;
                if !enlarges || is_placed || self.crop.is_some() {
                    return false;
                }
                self.crop = Some((crop, height, width));
            }
            stroke => self.rest.push(stroke),
        }
        true
    }
}

wide! {
    fn lighten(bytes: &[u8], values: &mut [f32]) {
        for (value, byte) in values.iter_mut().zip(bytes) {
            *value = f32::from(*byte) / 255.0;
        }
    }
}

wide! {
    fn paint(
        source: &Source,
        draft: &Draft,
        shape: ImageShape,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) {
        match draft.crop {
            Some((crop, ..)) => enlarge(source, (crop, draft.mirrored), shape, scratch, out),
            None => {
                out.copy_from_slice(&source.values);
                if draft.mirrored[0] {
                    mirror(out, shape);
                }
            }
        }
        for stroke in &draft.rest {
            match stroke {
                Stroke::Mirror => mirror(out, shape),
                Stroke::Recolor(changes) => {
                    recolored(out, shape.channels, changes, &mut scratch.planes);
                }
                Stroke::Gray if shape.channels == 3 => gray_pixels(out),
                Stroke::Scale { means, scales } => scale(out, means, scales),
                Stroke::None | Stroke::Crop { .. } | Stroke::Gray => {}
            }
        }
    }
}

#[inline(always)]
fn mirror(values: &mut [f32], shape: ImageShape) {
    for row in values.chunks_exact_mut(shape.width * shape.channels) {
        row.reverse();
        row.chunks_exact_mut(shape.channels).for_each(<[f32]>::reverse);
    }
}

/// The crop in the size of `shape`, as [`Image::resize_crop`] makes it; of the source mirrored, and
/// mirrored itself, where that is asked for.
#[inline(always)]
fn enlarge(
    source: &Source,
    (crop, [before, after]): (Crop, [bool; 2]),
    shape: ImageShape,
    scratch: &mut Scratch,
    out: &mut [f32],
) {
    let ImageShape { width, channels, .. } = source.shape;
    let left = if before { width - crop.left - crop.width } else { crop.left };
    let length = crop.width * channels;
    let row = |y: usize| &source.values[((crop.top + y) * width + left) * channels..][..length];
    taps(crop.height, shape.height, &mut scratch.down);
    taps(crop.width, shape.width, &mut scratch.across);
    for tap in &mut scratch.across {
        let column = |x: usize| if before { crop.width - 1 - x } else { x };
        [tap.low, tap.high] = [tap.low, tap.high].map(|x| channels * column(x));
    }
    if after {
        scratch.across.reverse();
    }
    // A pixel of three channels is read as four numbers.
    scratch.row.resize(length + 1, 0.0);
    for (tap, out) in scratch.down.iter().zip(out.chunks_exact_mut(shape.width * channels)) {
        for ((blend, low), high) in scratch.row.iter_mut().zip(row(tap.low)).zip(row(tap.high)) {
            *blend = tap.between(*low, *high);
        }
        match channels {
            1 => stretch_gray(&scratch.row, &scratch.across, out),
            3 => stretch_colors(&scratch.row, &scratch.across, out),
            _ => stretch(&scratch.row, &scratch.across, out, channels),
        }
    }
}

#[inline(always)]
fn stretch(row: &[f32], taps: &[Tap], out: &mut [f32], channels: usize) {
    for (tap, out) in taps.iter().zip(out.chunks_exact_mut(channels)) {
        for (channel, out) in out.iter_mut().enumerate() {
            *out = tap.between(row[tap.low + channel], row[tap.high + channel]);
        }
    }
}

#[inline(always)]
fn stretch_gray(row: &[f32], taps: &[Tap], out: &mut [f32]) {
    for (tap, out) in taps.iter().zip(out) {
        *out = tap.between(row[tap.low], row[tap.high]);
    }
}

/// Each pixel is written with one number more than it has, which the next one writes over.
#[inline(always)]
fn stretch_colors(row: &[f32], taps: &[Tap], out: &mut [f32]) {
    let Some((last, taps)) = taps.split_last() else { return };
    for (at, tap) in taps.iter().enumerate() {
        let (low, high) = (&row[tap.low..tap.low + 4], &row[tap.high..tap.high + 4]);
        let pixel: [f32; 4] = std::array::from_fn(|at| tap.between(low[at], high[at]));
        out[3 * at..3 * at + 4].copy_from_slice(&pixel);
    }
    stretch(row, std::slice::from_ref(last), &mut out[3 * taps.len()..], 3);
}

#[inline(always)]
fn scale(values: &mut [f32], means: &[f32], scales: &[f32]) {
    let channels = means.len();
    if !ROUND.is_multiple_of(channels) {
        return scale_pixels(values, means, scales);
    }
    let [mean, scale] =
        [means, scales].map(|of| std::array::from_fn::<f32, ROUND, _>(|at| of[at % channels]));
    let (rounds, left) = values.as_chunks_mut::<ROUND>();
    for round in rounds {
        for ((value, mean), scale) in round.iter_mut().zip(&mean).zip(&scale) {
            *value = (*value - mean) * scale;
        }
    }
    scale_pixels(left, means, scales);
}

#[inline(always)]
fn scale_pixels(values: &mut [f32], means: &[f32], scales: &[f32]) {
    for pixel in values.chunks_exact_mut(means.len()) {
        for ((value, mean), scale) in pixel.iter_mut().zip(means).zip(scales) {
            *value = (*value - mean) * scale;
        }
    }
}
