//! Products with a right factor that is laid out once and used by many rows: on the calling thread,
//! as parallel work is divided outside.
//!
//! The right factor lies in panels of as many columns as fill a few registers. The left one stays
//! as it is: a tile of a few rows reads it number by number. Each element of a product is one sum
//! in the order of the inner index, cut only every [`BLOCK`] terms, so its bits depend neither on
//! the width of the panels nor on how rows are divided.

mod halves;

use rayon::prelude::*;

pub use halves::has_bf16;
pub(crate) use halves::{Halves, packed_halves};

use super::matrix::Matrix;
use super::pieces::{room, scratch};
use super::real::Real;
use super::turn::turn;
#[cfg(target_arch = "x86_64")]
use super::wide::has_avx2;
use super::wide::has_avx512;

/// Terms of a sum that are added up in registers: with the panel they are in the innermost cache.
const BLOCK: usize = 256;
/// Rows that pass over one panel before the next one is read.
const ROWS: usize = 96;

/// Columns of a panel on this processor.
fn width() -> usize {
    if has_avx512() { 32 } else { 16 }
}

/// The right factor of products, in panels.
#[derive(Clone, Copy)]
pub(crate) struct Panels<'a, T> {
    /// For each panel the rows of its columns, one after the other; columns beyond the last are 0.
    values: &'a [T],
    inner: usize,
    columns: usize,
}

/// What a product becomes.
#[derive(Clone, Copy, Default)]
pub(crate) struct Finish<'a, T> {
    /// Whether it is added to what is there.
    pub(crate) onto: bool,
    /// Added to each row.
    pub(crate) bias: Option<&'a [T]>,
    /// Negative elements become 0.
    pub(crate) relu: bool,
}

impl<T> Finish<'_, T> {
    /// What a part of each sum becomes, the first, the last or one between them.
    fn in_part(self, is_first: bool, is_last: bool) -> Self {
        Self {
            onto: self.onto || !is_first,
            bias: self.bias.filter(|_| is_last),
            relu: self.relu && is_last,
        }
    }
}

/// The number of elements in which a factor of a size is laid out.
pub(crate) fn packed_len((inner, columns): (usize, usize)) -> usize {
    inner * columns.next_multiple_of(width())
}

/// Lays a right factor out, on all threads.
pub(crate) fn packed<T: Real>(factor: Matrix<T>) -> Vec<T> {
    let (width, inner) = (width(), factor.size().0);
    let mut values = room(packed_len(factor.size()));
    let panels = values.par_chunks_mut((width * inner).max(1)).enumerate();
    panels.for_each(|(panel, to)| lay_out(factor, (panel * width, width), to));
    values
}

impl<'a, T: Real> Panels<'a, T> {
    /// Lays `factor` out in `values`, which has [`packed_len`] elements.
    pub(crate) fn lay(factor: Matrix<T>, values: &'a mut [T]) -> Self {
        let (width, inner) = (width(), factor.size().0);
        for (panel, to) in values.chunks_mut((width * inner).max(1)).enumerate() {
            lay_out(factor, (panel * width, width), to);
        }
        Self::of(factor.size(), values)
    }

    /// A factor of size `(inner, columns)` that was laid out before.
    pub(crate) fn of((inner, columns): (usize, usize), values: &'a [T]) -> Self {
        assert_eq!(values.len(), packed_len((inner, columns)), "panels of another size");
        Self { values, inner, columns }
    }

    /// The product of `left` with this factor, in `to` row by row.
    pub(crate) fn times(&self, left: Matrix<T>, to: &mut [T], finish: Finish<T>) {
        assert_eq!(to.len(), left.size().0 * self.columns, "the product has another size");
        self.times_apart(left, Apart { to, row_stride: self.columns }, finish);
    }

    /// The product of `left` with this factor, in rows that need not touch.
    pub(crate) fn times_apart(&self, left: Matrix<T>, to: Apart<T>, finish: Finish<T>) {
        let (rows, inner) = left.size();
        assert_eq!(inner, self.inner, "the inner sizes of a product differ");
        let fits = rows == 0 || (rows - 1) * to.row_stride + self.columns <= to.to.len();
        assert!(fits && self.columns <= to.row_stride, "the product overruns its slice");
        let strips = if left.contiguous() { 0 } else { ROWS * BLOCK };
        scratch(strips, |strips| dispatch(*self, left, to, (finish, strips)));
    }
}

/// `left right`, for a right factor that is used once.
pub(crate) fn product<T: Real>(left: Matrix<T>, right: Matrix<T>, to: Apart<T>, finish: Finish<T>) {
    scratch(packed_len(right.size()), |values| {
        Panels::lay(right, values).times_apart(left, to, finish);
    });
}

/// Where the rows of a product go: `row_stride` elements from one to the next.
pub(crate) struct Apart<'a, T> {
    pub(crate) to: &'a mut [T],
    pub(crate) row_stride: usize,
}

/// What a product becomes, and room to lay out a part of its left factor.
type Asked<'a, 'b, T, Kept = T> = (Finish<'a, T>, &'b mut [Kept]);

fn dispatch<T: Real>(panels: Panels<T>, left: Matrix<T>, to: Apart<T>, asked: Asked<T>) {
    #[cfg(target_arch = "x86_64")]
    {
        if has_avx512() {
            // SAFETY: the features were just detected.
            return unsafe { avx512(panels, left, to, asked) };
        }
        if has_avx2() {
            // SAFETY: the features were just detected.
            return unsafe { avx2(panels, left, to, asked) };
        }
    }
    // Other processors than these have the operation as an instruction.
    times::<T, 16, { !cfg!(target_arch = "x86_64") }>(panels, left, to, asked);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,fma")]
fn avx512<T: Real>(panels: Panels<T>, left: Matrix<T>, to: Apart<T>, asked: Asked<T>) {
    times::<T, 32, true>(panels, left, to, asked);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<T: Real>(panels: Panels<T>, left: Matrix<T>, to: Apart<T>, asked: Asked<T>) {
    times::<T, 16, true>(panels, left, to, asked);
}

/// One panel of `width` columns from `first` on.
fn lay_out<T: Real>(factor: Matrix<T>, (first, width): (usize, usize), to: &mut [T]) {
    let there = factor.size().1.saturating_sub(first).min(width);
    if there < width {
        to.fill(T::ZERO);
    }
    let Some(rows) = factor.contiguous_rows() else {
        return turn(factor, (first, there), to, width);
    };
    for (row, to) in rows.zip(to.chunks_exact_mut(width)) {
        copy(&row[first..first + there], to);
    }
}

/// Copies a few registers at a time: whole rows are too short for the system's copy.
fn copy<T: Real>(from: &[T], to: &mut [T]) {
    if from.len() < to.len() {
        return to[..from.len()].copy_from_slice(from);
    }
    let ((from, _), (to, _)) = (from.as_chunks::<16>(), to.as_chunks_mut::<16>());
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
}

#[inline(always)]
fn times<T: Real, const N: usize, const FUSED: bool>(
    panels: Panels<T>,
    left: Matrix<T>,
    Apart { to, row_stride }: Apart<T>,
    (finish, strips): Asked<T>,
) {
    let (rows, inner) = left.size();
    if inner == 0 {
        let rows = to.chunks_mut(row_stride.max(1)).take(rows);
        let zeros = vec![T::ZERO; panels.columns];
        return rows.for_each(|row| finish_row(&zeros, &mut row[..panels.columns], 0, finish));
    }
    for start in (0..inner).step_by(BLOCK) {
        let end = inner.min(start + BLOCK);
        let part = finish.in_part(start == 0, end == inner);
        for top in (0..rows).step_by(ROWS) {
            let block = left.rows(top..rows.min(top + ROWS)).columns(start..end);
            let to = &mut to[top * row_stride..];
            let block = match left.contiguous() {
                true => Left::Rows(block),
                false => Left::strips(block, strips),
            };
            for (index, panel) in panels.values.chunks_exact(N * inner).enumerate() {
                let (panel, _) = panel.as_chunks::<N>();
                let first = index * N;
                let place = Place { first, there: N.min(panels.columns - first), row_stride };
                column::<T, N, FUSED>(block, &panel[start..end], to, (place, part));
            }
        }
    }
}

/// Some rows of a left factor and a part of the inner index.
#[derive(Clone, Copy)]
enum Left<'a, T> {
    /// Rows whose elements lie side by side.
    Rows(Matrix<'a, T>),
    /// For each tile its columns one after the other, of so many rows in all.
    Strips(&'a [T], usize),
}

/// Runs a body for every tile of some rows, with its first row and its number of rows as a constant.
macro_rules! tiles {
    ($rows:expr, $row:ident, $size:ident => $body:block) => {
        tiles!($rows, $row, $size => $body; 6 4 2 1);
    };
    ($rows:expr, $row:ident, $size:ident => $body:block; $($number:literal)*) => {
        let mut $row = 0;
        $(while $rows - $row >= $number {
            const $size: usize = $number;
            $body
            $row += $number;
        })*
    };
}
use tiles;

impl<'a, T: Real> Left<'a, T> {
    /// Lays out a part whose columns lie side by side, so that a tile reads it in its order: where
    /// it is, one tile would read a line of the cache for each of its columns.
    #[inline(always)]
    fn strips(part: Matrix<T>, strips: &'a mut [T]) -> Self {
        let (rows, inner) = part.size();
        tiles!(rows, row, SIZE => {
            let (to, _) = strips[row * inner..][..SIZE * inner].as_chunks_mut::<SIZE>();
            for (index, to) in to.iter_mut().enumerate() {
                to.copy_from_slice(&part.column(index)[row..row + SIZE]);
            }
        });
        Self::Strips(strips, rows)
    }

    fn rows(self) -> usize {
        match self {
            Self::Rows(matrix) => matrix.size().0,
            Self::Strips(_, rows) => rows,
        }
    }
}

/// The columns of a product that one panel gives.
#[derive(Clone, Copy)]
struct Place {
    first: usize,
    /// Their number.
    there: usize,
    row_stride: usize,
}

/// The columns of one panel.
#[inline(always)]
fn column<T: Real, const N: usize, const FUSED: bool>(
    left: Left<T>,
    panel: &[[T; N]],
    to: &mut [T],
    (place, finish): (Place, Finish<T>),
) {
    tiles!(left.rows(), row, SIZE => {
        let sums = match left {
            Left::Rows(left) => across::<T, SIZE, N, FUSED>(left, row, panel),
            Left::Strips(strips, _) => {
                let (strip, _) = strips[row * panel.len()..].as_chunks::<SIZE>();
                down::<T, SIZE, N, FUSED>(&strip[..panel.len()], panel)
            }
        };
        write(&sums, &mut to[row * place.row_stride..], place, finish);
    });
}

/// The sums of a tile whose rows of the left factor lie in one piece.
#[inline(always)]
fn across<T: Real, const R: usize, const N: usize, const FUSED: bool>(
    left: Matrix<T>,
    first: usize,
    panel: &[[T; N]],
) -> [[T; N]; R] {
    let rows: [&[T]; R] = std::array::from_fn(|row| &left.row(first + row)[..panel.len()]);
    let mut sums = [[T::ZERO; N]; R];
    for (index, right) in panel.iter().enumerate() {
        for row in 0..R {
            add_multiple::<T, N, FUSED>(&mut sums[row], rows[row][index], right);
        }
    }
    sums
}

/// The sums of a tile whose left factor lies in a strip.
#[inline(always)]
fn down<T: Real, const R: usize, const N: usize, const FUSED: bool>(
    strip: &[[T; R]],
    panel: &[[T; N]],
) -> [[T; N]; R] {
    let mut sums = [[T::ZERO; N]; R];
    for (left, right) in strip.iter().zip(panel) {
        for row in 0..R {
            add_multiple::<T, N, FUSED>(&mut sums[row], left[row], right);
        }
    }
    sums
}

#[inline(always)]
fn add_multiple<T: Real, const N: usize, const FUSED: bool>(
    sums: &mut [T; N],
    by: T,
    row: &[T; N],
) {
    for column in 0..N {
        sums[column] = match FUSED {
            true => by.fused(row[column], sums[column]),
            false => by * row[column] + sums[column],
        };
    }
}

/// Writes a tile, as far as there are columns.
#[inline(always)]
fn write<T: Real, const R: usize, const N: usize>(
    sums: &[[T; N]; R],
    to: &mut [T],
    Place { first, there, row_stride }: Place,
    finish: Finish<T>,
) {
    for (row, sums) in sums.iter().enumerate() {
        let to = &mut to[row * row_stride + first..][..there];
        let Ok(to) = <&mut [T; N]>::try_from(&mut *to) else {
            finish_row(&sums[..there], to, first, finish);
            continue;
        };
        match finish {
            Finish { onto: false, bias: None, relu: false } => *to = *sums,
            Finish { onto: true, bias: None, relu: false } => {
                to.iter_mut().zip(sums).for_each(|(to, sum)| *to += *sum);
            }
            _ => finish_row(sums, to, first, finish),
        }
    }
}

#[inline(always)]
fn finish_row<T: Real>(sums: &[T], to: &mut [T], first: usize, finish: Finish<T>) {
    let Finish { onto, bias, relu } = finish;
    for (column, (to, sum)) in to.iter_mut().zip(sums).enumerate() {
        let before = if onto { *to } else { T::ZERO };
        let bias = bias.map_or(T::ZERO, |bias| bias[first + column]);
        let sum = before + *sum + bias;
        *to = if relu { sum.larger(T::ZERO) } else { sum };
    }
}

#[cfg(test)]
mod tests;
