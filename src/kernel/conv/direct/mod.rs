//! Convolution of few channels without a detour: each image is framed once, and windows are summed
//! in registers.

mod frame;
mod slide;

use rayon::prelude::*;

use super::columns::LEAST;
use super::geometry::Geometry;
use crate::kernel::lanes::LANES;
use crate::kernel::pieces::{fold, room, scratch, shares};
use crate::kernel::real::Real;
use crate::kernel::wide::has_avx512;
use frame::Frame;
use slide::{Correlation, Shape, Slide, Tap};

/// Whether the output can be computed here.
pub(super) fn fits_forward(geometry: &Geometry) -> bool {
    let Geometry { out_width, filters, .. } = *geometry;
    has_avx512() && filters.is_multiple_of(LANES) && Shape::of(out_width, filters).is_some()
}

/// Whether the gradient of the weights can be computed here.
pub(super) fn fits_weight_gradient(geometry: &Geometry) -> bool {
    has_avx512() && geometry.filters.is_multiple_of(LANES)
}

/// Whether the gradient of the input can be computed here.
pub(super) fn fits_input_gradient(geometry: &Geometry) -> bool {
    let Geometry { width, channels, filters, stride, .. } = *geometry;
    let lanes = channels.is_multiple_of(LANES) && filters.is_multiple_of(LANES);
    let shape = |phase: usize| Shape::of((width - phase).div_ceil(stride), channels).is_some();
    has_avx512() && lanes && width >= stride && (0..stride).all(shape)
}

pub(super) fn forward<T: Real>(x: &[T], weight: &[T], geometry: &Geometry) -> Vec<T> {
    let Geometry { height, width, channels, filters, out_height, out_width, .. } = *geometry;
    let slide = Slide {
        taps: window(geometry),
        rows: out_height,
        columns: out_width,
        origin: 0,
        row_step: out_width * filters,
        column_step: filters,
        filters,
    };
    let windows = [out_height, out_width];
    let frame = Frame::new([height, width, channels], geometry.stride, windows, &slide.taps);
    let entry = |tap: usize, from: usize, to: usize| weight[(tap * channels + from) * filters + to];
    let weight = packed(&frame, &slide, entry);
    run(x, &frame, &[(slide, weight)], out_height * out_width * filters)
}

/// Each phase of the input's pixels modulo the stride gets its gradient from the taps that reach
/// it: a convolution of `dy` at stride 1.
pub(super) fn input_gradient<T: Real>(weight: &[T], dy: &[T], geometry: &Geometry) -> Vec<T> {
    let Geometry { channels, filters, out_height, out_width, stride, .. } = *geometry;
    let phases = (0..stride).flat_map(|row| (0..stride).map(move |column| [row, column]));
    let slides: Vec<Slide> = phases.map(|phase| phase_slide(geometry, phase)).collect();
    let taps: Vec<Tap> = slides.iter().flat_map(|slide| slide.taps.iter().copied()).collect();
    let windows = [slides[0].rows, slides[0].columns];
    let frame = Frame::new([out_height, out_width, filters], 1, windows, &taps);
    let entry = |tap: usize, from: usize, to: usize| weight[(tap * channels + to) * filters + from];
    let slides: Vec<(Slide, Vec<T>)> = slides
        .into_iter()
        .map(|slide| {
            let weight = packed(&frame, &slide, entry);
            (slide, weight)
        })
        .collect();
    run(dy, &frame, &slides, geometry.image_len())
}

pub(super) fn weight_gradient<T: Real>(x: &[T], dy: &[T], geometry: &Geometry) -> Vec<T> {
    let Geometry { height, width, channels, filters, out_height, out_width, .. } = *geometry;
    let (taps, windows) = (window(geometry), [out_height, out_width]);
    let frame = Frame::new([height, width, channels], geometry.stride, windows, &taps);
    let plane = channels * filters;
    let image = |image: usize, len: usize| image * len..(image + 1) * len;
    let least = LEAST.div_ceil(out_height * out_width);
    let parts = shares(geometry.batch, 16, least).into_par_iter().map(|images| {
        let mut dw = vec![T::ZERO; taps.len() * plane];
        scratch(frame.len(), |framed| {
            for index in images {
                frame.fill(&x[image(index, geometry.image_len())], framed);
                let dy = &dy[image(index, out_height * out_width * filters)];
                let correlation =
                    Correlation { frame: &frame, image: framed, dy, columns: out_width, filters };
                for (tap, dw) in taps.iter().zip(dw.chunks_exact_mut(plane)) {
                    correlation.add(tap, dw);
                }
            }
        });
        dw
    });
    fold(parts.collect(), taps.len() * plane)
}

/// The taps of a window, from its upper left without padding.
fn window(geometry: &Geometry) -> Vec<Tap> {
    let Geometry { kernel_height, kernel_width, padding, .. } = *geometry;
    let tap = |row: usize, column: usize| Tap {
        down: row as isize - padding as isize,
        right: column as isize - padding as isize,
        index: row * kernel_width + column,
    };
    (0..kernel_height).flat_map(|row| (0..kernel_width).map(move |c| tap(row, c))).collect()
}

/// The slide over `dy` that gives the gradient of the input pixels of one phase.
fn phase_slide(geometry: &Geometry, [row, column]: [usize; 2]) -> Slide {
    let Geometry { height, width, channels, stride, .. } = *geometry;
    let reach = |phase: usize, offset: isize| {
        let distance = phase as isize - offset;
        (distance.rem_euclid(stride as isize) == 0).then(|| distance.div_euclid(stride as isize))
    };
    let tap = |tap: &Tap| {
        let (down, right) = (reach(row, tap.down)?, reach(column, tap.right)?);
        Some(Tap { down, right, index: tap.index })
    };
    Slide {
        taps: window(geometry).iter().filter_map(tap).collect(),
        rows: (height - row).div_ceil(stride),
        columns: (width - column).div_ceil(stride),
        origin: (row * width + column) * channels,
        row_step: stride * width * channels,
        column_step: stride * channels,
        filters: channels,
    }
}

/// The weights in the order in which a slide needs them; `entry(tap, from, to)` gives them.
fn packed<T: Real>(
    frame: &Frame,
    slide: &Slide,
    entry: impl Fn(usize, usize, usize) -> T,
) -> Vec<T> {
    let shape = Shape::of(slide.columns, slide.filters).expect("the shape was found before");
    let mut weight = Vec::new();
    for filter in (0..slide.filters).step_by(shape.filters()) {
        for block in 0..frame.blocks() {
            for tap in &slide.taps {
                for channel in block * frame.block()..(block + 1) * frame.block() {
                    let filters = filter..filter + shape.filters();
                    weight.extend(filters.map(|filter| entry(tap.index, channel, filter)));
                }
            }
        }
    }
    weight
}

/// Frames each image and lets all slides write to its output of `len` elements.
fn run<T: Real>(x: &[T], frame: &Frame, slides: &[(Slide, Vec<T>)], len: usize) -> Vec<T> {
    let images = x.len() / frame.image_len();
    let mut y = room(images * len);
    y.par_chunks_mut(len).zip(x.par_chunks(frame.image_len())).for_each(|(y, x)| {
        scratch(frame.len(), |framed| {
            frame.fill(x, framed);
            for (slide, weight) in slides {
                slide.run(frame, framed, weight, y);
            }
        });
    });
    y
}
