//! Where the queries, keys and values of each sample lie.

use crate::kernel::matrix::Matrix;
use crate::kernel::product::Apart;
use crate::kernel::real::Real;

/// Queries, keys and values of all samples, or of one; or their gradients.
pub(super) enum Samples<S> {
    /// The three side by side for each token.
    Packed(S),
    /// Queries, then keys and values side by side.
    Apart(S, S),
}

/// The three parts of each token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Queries,
    Keys,
    Values,
}

impl<S> Samples<S> {
    /// The slice a part is in, where it begins there, and how far apart its rows are, in widths.
    fn place(&self, part: Part) -> (&S, usize, usize) {
        match (self, part) {
            (Self::Packed(all), _) => (all, part as usize, 3),
            (Self::Apart(queries, _), Part::Queries) => (queries, 0, 1),
            (Self::Apart(_, others), _) => (others, part as usize - 1, 2),
        }
    }
}

impl<'a, T: Real> Samples<&'a [T]> {
    /// Sample `index`, of `queries` and `tokens` of `total` numbers each.
    pub(super) fn at(&self, index: usize, (queries, tokens, total): (usize, usize, usize)) -> Self {
        let cut = |all: &'a [T], size: usize| &all[index * size..(index + 1) * size];
        match self {
            Self::Packed(all) => Self::Packed(cut(all, 3 * tokens * total)),
            Self::Apart(q, kv) => Self::Apart(cut(q, queries * total), cut(kv, 2 * tokens * total)),
        }
    }

    /// `rows` of a part, `columns` of the `total` numbers of each.
    pub(super) fn part(
        &self,
        part: Part,
        rows: usize,
        (columns, total): (std::ops::Range<usize>, usize),
    ) -> Matrix<'a, T> {
        let (data, first, stride) = self.place(part);
        let size = (rows, columns.len());
        Matrix::strided(&data[first * total + columns.start..], size, stride * total)
    }
}

impl<T: Real> Samples<Vec<T>> {
    /// The samples, to be written.
    pub(super) fn each_mut(
        &mut self,
        (queries, tokens, total): (usize, usize, usize),
    ) -> Vec<Samples<&mut [T]>> {
        match self {
            Self::Packed(all) => {
                all.chunks_exact_mut(3 * tokens * total).map(Samples::Packed).collect()
            }
            Self::Apart(q, kv) => {
                let samples = q.chunks_exact_mut(queries * total);
                let samples = samples.zip(kv.chunks_exact_mut(2 * tokens * total));
                samples.map(|(q, kv)| Samples::Apart(q, kv)).collect()
            }
        }
    }
}

impl<T: Real> Samples<&mut [T]> {
    /// Where the numbers of a part go, from `column` of `total` on.
    pub(super) fn place_of(&mut self, part: Part, column: usize, total: usize) -> Apart<'_, T> {
        let (_, first, stride) = self.place(part);
        let all = match self {
            Self::Apart(queries, _) if part == Part::Queries => queries,
            Self::Packed(all) | Self::Apart(_, all) => all,
        };
        Apart { to: &mut all[first * total + column..], row_stride: stride * total }
    }
}
