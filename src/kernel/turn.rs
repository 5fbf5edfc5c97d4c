//! Columns laid out as rows.

use super::matrix::Matrix;
use super::real::Real;
#[cfg(target_arch = "x86_64")]
use super::real::{in_f32, in_f32_mut};
#[cfg(target_arch = "x86_64")]
use super::wide::has_avx2;

/// Numbers of a block's side.
const SIDE: usize = 8;

/// Writes `count` columns of `from`, whose numbers lie side by side, from column `first` on, as the
/// first numbers of rows of `width` in `to`.
pub(crate) fn turn<T: Real>(
    from: Matrix<T>,
    (first, count): (usize, usize),
    to: &mut [T],
    width: usize,
) {
    let rows = from.size().0;
    assert!(count <= width && rows * width <= to.len(), "columns overrun the rows");
    let (whole, blocks) = (count - count % SIDE, rows - rows % SIDE);
    for column in (0..whole).step_by(SIDE) {
        let columns = std::array::from_fn(|index| &from.column(first + column + index)[..rows]);
        for row in (0..blocks).step_by(SIDE) {
            block(&columns, row, &mut to[row * width + column..], width);
        }
        for (index, values) in columns.iter().enumerate() {
            each(values, blocks..rows, to, (column + index, width));
        }
    }
    for column in whole..count {
        each(from.column(first + column), 0..rows, to, (column, width));
    }
}

fn each<T: Real>(
    values: &[T],
    rows: std::ops::Range<usize>,
    to: &mut [T],
    (column, width): (usize, usize),
) {
    for row in rows {
        to[row * width + column] = values[row];
    }
}

/// Eight numbers of each column from `row` on.
fn block<T: Real>(columns: &[&[T]; SIDE], row: usize, to: &mut [T], width: usize) {
    let columns: [&[T; SIDE]; SIDE] =
        columns.map(|column| column[row..].first_chunk().expect("whole blocks"));
    #[cfg(target_arch = "x86_64")]
    if has_avx2()
        && let Some(to) = in_f32_mut(&mut *to)
    {
        let columns = columns.map(|column| {
            let column = in_f32(&column[..]).and_then(|column| column.first_chunk());
            column.expect("numbers of the type of `to`")
        });
        // SAFETY: the features were just detected.
        return unsafe { registers(columns, to, width) };
    }
    for (index, column) in columns.iter().enumerate() {
        for (row, value) in column.iter().enumerate() {
            to[row * width + index] = *value;
        }
    }
}

/// A block by way of registers: pairs of numbers, then pairs of pairs, then halves of registers
/// trade places.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn registers(columns: [&[f32; SIDE]; SIDE], to: &mut [f32], width: usize) {
    use std::arch::x86_64::*;
    // SAFETY: eight numbers fill a register.
    let [a, b, c, d, e, f, g, h] = columns.map(|it| unsafe { _mm256_loadu_ps(it.as_ptr()) });
    let pairs = |a, b| (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    let ((ab, ab2), (cd, cd2)) = (pairs(a, b), pairs(c, d));
    let ((ef, ef2), (gh, gh2)) = (pairs(e, f), pairs(g, h));
    let fours = |ab, cd| (_mm256_shuffle_ps::<0x44>(ab, cd), _mm256_shuffle_ps::<0xee>(ab, cd));
    let ((a0, a1), (a2, a3)) = (fours(ab, cd), fours(ab2, cd2));
    let ((e0, e1), (e2, e3)) = (fours(ef, gh), fours(ef2, gh2));
    let halves = [(a0, e0), (a1, e1), (a2, e2), (a3, e3)];
    let low = halves.map(|(a, e)| _mm256_permute2f128_ps::<0x20>(a, e));
    let high = halves.map(|(a, e)| _mm256_permute2f128_ps::<0x31>(a, e));
    for (row, values) in low.into_iter().chain(high).enumerate() {
        let to: &mut [f32; SIDE] = to[row * width..].first_chunk_mut().expect("room for a block");
        // SAFETY: eight numbers fill a register.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), values) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Real>() {
        for (rows, columns) in [(1, 1), (8, 8), (7, 9), (65, 33), (16, 15), (40, 16)] {
            let values: Vec<T> = (0..rows * (columns + 2)).map(|it| T::of(it as f64)).collect();
            let from = Matrix::new(&values, columns + 2, rows).t();
            let (width, between) = (columns + 1, T::of(-1.0));
            let mut to = vec![between; rows * width];
            turn(from, (2, columns), &mut to, width);
            for (at, found) in to.iter().enumerate() {
                let (row, column) = (at / width, at % width);
                let expected =
                    if column < columns { values[(column + 2) * rows + row] } else { between };
                assert!(*found == expected, "{rows} by {columns}: ({row}, {column})");
            }
        }
    }

    #[test]
    fn columns_become_rows() {
        check::<f32>();
        check::<f64>();
    }
}
