//! What each head of each sample computes, there and back.
//!
//! Rows of probabilities stand as far apart as fills whole registers, so that loops over them have
//! no rest.

use rayon::prelude::*;

use super::sample::{Part, Samples};
use crate::kernel::lanes::{LANES, largest, largest_of, sum_of, sum_pairs};
use crate::kernel::matrix::{Matrix, Product};
use crate::kernel::pieces::{room, scratch};
use crate::kernel::product::Apart;
use crate::kernel::real::Real;
use crate::kernel::wide::wide;

/// The sizes of the problem and the constant factors.
pub(super) struct Problem<'a, T> {
    /// Tokens that ask.
    pub(super) queries: usize,
    /// Tokens that answer.
    pub(super) tokens: usize,
    pub(super) heads: usize,
    /// The width of one head.
    pub(super) width: usize,
    pub(super) scale: T,
    pub(super) query_factors: Option<&'a [T]>,
    pub(super) probability_factors: Option<&'a [T]>,
}

/// These are too small to lay a factor out for.
fn product<T: Real>(left: Matrix<T>, right: Matrix<T>, Apart { to, row_stride }: Apart<T>) {
    Product::into(to, row_stride).of(left, right);
}

/// Queries, keys and values of one head of one sample.
struct Head<'a, T> {
    sample: usize,
    index: usize,
    queries: Matrix<'a, T>,
    keys: Matrix<'a, T>,
    values: Matrix<'a, T>,
}

impl<T: Real> Problem<'_, T> {
    /// The width of all heads.
    fn total(&self) -> usize {
        self.heads * self.width
    }

    /// Numbers from one row of probabilities to the next.
    fn stride(&self) -> usize {
        self.tokens.next_multiple_of(LANES)
    }

    fn sizes(&self) -> (usize, usize, usize) {
        (self.queries, self.tokens, self.total())
    }

    fn head<'a>(&self, inputs: &Samples<&'a [T]>, (sample, index): (usize, usize)) -> Head<'a, T> {
        let inputs = inputs.at(sample, self.sizes());
        let columns = || (index * self.width..(index + 1) * self.width, self.total());
        Head {
            sample,
            index,
            queries: inputs.part(Part::Queries, self.queries, columns()),
            keys: inputs.part(Part::Keys, self.tokens, columns()),
            values: inputs.part(Part::Values, self.tokens, columns()),
        }
    }

    /// Rows of numbers for each pair of tokens, as a matrix.
    fn pairs<'a>(&self, values: &'a [T]) -> Matrix<'a, T> {
        Matrix::strided(values, (self.queries, self.tokens), self.stride())
    }

    /// The products of each row of `left` with each of `right`, for each pair of tokens.
    fn compare(&self, left: Matrix<T>, right: Matrix<T>, to: &mut [T]) {
        product(left, right.t(), Apart { to, row_stride: self.stride() });
    }

    /// What the logits of a sample's queries are multiplied by.
    fn factors(&self, sample: usize) -> (T, Option<&[T]>) {
        let of_sample = sample * self.queries..(sample + 1) * self.queries;
        (self.scale, self.query_factors.map(|all| &all[of_sample]))
    }

    /// Multiplies rows of a head by the factors on its probabilities.
    fn apply_factors(&self, head: &Head<T>, to: &mut [T]) {
        let Some(factors) = self.probability_factors else { return };
        let size = self.queries * self.tokens;
        let start = (head.sample * self.heads + head.index) * size;
        let factors = factors[start..start + size].chunks_exact(self.tokens);
        to.chunks_exact_mut(self.stride()).zip(factors).for_each(|(to, by)| multiply(to, by));
    }

    /// `softmax(Q Kᵀ · scale)` of one head, each row times its sum, and the inverses of the sums.
    fn exponentials(&self, head: &Head<T>, to: &mut [T], inverses: &mut [T]) {
        self.compare(head.queries, head.keys, to);
        let factors = self.factors(head.sample);
        exponentials(to, inverses, (self.tokens, self.stride()), factors);
    }

    /// The mixed values of `batch` samples, [B,M,H·W].
    pub(super) fn forward(&self, inputs: &Samples<&[T]>, batch: usize) -> Vec<T> {
        let size = self.queries * self.total();
        let mut y = room(batch * size);
        y.par_chunks_mut(size.max(1)).enumerate().for_each(|(sample, y)| {
            scratch(self.queries * (self.stride() + 1), |buffer| {
                let (exponentials, inverses) = buffer.split_at_mut(self.queries * self.stride());
                for index in 0..self.heads {
                    let head = self.head(inputs, (sample, index));
                    self.exponentials(&head, exponentials, inverses);
                    self.apply_factors(&head, exponentials);
                    let to = &mut y[index * self.width..];
                    let apart = Apart { to: &mut *to, row_stride: self.total() };
                    product(self.pairs(exponentials), head.values, apart);
                    multiply_rows(to, (self.width, self.total()), inverses);
                }
            });
        });
        y
    }

    /// The gradients of the inputs, from the output and its gradient.
    pub(super) fn backward(
        &self,
        inputs: &Samples<&[T]>,
        (y, dy): (&[T], &[T]),
    ) -> Samples<Vec<T>> {
        let mut gradients = match inputs {
            Samples::Packed(all) => Samples::Packed(room(all.len())),
            Samples::Apart(q, kv) => Samples::Apart(room(q.len()), room(kv.len())),
        };
        let size = self.queries * self.total();
        let outputs = y.par_chunks(size.max(1)).zip(dy.par_chunks(size.max(1)));
        let to = gradients.each_mut(self.sizes());
        to.into_par_iter().zip(outputs).enumerate().for_each(|(sample, (mut to, outputs))| {
            scratch(self.queries * (2 * self.stride() + self.width + 2), |buffer| {
                for index in 0..self.heads {
                    let head = self.head(inputs, (sample, index));
                    self.head_gradient(&head, outputs, buffer, &mut to);
                }
            });
        });
        gradients
    }

    /// With P the probabilities, M their factors and S the logits:
    /// `dV = (P∘M)ᵀ dy`, `dS = P ∘ (M ∘ (dy Vᵀ) - dy·y)`, `dQ = dS K`, `dK = dSᵀ Q`.
    fn head_gradient(
        &self,
        head: &Head<T>,
        (y, dy): (&[T], &[T]),
        buffer: &mut [T],
        to: &mut Samples<&mut [T]>,
    ) {
        let (first, total) = (head.index * self.width, self.total());
        let (exponentials, buffer) = buffer.split_at_mut(self.queries * self.stride());
        let (other, buffer) = buffer.split_at_mut(self.queries * self.stride());
        let (inverses, buffer) = buffer.split_at_mut(self.queries);
        let (dots, scaled) = buffer.split_at_mut(self.queries);
        self.exponentials(head, exponentials, inverses);
        let outputs = (&y[first..], &dy[first..]);
        row_dots((dots, scaled), outputs, (self.width, total), inverses);
        let kept = match self.probability_factors {
            None => &*exponentials,
            Some(_) => {
                other.copy_from_slice(exponentials);
                self.apply_factors(head, other);
                &*other
            }
        };
        let scaled = Matrix::new(scaled, self.queries, self.width);
        product(self.pairs(kept).t(), scaled, to.place_of(Part::Values, first, total));
        let dy = Matrix::strided(&dy[first..], (self.queries, self.width), total);
        self.compare(dy, head.values, other);
        self.apply_factors(head, other);
        logit_gradients(other, exponentials, (inverses, dots), self.factors(head.sample));
        let logits = self.pairs(other);
        product(logits, head.keys, to.place_of(Part::Queries, first, total));
        product(logits.t(), head.queries, to.place_of(Part::Keys, first, total));
    }
}

wide! {
    /// Replaces rows of logits by the exponentials of the logits times the factors of their
    /// queries, less the largest; numbers behind the last token become 0. The inverses of the sums
    /// of rows go to `inverses`: what makes probabilities of them is left to what is made of them.
    fn exponentials<T: Real>(
        rows: &mut [T],
        inverses: &mut [T],
        sizes: (usize, usize),
        factors: (T, Option<&[T]>),
    ) {
        let ((tokens, stride), (scale, factors)) = (sizes, factors);
        let rows = rows.chunks_exact_mut(stride).zip(inverses);
        for (query, (row, inverse)) in rows.enumerate() {
            let factor = scale * factors.map_or(T::ONE, |factors| factors[query]);
            let first = row[0];
            row[tokens..].fill(first);
            let most = match factor < T::ZERO {
                true => -largest_of(row, |x| -x),
                false => largest(row),
            };
            let most = most * factor;
            for x in &mut *row {
                *x = (*x * factor - most).exp();
            }
            row[tokens..].fill(T::ZERO);
            *inverse = T::ONE / sum_of(row, |x| x);
        }
    }
}

wide! {
    /// Turns the gradients of rows of probabilities into those of their logits.
    fn logit_gradients<T: Real>(
        rows: &mut [T],
        exponentials: &[T],
        of_rows: (&[T], &[T]),
        factors: (T, Option<&[T]>),
    ) {
        let (inverses, dots) = of_rows;
        let ((scale, factors), stride) = (factors, rows.len() / dots.len().max(1));
        let rows = rows.chunks_exact_mut(stride).zip(exponentials.chunks_exact(stride));
        for (query, (row, exponentials)) in rows.enumerate() {
            let factor = scale * factors.map_or(T::ONE, |factors| factors[query]);
            let (factor, dot) = (factor * inverses[query], dots[query]);
            for (gradient, exponential) in row.iter_mut().zip(exponentials) {
                *gradient = *exponential * (*gradient - dot) * factor;
            }
        }
    }
}

wide! {
    /// Of each query `dy · y`, which is what the softmax's gradient takes away from each row, and
    /// `dy` times the inverse of its row.
    fn row_dots<T: Real>(
        to: (&mut [T], &mut [T]),
        outputs: (&[T], &[T]),
        sizes: (usize, usize),
        inverses: &[T],
    ) {
        let ((dots, scaled), (y, dy), (width, stride)) = (to, outputs, sizes);
        let rows = dots.iter_mut().zip(scaled.chunks_exact_mut(width)).zip(inverses);
        for (query, ((dot, scaled), inverse)) in rows.enumerate() {
            let row = query * stride..query * stride + width;
            let (y, dy) = (&y[row.clone()], &dy[row]);
            *dot = sum_pairs(y, dy, |y, dy| y * dy);
            for (scaled, dy) in scaled.iter_mut().zip(dy) {
                *scaled = *dy * *inverse;
            }
        }
    }
}

wide! {
    /// Multiplies rows of `width` numbers, `stride` apart, by a factor each.
    fn multiply_rows<T: Real>(to: &mut [T], sizes: (usize, usize), factors: &[T]) {
        let (width, stride) = sizes;
        for (query, factor) in factors.iter().enumerate() {
            for to in &mut to[query * stride..query * stride + width] {
                *to *= *factor;
            }
        }
    }
}

wide! {
    fn multiply<T: Real>(to: &mut [T], factors: &[T]) {
        for (to, factor) in to.iter_mut().zip(factors) {
            *to *= *factor;
        }
    }
}
