//! Products of numbers rounded to bf16, added up in f32: two of them at once where the processor
//! has instructions for it, and the same bits where it has not.
//!
//! Numbers stand in pairs along the inner index, as the instruction reads them.

use rayon::prelude::*;

use super::{Apart, Asked, BLOCK, Finish, Place, ROWS, lay_out, tiles, width, write};
use crate::kernel::matrix::Matrix;
use crate::kernel::pieces::scratch;

/// Two bf16 numbers: the one of the lower index in the lower half.
type Pair = u32;

/// The right factor of products in bf16, in panels.
#[derive(Clone, Copy)]
pub(crate) struct Halves<'a> {
    /// For each panel the pairs of rows of its columns, one after the other.
    pairs: &'a [Pair],
    inner: usize,
    columns: usize,
}

/// Lays a right factor out, on all threads.
pub(crate) fn packed_halves(factor: Matrix<f32>) -> Vec<Pair> {
    let ((inner, columns), width) = (factor.size(), width());
    let len = inner.div_ceil(2) * width;
    let mut pairs = vec![0; len * columns.div_ceil(width)];
    pairs.par_chunks_mut(len.max(1)).enumerate().for_each(|(panel, to)| {
        scratch(2 * len, |rows| {
            rows[inner * width..].fill(0.0);
            lay_out(factor, (panel * width, width), &mut rows[..inner * width]);
            for (to, rows) in to.chunks_exact_mut(width).zip(rows.chunks_exact(2 * width)) {
                let (low, high) = rows.split_at(width);
                pair_up(to, low, high);
            }
        });
    });
    pairs
}

/// The nearest bf16 number, the even one of two.
#[inline(always)]
fn rounded(x: f32) -> u32 {
    let bits = x.to_bits();
    match x.is_nan() {
        true => bits >> 16 | 0x40,
        false => (bits + 0x7fff + (bits >> 16 & 1)) >> 16,
    }
}

fn pair_up(to: &mut [Pair], low: &[f32], high: &[f32]) {
    for (to, (low, high)) in to.iter_mut().zip(low.iter().zip(high)) {
        *to = rounded(*high) << 16 | rounded(*low);
    }
}

impl<'a> Halves<'a> {
    /// A factor of size `(inner, columns)` that was laid out before.
    pub(crate) fn of((inner, columns): (usize, usize), pairs: &'a [Pair]) -> Self {
        let len = inner.div_ceil(2) * columns.next_multiple_of(width());
        assert_eq!(pairs.len(), len, "panels of another size");
        Self { pairs, inner, columns }
    }

    /// The product of `left`, rounded, with this factor, in `to` row by row.
    pub(crate) fn times(&self, left: Matrix<f32>, to: &mut [f32], finish: Finish<f32>) {
        let (rows, inner) = left.size();
        assert_eq!(inner, self.inner, "the inner sizes of a product differ");
        assert_eq!(to.len(), rows * self.columns, "the product has another size");
        if inner == 0 {
            let none = super::Panels::of((0, self.columns), &[]);
            return none.times(left, to, finish);
        }
        let to = Apart { to, row_stride: self.columns };
        scratch(ROWS * BLOCK / 2, |pairs: &mut [f32]| {
            // SAFETY: numbers of the same size, for which every bit pattern is a value.
            let pairs = unsafe { &mut *(std::ptr::from_mut(pairs) as *mut [Pair]) };
            dispatch(*self, left, to, (finish, pairs));
        });
    }
}

/// Whether the processor multiplies bf16 numbers itself.
#[cfg(target_arch = "x86_64")]
pub fn has_bf16() -> bool {
    super::has_avx512() && std::arch::is_x86_feature_detected!("avx512bf16")
}

/// Whether the processor multiplies bf16 numbers itself.
#[cfg(not(target_arch = "x86_64"))]
pub fn has_bf16() -> bool {
    false
}

fn dispatch(panels: Halves, left: Matrix<f32>, to: Apart<f32>, asked: Asked<f32, Pair>) {
    #[cfg(target_arch = "x86_64")]
    {
        if has_bf16() {
            // SAFETY: the features were just detected.
            return unsafe { instructions(panels, left, to, asked) };
        }
        if super::has_avx512() {
            // SAFETY: the features were just detected.
            return unsafe { avx512(panels, left, to, asked) };
        }
        if super::has_avx2() {
            // SAFETY: the features were just detected.
            return unsafe { avx2(panels, left, to, asked) };
        }
    }
    times::<16>(panels, left, to, asked, add_products::<16>);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bf16,fma")]
fn instructions(panels: Halves, left: Matrix<f32>, to: Apart<f32>, asked: Asked<f32, Pair>) {
    use std::arch::x86_64::*;
    times::<32>(panels, left, to, asked, |sums, by, row| {
        for (sums, row) in sums.as_chunks_mut::<16>().0.iter_mut().zip(row.as_chunks::<16>().0) {
            // SAFETY: sixteen numbers or pairs fill a register, and the features are there.
            unsafe {
                let sum = _mm512_loadu_ps(sums.as_ptr());
                let row: __m512bh = std::mem::transmute(*row);
                let by: __m512bh = std::mem::transmute([by; 16]);
                _mm512_storeu_ps(sums.as_mut_ptr(), _mm512_dpbf16_ps(sum, by, row));
            }
        }
    });
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,fma")]
fn avx512(panels: Halves, left: Matrix<f32>, to: Apart<f32>, asked: Asked<f32, Pair>) {
    times::<32>(panels, left, to, asked, add_products::<32>);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2(panels: Halves, left: Matrix<f32>, to: Apart<f32>, asked: Asked<f32, Pair>) {
    times::<16>(panels, left, to, asked, add_products::<16>);
}

/// Adds the products of the higher halves, then those of the lower ones, as the instruction does.
#[inline(always)]
fn add_products<const N: usize>(sums: &mut [f32; N], by: Pair, row: &[Pair; N]) {
    let high = |pair: Pair| f32::from_bits(pair & 0xffff_0000);
    let low = |pair: Pair| f32::from_bits(pair << 16);
    // A product of two of these numbers is exact, so that a fused operation would change nothing.
    for column in 0..N {
        sums[column] += high(by) * high(row[column]);
        sums[column] += low(by) * low(row[column]);
    }
}

#[inline(always)]
fn times<const N: usize>(
    panels: Halves,
    left: Matrix<f32>,
    Apart { to, row_stride }: Apart<f32>,
    (finish, pairs): Asked<f32, Pair>,
    add: impl Fn(&mut [f32; N], Pair, &[Pair; N]),
) {
    let (rows, inner) = left.size();
    for start in (0..inner).step_by(BLOCK) {
        let end = inner.min(start + BLOCK);
        let finish = finish.in_part(start == 0, end == inner);
        let (half, len) = (start / 2, (end - start).div_ceil(2));
        for top in (0..rows).step_by(ROWS) {
            let block = left.rows(top..rows.min(top + ROWS)).columns(start..end);
            pair_rows(block, pairs);
            let to = &mut to[top * row_stride..];
            for (index, panel) in panels.pairs.chunks_exact(N * inner.div_ceil(2)).enumerate() {
                let (panel, _) = panel.as_chunks::<N>();
                let first = index * N;
                let place = Place { first, there: N.min(panels.columns - first), row_stride };
                let panel = &panel[half..half + len];
                tiles!(block.size().0, row, SIZE => {
                    let rows: [&[Pair]; SIZE] =
                        std::array::from_fn(|it| &pairs[(row + it) * len..][..len]);
                    let mut sums = [[0.0; N]; SIZE];
                    for (index, right) in panel.iter().enumerate() {
                        for row in 0..SIZE {
                            add(&mut sums[row], rows[row][index], right);
                        }
                    }
                    write(&sums, &mut to[row * row_stride..], place, finish);
                });
            }
        }
    }
}

/// The rows of a block in pairs, one after the other.
#[inline(always)]
fn pair_rows(block: Matrix<f32>, to: &mut [Pair]) {
    let (rows, inner) = block.size();
    let len = inner.div_ceil(2);
    if let Some(rows) = block.contiguous_rows() {
        for (row, to) in rows.zip(to.chunks_exact_mut(len)) {
            let (pairs, rest) = row.as_chunks::<2>();
            let last = rest.first().map(|last| [*last, 0.0]);
            for (to, [low, high]) in to.iter_mut().zip(pairs.iter().copied().chain(last)) {
                *to = rounded(high) << 16 | rounded(low);
            }
        }
        return;
    }
    for pair in 0..len {
        let (low, high) = (block.column(2 * pair), 2 * pair + 1);
        for row in 0..rows {
            let high = if high < inner { block.column(high)[row] } else { 0.0 };
            to[row * len + pair] = rounded(high) << 16 | rounded(low[row]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, from: usize) -> Vec<f32> {
        (from..from + count).map(|i| ((i * 7919) % 1009) as f32 / 1009.0 - 0.5).collect()
    }

    fn half(x: f32) -> f64 {
        f64::from(f32::from_bits(rounded(x) << 16))
    }

    #[test]
    fn numbers_are_rounded_to_the_nearest() {
        // Eight bits of precision: 1 and the next number are 2^-7 apart.
        let cases = [(1.0, 1.0), (1.0 + 0.0039, 1.0), (1.0 + 0.00391, 1.007_812_5)];
        for (x, expected) in cases {
            assert_eq!(half(x), expected);
        }
        // Ties go to the even number.
        assert_eq!((half(1.003_906_25), half(1.011_718_75)), (1.0, 1.015_625));
        assert!(half(f32::NAN).is_nan());
        assert_eq!(half(f32::MAX), f64::INFINITY);
        assert_eq!(half(f32::NEG_INFINITY), f64::NEG_INFINITY);
    }

    #[test]
    fn products_are_those_of_rounded_numbers() {
        for (rows, inner, columns) in
            [(1, 1, 1), (7, 5, 17), (100, 300, 33), (3, 0, 4), (13, 512, 64)]
        {
            let (a, b) = (numbers(rows * inner, 1), numbers(inner * columns, 5));
            let (there, bias) = (numbers(rows * columns, 9), numbers(columns, 3));
            let turned: Vec<f32> =
                (0..a.len()).map(|at| a[at % rows * inner + at / rows]).collect();
            let right = Matrix::new(&b, inner, columns);
            let pairs = packed_halves(right);
            let panels = Halves::of((inner, columns), &pairs);
            let finish = Finish { onto: true, bias: Some(&bias), relu: false };
            for left in [Matrix::new(&a, rows, inner), Matrix::new(&turned, inner, rows).t()] {
                let mut found = there.clone();
                panels.times(left, &mut found, finish);
                for (at, found) in found.iter().enumerate() {
                    let (row, column) = (at / columns, at % columns);
                    let terms = (0..inner)
                        .map(|k| half(a[row * inner + k]) * half(b[k * columns + column]));
                    let expected = f64::from(there[at] + bias[column]) + terms.sum::<f64>();
                    let error = (f64::from(*found) - expected).abs();
                    assert!(error < 1e-6 * (1 + inner) as f64, "{rows} {inner} {columns} {at}");
                }
                let mut plain = there.clone();
                let mut buffer = vec![0; ROWS * BLOCK / 2];
                if inner > 0 && width() == 16 {
                    let to = Apart { to: &mut plain, row_stride: columns };
                    times::<16>(panels, left, to, (finish, &mut buffer), add_products::<16>);
                    assert_eq!(found, plain, "with and without instructions");
                }
            }
        }
    }
}
