//! Passes over channels-last data [..., C] that treat every channel alike: sums, and affine maps
//! with an optional residual and rectifier.

use std::ops::Range;

use rayon::prelude::*;

use super::pieces::{ranges, room};
use super::real::Real;
use super::wide::wide;

/// Elements of a task.
const TASK: usize = 16 * 1024;

/// Pixels are taken this many elements at a time, so that loops are long even for few channels.
fn row(channels: usize) -> usize {
    channels * 256usize.div_ceil(channels)
}

/// `values`, one for each channel, repeated to the length of a row.
fn repeated<T: Real>(values: &[f64]) -> Vec<T> {
    let row = row(values.len());
    values.iter().map(|value| T::of(*value)).cycle().take(row).collect()
}

/// Elements of a task: whole rows.
fn task(row: usize) -> usize {
    row * TASK.div_ceil(row)
}

/// Data with its gradient as a backward pass meets them: input, output, gradient of the output.
#[derive(Clone, Copy)]
pub(crate) struct Pass<'a, T> {
    pub(crate) x: &'a [T],
    pub(crate) y: &'a [T],
    pub(crate) dy: &'a [T],
    pub(crate) relu: bool,
}

impl<T: Real> Pass<'_, T> {
    /// The gradient behind the rectifier.
    #[inline(always)]
    fn masked(relu: bool, y: T, dy: T) -> T {
        if !relu || y > T::ZERO { dy } else { T::ZERO }
    }

    /// For each channel `Σ dy` and `Σ dy (x - center)`, with `dy` behind the rectifier.
    pub(crate) fn sums(&self, center: &[f64]) -> [Vec<f64>; 2] {
        let Self { x, y, dy, relu } = *self;
        sums([x, y, dy], center, |[x, y, dy], center| {
            let dy = Self::masked(relu, y, dy);
            (dy, dy * (x - center))
        })
    }

    /// `a dy + b (x - center) + c` for each element, with `dy` behind the rectifier.
    pub(crate) fn combined(&self, [a, b, c, center]: [&[f64]; 4]) -> Vec<T> {
        let Self { x, y, dy, relu } = *self;
        let row = row(a.len());
        let factors = [a, b, c, center].map(repeated);
        let mut dx = room(x.len());
        dx.par_chunks_mut(task(row)).enumerate().for_each(|(index, dx)| {
            let at = index * task(row);
            let [x, y, dy] = [x, y, dy].map(|values| &values[at..at + dx.len()]);
            wide(|| {
                for ((dx, x), (y, dy)) in
                    dx.chunks_mut(row).zip(x.chunks(row)).zip(y.chunks(row).zip(dy.chunks(row)))
                {
                    let n = dx.len();
                    let [a, b, c, center] = factors.each_ref().map(|values| &values[..n]);
                    let (x, y, dy) = (&x[..n], &y[..n], &dy[..n]);
                    for i in 0..n {
                        let dy = Self::masked(relu, y[i], dy[i]);
                        dx[i] = a[i] * dy + b[i] * (x[i] - center[i]) + c[i];
                    }
                }
            });
        });
        dx
    }

    /// The gradient behind the rectifier for each element.
    pub(crate) fn rectified(&self) -> Vec<T> {
        let Self { y, dy, relu, .. } = *self;
        let mut to = room(dy.len());
        to.par_chunks_mut(TASK).enumerate().for_each(|(index, to)| {
            let range = index * TASK..index * TASK + to.len();
            wide(|| {
                for ((to, y), dy) in to.iter_mut().zip(&y[range.clone()]).zip(&dy[range]) {
                    *to = Self::masked(relu, *y, *dy);
                }
            });
        });
        to
    }
}

/// For each channel the mean of `x` and its variance over the number of pixels.
pub(crate) fn moments<T: Real>(x: &[T], channels: usize) -> [Vec<f64>; 2] {
    let pixels = (x.len() / channels) as f64;
    // Distances from the first pixel keep the one-pass variance from cancelling.
    let origin: Vec<f64> = x[..channels].iter().map(|x| x.to_f64()).collect();
    let [sum, squares] = sums([x, x, x], &origin, |[x, _, _], origin| {
        let distance = x - origin;
        (distance, distance * distance)
    });
    let variance = sum.iter().zip(&squares).map(|(sum, squares)| {
        let mean = sum / pixels;
        (squares / pixels - mean * mean).max(0.0)
    });
    let variance = variance.collect();
    [origin.iter().zip(&sum).map(|(origin, sum)| origin + sum / pixels).collect(), variance]
}

/// The sum of each channel.
pub(crate) fn column_sums<T: Real>(x: &[T], channels: usize) -> Vec<T> {
    let [sum, _] = sums([x, x, x], &vec![0.0; channels], |[x, _, _], _| (x, T::ZERO));
    sum.into_iter().map(T::of).collect()
}

/// For each channel the sums over the pixels of the two numbers `f` makes of the elements and the
/// channel's `center`; added up in `f64` once for every task.
fn sums<T: Real>(
    inputs: [&[T]; 3],
    center: &[f64],
    f: impl Fn([T; 3], T) -> (T, T) + Sync,
) -> [Vec<f64>; 2] {
    let (row, channels) = (row(center.len()), center.len());
    let center = repeated::<T>(center);
    let partial = |range: Range<usize>| {
        let mut sums = [vec![T::ZERO; row], vec![T::ZERO; row]];
        wide(|| {
            let [first, second] = &mut sums;
            let [x, y, z] = inputs.map(|values| &values[range.clone()]);
            for ((x, y), z) in x.chunks(row).zip(y.chunks(row)).zip(z.chunks(row)) {
                let n = x.len();
                let (first, second) = (&mut first[..n], &mut second[..n]);
                let (y, z, center) = (&y[..n], &z[..n], &center[..n]);
                for i in 0..n {
                    let (a, b) = f([x[i], y[i], z[i]], center[i]);
                    first[i] += a;
                    second[i] += b;
                }
            }
        });
        sums
    };
    let tasks = ranges(inputs[0].len(), task(row));
    let partials: Vec<[Vec<T>; 2]> = tasks.into_par_iter().map(partial).collect();
    [0, 1].map(|which| by_channel(partials.iter().map(|sums| &sums[which][..]), channels))
}

/// Adds rows of partial sums up, channel by channel.
fn by_channel<'a, T: Real>(rows: impl Iterator<Item = &'a [T]>, channels: usize) -> Vec<f64> {
    let mut sums = vec![0.0; channels];
    for pixel in rows.flat_map(|row| row.chunks_exact(channels)) {
        for (sum, value) in sums.iter_mut().zip(pixel) {
            *sum += value.to_f64();
        }
    }
    sums
}

/// `x * scale + shift` and what may follow it.
pub(crate) struct Affine<'a, T> {
    pub(crate) scale: &'a [f64],
    pub(crate) shift: &'a [f64],
    pub(crate) residual: Option<&'a [T]>,
    pub(crate) relu: bool,
}

impl<T: Real> Affine<'_, T> {
    pub(crate) fn of(&self, x: &[T]) -> Vec<T> {
        let row = row(self.scale.len());
        let (scale, shift) = (repeated(self.scale), repeated(self.shift));
        let mut y = room(x.len());
        y.par_chunks_mut(task(row)).enumerate().for_each(|(index, y)| {
            let range = index * task(row)..index * task(row) + y.len();
            let rows = y.chunks_mut(row).zip(x[range.clone()].chunks(row));
            wide(|| match self.residual {
                None => rows.for_each(|(y, x)| self.map(y, x, None, (&scale, &shift))),
                Some(residual) => {
                    rows.zip(residual[range].chunks(row)).for_each(|((y, x), residual)| {
                        self.map(y, x, Some(residual), (&scale, &shift))
                    })
                }
            });
        });
        y
    }

    #[inline(always)]
    fn map(&self, y: &mut [T], x: &[T], residual: Option<&[T]>, (scale, shift): (&[T], &[T])) {
        let n = y.len();
        let (x, scale, shift) = (&x[..n], &scale[..n], &shift[..n]);
        match residual.map(|residual| &residual[..n]) {
            None => (0..n).for_each(|i| y[i] = self.rectified(x[i] * scale[i] + shift[i])),
            Some(residual) => (0..n).for_each(|i| {
                y[i] = self.rectified(x[i] * scale[i] + shift[i] + residual[i]);
            }),
        }
    }

    #[inline(always)]
    fn rectified(&self, value: T) -> T {
        if self.relu { value.larger(T::ZERO) } else { value }
    }
}
