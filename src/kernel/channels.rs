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

/// The gradient behind the rectifier, if there is one.
#[inline(always)]
fn masked<T: Real, const RELU: bool>(y: T, dy: T) -> T {
    if !RELU || y > T::ZERO { dy } else { T::ZERO }
}

#[inline(always)]
fn gradient_products<T: Real, const RELU: bool>([x, y, dy]: [T; 3], center: T) -> (T, T) {
    let dy = masked::<T, RELU>(y, dy);
    (dy, dy * (x - center))
}

impl<T: Real> Pass<'_, T> {
    /// For each channel `Σ dy` and `Σ dy (x - center)`, with `dy` behind the rectifier.
    pub(crate) fn sums(&self, center: &[f64]) -> [Vec<f64>; 2] {
        let inputs = [self.x, self.y, self.dy];
        if self.relu {
            sums(inputs, center, gradient_products::<T, true>)
        } else {
            sums(inputs, center, gradient_products::<T, false>)
        }
    }

    /// `a dy + b (x - center) + c` for each element, with `dy` behind the rectifier.
    pub(crate) fn combined(&self, factors: [&[f64]; 4]) -> Vec<T> {
        let mut dx = room(self.x.len());
        self.combine_into(&mut dx, factors);
        dx
    }

    /// Writes [`Pass::combined`] to `dx`.
    pub(crate) fn combine_into(&self, dx: &mut [T], factors: [&[f64]; 4]) {
        let row = row(factors[0].len());
        let factors = factors.map(repeated);
        dx.par_chunks_mut(task(row)).enumerate().for_each(|(index, dx)| {
            let range = index * task(row)..index * task(row) + dx.len();
            let inputs = [self.x, self.y, self.dy].map(|values| &values[range.clone()]);
            if self.relu {
                combine::<T, true>(dx, inputs, &factors);
            } else {
                combine::<T, false>(dx, inputs, &factors);
            }
        });
    }

    /// The gradient behind the rectifier for each element.
    pub(crate) fn rectified(&self) -> Vec<T> {
        let mut to = room(self.dy.len());
        to.par_chunks_mut(TASK).enumerate().for_each(|(index, to)| {
            let range = index * TASK..index * TASK + to.len();
            rectify_gradient(to, &self.y[range.clone()], &self.dy[range]);
        });
        to
    }
}

wide! {
    fn combine<T: Real, const RELU: bool>(dx: &mut [T], inputs: [&[T]; 3], factors: &[Vec<T>; 4]) {
        let [x, y, dy] = inputs;
        let row = factors[0].len();
        let inputs = x.chunks(row).zip(y.chunks(row)).zip(dy.chunks(row));
        for (dx, ((x, y), dy)) in dx.chunks_mut(row).zip(inputs) {
            let n = dx.len();
            let (x, y, dy) = (&x[..n], &y[..n], &dy[..n]);
            let (a, b, c) = (&factors[0][..n], &factors[1][..n], &factors[2][..n]);
            let center = &factors[3][..n];
            for i in 0..n {
                let dy = masked::<T, RELU>(y[i], dy[i]);
                dx[i] = a[i] * dy + b[i] * (x[i] - center[i]) + c[i];
            }
        }
    }
}

wide! {
    fn rectify_gradient<T: Real>(to: &mut [T], y: &[T], dy: &[T]) {
        for ((to, y), dy) in to.iter_mut().zip(y).zip(dy) {
            *to = masked::<T, true>(*y, *dy);
        }
    }
}

/// For each channel the mean of `x` and its variance over the number of pixels.
pub(crate) fn moments<T: Real>(x: &[T], channels: usize) -> [Vec<f64>; 2] {
    let pixels = (x.len() / channels) as f64;
    // Distances from the first pixel keep the one-pass variance from cancelling.
    let origin: Vec<f64> = x[..channels].iter().map(|x| x.to_f64()).collect();
    let [sum, squares] = sums([x, x, x], &origin, distances);
    let variance = sum.iter().zip(&squares).map(|(sum, squares)| {
        let mean = sum / pixels;
        (squares / pixels - mean * mean).max(0.0)
    });
    let variance = variance.collect();
    [origin.iter().zip(&sum).map(|(origin, sum)| origin + sum / pixels).collect(), variance]
}

#[inline(always)]
fn distances<T: Real>([x, _, _]: [T; 3], origin: T) -> (T, T) {
    (x - origin, (x - origin) * (x - origin))
}

/// The sum of each channel.
pub(crate) fn column_sums<T: Real>(x: &[T], channels: usize) -> Vec<T> {
    let [sum, _] = sums([x, x, x], &vec![0.0; channels], only_first);
    sum.into_iter().map(T::of).collect()
}

#[inline(always)]
fn only_first<T: Real>([x, _, _]: [T; 3], _center: T) -> (T, T) {
    (x, T::ZERO)
}

/// For each channel the sums over the pixels of the two numbers `f` makes of the elements and the
/// channel's `center`; added up in `f64` once for every task.
fn sums<T: Real>(
    inputs: [&[T]; 3],
    center: &[f64],
    f: impl Fn([T; 3], T) -> (T, T) + Copy + Sync,
) -> [Vec<f64>; 2] {
    let (row, channels) = (row(center.len()), center.len());
    let center = repeated::<T>(center);
    let partial = |range: Range<usize>| {
        let inputs = inputs.map(|values| &values[range.clone()]);
        sums_of_rows(inputs, &center[..], f)
    };
    let tasks = ranges(inputs[0].len(), task(row));
    let partials: Vec<[Vec<T>; 2]> = tasks.into_par_iter().map(partial).collect();
    [0, 1].map(|which| by_channel(partials.iter().map(|sums| &sums[which][..]), channels))
}

wide! {
    fn sums_of_rows<T: Real>(
        inputs: [&[T]; 3],
        center: &[T],
        f: impl Fn([T; 3], T) -> (T, T),
    ) -> [Vec<T>; 2] {
        let [x, y, z] = inputs;
        let row = center.len();
        let mut sums = [vec![T::ZERO; row], vec![T::ZERO; row]];
        let [first, second] = &mut sums;
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
        sums
    }
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
        let mut y = room(x.len());
        self.write(x, &mut y);
        y
    }

    /// Writes [`Affine::of`] to `y`.
    pub(crate) fn write(&self, x: &[T], y: &mut [T]) {
        let row = row(self.scale.len());
        let (scale, shift) = (repeated(self.scale), repeated(self.shift));
        let least = if self.relu { T::ZERO } else { T::of(f64::NEG_INFINITY) };
        y.par_chunks_mut(task(row)).enumerate().for_each(|(index, y)| {
            let range = index * task(row)..index * task(row) + y.len();
            let (x, factors) = (&x[range.clone()], (&scale[..], &shift[..], least));
            match self.residual {
                None => map(y, x, factors),
                Some(residual) => map_and_add(y, x, &residual[range], factors),
            }
        });
    }
}

/// Scale and shift of a row, and the least that comes out.
type Factors<'a, T> = (&'a [T], &'a [T], T);

wide! {
    fn map<T: Real>(y: &mut [T], x: &[T], factors: Factors<T>) {
        let (scale, shift, least) = factors;
        let row = scale.len();
        for (y, x) in y.chunks_mut(row).zip(x.chunks(row)) {
            let n = y.len();
            let (x, scale, shift) = (&x[..n], &scale[..n], &shift[..n]);
            for i in 0..n {
                y[i] = (x[i] * scale[i] + shift[i]).larger(least);
            }
        }
    }
}

wide! {
    fn map_and_add<T: Real>(y: &mut [T], x: &[T], residual: &[T], factors: Factors<T>) {
        let (scale, shift, least) = factors;
        let row = scale.len();
        for ((y, x), residual) in y.chunks_mut(row).zip(x.chunks(row)).zip(residual.chunks(row)) {
            let n = y.len();
            let (x, residual, scale, shift) = (&x[..n], &residual[..n], &scale[..n], &shift[..n]);
            for i in 0..n {
                y[i] = (x[i] * scale[i] + shift[i] + residual[i]).larger(least);
            }
        }
    }
}
