//! Cutting work into pieces whose borders do not depend on the number of threads.

use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

use super::real::Real;
use super::wide::wide;

/// Elements of partial sums that are added up in one task.
const FOLDED: usize = 8 * 1024;

/// The ranges of at most `size` that make up `0..total`.
pub(crate) fn ranges(total: usize, size: usize) -> Vec<Range<usize>> {
    (0..total).step_by(size).map(|start| start..(start + size).min(total)).collect()
}

/// `0..total` in about `count` ranges of equal size, each of at least `least`.
pub(crate) fn shares(total: usize, count: usize, least: usize) -> Vec<Range<usize>> {
    ranges(total, total.div_ceil(count).max(least).max(1))
}

/// Adds up partial sums in their order; zeros of length `len` when there are none.
pub(crate) fn fold<T: Real>(parts: Vec<Vec<T>>, len: usize) -> Vec<T> {
    let mut parts = parts.into_iter();
    let mut sum = parts.next().unwrap_or_else(|| vec![T::ZERO; len]);
    let parts: Vec<Vec<T>> = parts.collect();
    sum.par_chunks_mut(FOLDED).enumerate().for_each(|(index, sum)| {
        let (first, length) = (index * FOLDED, sum.len());
        parts.iter().for_each(|part| add(sum, &part[first..first + length]));
    });
    sum
}

/// `sum += part`, element by element.
pub(crate) fn add<T: Real>(sum: &mut [T], part: &[T]) {
    add_each(sum, part);
}

wide! {
    fn add_each<T: Real>(sum: &mut [T], part: &[T]) {
        for (sum, part) in sum.iter_mut().zip(part) {
            *sum += *part;
        }
    }
}

/// Room for `len` elements that the caller writes before it reads them.
#[allow(clippy::uninit_vec)]
pub(crate) fn room<T: Real>(len: usize) -> Vec<T> {
    let mut values = Vec::with_capacity(len);
    // SAFETY: `T` is `f32` or `f64`, for which every bit pattern is a value, and zeroing the
    // memory first would cost as much as many of the operations that fill it.
    unsafe { values.set_len(len) };
    values
}

thread_local! {
    static BUFFERS: RefCell<Vec<Vec<u64>>> = const { RefCell::new(Vec::new()) };
}

/// Lends `len` elements with arbitrary contents, from memory this thread keeps for the purpose.
pub(crate) fn scratch<T: Real, R>(len: usize, work: impl FnOnce(&mut [T]) -> R) -> R {
    let mut buffer = BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_default();
    let words = (len * size_of::<T>()).div_ceil(size_of::<u64>());
    if buffer.len() < words {
        buffer = vec![0; words];
    }
    // SAFETY: the buffer has at least `len * size_of::<T>()` initialised bytes, aligned for
    // `u64` and so for `T`, every bit pattern of which is a value.
    let values = unsafe { std::slice::from_raw_parts_mut(buffer.as_mut_ptr().cast::<T>(), len) };
    let result = work(values);
    BUFFERS.with_borrow_mut(|buffers| buffers.push(buffer));
    result
}

/// Cuts a slice into consecutive parts of the given lengths.
pub(crate) fn split<T>(
    mut values: &mut [T],
    lengths: impl Iterator<Item = usize>,
) -> Vec<&mut [T]> {
    let mut parts = Vec::new();
    for length in lengths {
        let (part, rest) = values.split_at_mut(length);
        parts.push(part);
        values = rest;
    }
    parts
}
