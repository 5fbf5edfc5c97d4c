//! Matrix products on parts of slices, on the calling thread: parallel work is divided outside.

use std::ops::Range;

use super::real::{Real, in_f32};

/// A matrix within a slice: element (i, j) is at `i * stride.0 + j * stride.1`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    data: &'a [T],
    size: (usize, usize),
    stride: (usize, usize),
}

impl<'a, T: Real> Matrix<'a, T> {
    /// `rows` by `columns` with the elements of a row side by side.
    pub(crate) fn new(data: &'a [T], rows: usize, columns: usize) -> Self {
        Self::strided(data, (rows, columns), columns)
    }

    /// A matrix whose rows are `row_stride` apart.
    pub(crate) fn strided(data: &'a [T], size: (usize, usize), row_stride: usize) -> Self {
        Self { data, size, stride: (row_stride, 1) }
    }

    /// The number of rows and of columns.
    pub(crate) fn size(&self) -> (usize, usize) {
        self.size
    }

    /// Some of the rows.
    pub(crate) fn rows(self, rows: Range<usize>) -> Self {
        self.part(rows.start * self.stride.0, (rows.len(), self.size.1))
    }

    /// Some of the columns.
    pub(crate) fn columns(self, columns: Range<usize>) -> Self {
        self.part(columns.start * self.stride.1, (self.size.0, columns.len()))
    }

    fn part(self, start: usize, size: (usize, usize)) -> Self {
        Self { data: &self.data[start..], size, stride: self.stride }
    }

    /// Whether the elements of a row lie side by side.
    pub(crate) fn contiguous(&self) -> bool {
        self.stride.1 == 1
    }

    /// The elements of a row that lie side by side, and what lies behind them.
    pub(crate) fn row(&self, row: usize) -> &'a [T] {
        &self.data[row * self.stride.0..]
    }

    /// The rows, if the elements of each lie side by side.
    pub(crate) fn contiguous_rows(self) -> Option<impl Iterator<Item = &'a [T]>> {
        let rows = (0..self.size.0).map(move |row| &self.row(row)[..self.size.1]);
        self.contiguous().then_some(rows)
    }

    /// The elements of a column that lie side by side, and what lies behind them.
    pub(crate) fn column(&self, column: usize) -> &'a [T] {
        &self.data[column * self.stride.1..]
    }

    /// The same, if its numbers are `f32`.
    pub(crate) fn in_f32(self) -> Option<Matrix<'a, f32>> {
        let Self { data, size, stride } = self;
        in_f32(data).map(|data| Matrix { data, size, stride })
    }

    /// The transpose.
    pub(crate) fn t(self) -> Self {
        let Self { data, size, stride } = self;
        Self { data, size: (size.1, size.0), stride: (stride.1, stride.0) }
    }
}

/// Where a product goes: rows `row_stride` apart in `data`.
pub(crate) struct Product<'a, T> {
    data: &'a mut [T],
    row_stride: usize,
    accumulate: bool,
}

impl<'a, T: Real> Product<'a, T> {
    /// A product that replaces what is in `data`.
    pub(crate) fn into(data: &'a mut [T], row_stride: usize) -> Self {
        Self { data, row_stride, accumulate: false }
    }

    /// A product that is added to what is in `data`.
    pub(crate) fn onto(data: &'a mut [T], row_stride: usize) -> Self {
        Self { data, row_stride, accumulate: true }
    }

    /// The product `a b`.
    pub(crate) fn of(self, a: Matrix<T>, b: Matrix<T>) {
        let ((m, k), n) = (a.size, b.size.1);
        assert_eq!(k, b.size.0, "the inner sizes of a product differ");
        assert!(last(a.size, a.stride) <= a.data.len(), "the left factor overruns its slice");
        assert!(last(b.size, b.stride) <= b.data.len(), "the right factor overruns its slice");
        let overrun = last((m, n), (self.row_stride, 1)) > self.data.len();
        assert!(!overrun, "the product overruns its slice");
        let stride = |(row, column): (usize, usize)| (column as isize, row as isize);
        let ((a_column, a_row), (b_column, b_row)) = (stride(a.stride), stride(b.stride));
        // SAFETY: all elements the strides reach lie within the slices, as just checked.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                self.data.as_mut_ptr(),
                1,
                self.row_stride as isize,
                self.accumulate,
                a.data.as_ptr(),
                a_column,
                a_row,
                b.data.as_ptr(),
                b_column,
                b_row,
                if self.accumulate { T::ONE } else { T::ZERO },
                T::ONE,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    }
}

/// The smallest length of a slice that holds a matrix.
fn last((rows, columns): (usize, usize), (row, column): (usize, usize)) -> usize {
    if rows == 0 || columns == 0 { 0 } else { (rows - 1) * row + (columns - 1) * column + 1 }
}
