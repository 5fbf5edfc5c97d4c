//! Multi-head self-attention (Vaswani et al. 2017, arXiv:1706.03762) on packed queries, keys and
//! values; the backward pass computes the probabilities anew instead of keeping them.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::lanes::{largest, sum_of, sum_pairs};
use super::matrix::{Matrix, Product};
use super::pieces::{room, scratch};
use super::real::{Real, with_real};
use super::tape::apply1;
use super::values::{Values, output, slice, tensor};
use super::wide::wide;

/// How tokens attend to each other.
#[derive(Debug, Clone)]
pub struct Attention {
    /// The number of heads H.
    pub heads: usize,
    /// What logits are multiplied by, usually the inverse root of the width of a head.
    pub scale: f64,
    /// A factor on all logits of a query [B,N], the same for all heads; constant.
    pub query_factors: Option<Tensor>,
    /// A factor on each probability [B,H,N,N], for dropout; constant.
    pub probability_factors: Option<Tensor>,
}

/// `softmax(Q Kᵀ · scale) V` for each head: `qkv` [B,N,3·H·W] holds queries, keys and values one
/// after the other, each with its heads side by side; gives [B,N,H·W].
///
/// # Errors
/// When the width does not divide among the heads or a factor has another shape.
pub fn attention(qkv: &Tensor, attention: &Attention) -> Result<Tensor> {
    let (batch, tokens, width) = qkv.dims3()?;
    let heads = attention.heads;
    if heads == 0 || !width.is_multiple_of(3 * heads) {
        bail!("a width of {width} does not hold queries, keys and values of {heads} heads");
    }
    let fitted = |factors: &Option<Tensor>, expected: &[usize]| match factors {
        None => Ok(None),
        Some(factors) if factors.dims() != expected => {
            bail!("expected factors of shape {expected:?}, found {:?}", factors.dims())
        }
        Some(factors) => factors.to_dtype(qkv.dtype())?.contiguous()?.flatten_all().map(Some),
    };
    let op = Attention {
        query_factors: fitted(&attention.query_factors, &[batch, tokens])?,
        probability_factors: fitted(
            &attention.probability_factors,
            &[batch, heads, tokens, tokens],
        )?,
        ..*attention
    };
    apply1(&qkv.contiguous()?, op)
}

/// The sizes of the problem and the constant factors.
struct Problem<'a, T> {
    tokens: usize,
    heads: usize,
    /// The width of one head.
    width: usize,
    scale: T,
    query_factors: Option<&'a [T]>,
    probability_factors: Option<&'a [T]>,
}

/// Queries, keys and values of one head of one sample.
struct Head<'a, T> {
    queries: Matrix<'a, T>,
    keys: Matrix<'a, T>,
    values: Matrix<'a, T>,
}

impl<T: Real> Problem<'_, T> {
    /// The width of all heads.
    fn total(&self) -> usize {
        self.heads * self.width
    }

    fn head<'a>(&self, sample: &'a [T], head: usize) -> Head<'a, T> {
        let part = |index: usize| {
            let data = &sample[index * self.total() + head * self.width..];
            Matrix::strided(data, (self.tokens, self.width), 3 * self.total())
        };
        Head { queries: part(0), keys: part(1), values: part(2) }
    }

    /// One head of data [N,H·W].
    fn slot<'a>(&self, data: &'a [T], head: usize) -> Matrix<'a, T> {
        Matrix::strided(&data[head * self.width..], (self.tokens, self.width), self.total())
    }

    fn query_factor(&self, sample: usize, query: usize) -> T {
        let factor = self.query_factors.map_or(T::ONE, |all| all[sample * self.tokens + query]);
        self.scale * factor
    }

    /// Multiplies the elements of one head by the factors on its probabilities.
    fn apply_factors(&self, sample: usize, head: usize, to: &mut [T]) {
        let Some(factors) = self.probability_factors else { return };
        let start = (sample * self.heads + head) * to.len();
        multiply(to, &factors[start..]);
    }

    /// `softmax(Q Kᵀ · scale)` of one head [N,N].
    fn probabilities(&self, sample: usize, head: &Head<T>, to: &mut [T]) {
        Product::into(to, self.tokens).of(head.queries, head.keys.t());
        for (query, row) in to.chunks_exact_mut(self.tokens).enumerate() {
            softmax(row, self.query_factor(sample, query));
        }
    }

    fn forward(&self, qkv: &[T]) -> Vec<T> {
        let sample_len = self.tokens * self.total();
        let mut y = room(qkv.len() / 3);
        let samples = y.par_chunks_mut(sample_len).zip(qkv.par_chunks(3 * sample_len));
        samples.enumerate().for_each(|(sample, (y, qkv))| {
            scratch(self.tokens * self.tokens, |probabilities| {
                for index in 0..self.heads {
                    let head = self.head(qkv, index);
                    self.probabilities(sample, &head, probabilities);
                    self.apply_factors(sample, index, probabilities);
                    let weights = Matrix::new(probabilities, self.tokens, self.tokens);
                    Product::into(&mut y[index * self.width..], self.total())
                        .of(weights, head.values);
                }
            });
        });
        y
    }

    fn backward(&self, qkv: &[T], y: &[T], dy: &[T]) -> Vec<T> {
        let sample_len = self.tokens * self.total();
        let mut dqkv = room(qkv.len());
        let outputs = y.par_chunks(sample_len).zip(dy.par_chunks(sample_len));
        let inputs = qkv.par_chunks(3 * sample_len).zip(dqkv.par_chunks_mut(3 * sample_len));
        inputs.zip(outputs).enumerate().for_each(|(sample, ((qkv, dqkv), (y, dy)))| {
            scratch(2 * self.tokens * self.tokens, |buffer| {
                for index in 0..self.heads {
                    let (head, at) = (self.head(qkv, index), (sample, index));
                    let (dy, dots) = (self.slot(dy, index), self.dots(y, dy, index));
                    self.head_gradient(at, &head, (dy, &dots), (buffer, dqkv));
                }
            });
        });
        dqkv
    }

    /// `dy · y` of each query, which is what the softmax's gradient takes away from each row.
    fn dots(&self, y: &[T], dy: &[T], head: usize) -> Vec<T> {
        let columns = head * self.width..(head + 1) * self.width;
        let rows = y.chunks_exact(self.total()).zip(dy.chunks_exact(self.total()));
        let dot = |(y, dy): (&[T], &[T])| {
            sum_pairs(&y[columns.clone()], &dy[columns.clone()], |y, dy| y * dy)
        };
        rows.map(dot).collect()
    }

    /// With P the probabilities, M their factors and S the logits:
    /// `dV = (P∘M)ᵀ dy`, `dS = P ∘ (M ∘ (dy Vᵀ) - dots)`, `dQ = dS K`, `dK = dSᵀ Q`.
    fn head_gradient(
        &self,
        (sample, index): (usize, usize),
        head: &Head<T>,
        (dy, dots): (Matrix<T>, &[T]),
        (buffer, dqkv): (&mut [T], &mut [T]),
    ) {
        let (tokens, total) = (self.tokens, self.total());
        let (probabilities, other) = buffer.split_at_mut(tokens * tokens);
        let mut slot = |part: usize, a: Matrix<T>, b: Matrix<T>| {
            let start = part * total + index * self.width;
            Product::into(&mut dqkv[start..], 3 * total).of(a, b);
        };
        self.probabilities(sample, head, probabilities);
        other.copy_from_slice(probabilities);
        self.apply_factors(sample, index, other);
        slot(2, Matrix::new(other, tokens, tokens).t(), dy);
        Product::into(other, tokens).of(dy, head.values.t());
        self.apply_factors(sample, index, other);
        let rows = probabilities.chunks_exact(tokens).zip(other.chunks_exact_mut(tokens));
        for (query, (probabilities, row)) in rows.enumerate() {
            let factor = self.query_factor(sample, query);
            logit_gradients(row, probabilities, dots[query], factor);
        }
        let logits = Matrix::new(other, tokens, tokens);
        slot(0, logits, head.keys);
        slot(1, logits.t(), head.queries);
    }
}

wide! {
    /// Replaces a row of logits by the probabilities of `logits * factor`.
    fn softmax<T: Real>(row: &mut [T], factor: T) {
        for x in &mut *row {
            *x *= factor;
        }
        let most = largest(row);
        for x in &mut *row {
            *x = (*x - most).exp();
        }
        let inverse = T::ONE / sum_of(row, |x| x);
        for x in row {
            *x *= inverse;
        }
    }
}

wide! {
    /// Turns the gradients of a row of probabilities into those of its logits.
    fn logit_gradients<T: Real>(row: &mut [T], probabilities: &[T], dot: T, factor: T) {
        for (gradient, probability) in row.iter_mut().zip(probabilities) {
            *gradient = *probability * (*gradient - dot) * factor;
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

impl Attention {
    /// Runs `work` on the problem in slices.
    fn with_problem<T: Real, R>(
        &self,
        (tokens, width): (usize, usize),
        work: impl FnOnce(Problem<T>) -> Result<R>,
    ) -> Result<R> {
        let queries = self.query_factors.as_ref().map(Values::<T>::of).transpose()?;
        let probabilities = self.probability_factors.as_ref().map(Values::<T>::of).transpose()?;
        work(Problem {
            tokens,
            heads: self.heads,
            width: width / 3 / self.heads,
            scale: T::of(self.scale),
            query_factors: queries.as_deref(),
            probability_factors: probabilities.as_deref(),
        })
    }
}

impl CustomOp1 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(&self, qkv: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, tokens, width) = layout.shape().dims3()?;
        with_real!(qkv.dtype(), T => {
            let qkv = slice::<T>(qkv, layout)?;
            let y = self.with_problem((tokens, width), |problem| Ok(problem.forward(qkv)))?;
            output(y, (batch, tokens, width / 3))
        })
    }

    fn bwd(&self, qkv: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let ((_, tokens, width), dy) = (qkv.dims3()?, dy.contiguous()?);
        with_real!(qkv.dtype(), T => {
            let (values, y, dy) = (Values::<T>::of(qkv)?, Values::of(y)?, Values::of(&dy)?);
            let (values, y, dy): (&[T], &[T], &[T]) = (&values, &y, &dy);
            let backward = |problem: Problem<T>| Ok(problem.backward(values, y, dy));
            tensor(self.with_problem((tokens, width), backward)?, qkv.shape()).map(Some)
        })
    }
}
