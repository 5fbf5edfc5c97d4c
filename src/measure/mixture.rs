//! Gaussian mixtures by expectation and maximisation, in `f64`, with scikit-learn's definitions.

use rayon::prelude::*;

use super::points::{BLOCK, Points, added};
use crate::kernel::matrix::{Matrix, Product};

/// What the covariance of a component may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covariance {
    /// Any.
    Full,
    /// No two dimensions vary together.
    Diagonal,
    /// The same in every direction.
    Spherical,
}

/// How a mixture is fitted.
#[derive(Debug, Clone, Copy)]
pub struct Fit {
    pub covariance: Covariance,
    /// What is added to every variance.
    pub regularisation: f64,
    /// It ends when the mean log-likelihood changes by less.
    pub tolerance: f64,
    pub steps: usize,
}

impl Fit {
    /// With scikit-learn's limits.
    pub fn new(covariance: Covariance) -> Self {
        Self { covariance, regularisation: 1e-6, tolerance: 1e-3, steps: 100 }
    }

    /// A mixture of `k` components that begins with one for each of the `labels`; none when a
    /// covariance cannot be inverted.
    pub fn from(&self, points: Points, labels: &[u32], k: usize) -> Option<Mixture> {
        let mut shares = vec![0.0; points.len() * k];
        for (at, label) in labels.iter().enumerate() {
            shares[at * k + *label as usize] = 1.0;
        }
        let mut mixture = self.maximise(points, &shares, k)?;
        let mut known = f64::NEG_INFINITY;
        for _ in 0..self.steps {
            let expected = mixture.expect(points);
            mixture = self.maximise(points, &expected.shares, k)?;
            let change = expected.log_likelihood - known;
            known = expected.log_likelihood;
            if change.abs() < self.tolerance {
                break;
            }
        }
        Some(mixture)
    }

    /// The mixture that `shares` of each point in each component make likeliest.
    fn maximise(&self, points: Points, shares: &[f64], k: usize) -> Option<Mixture> {
        let dim = points.dim;
        let sums = added(
            pieces(points, shares, k).map(|it| it.sums(k)).collect::<Vec<_>>(),
            k * (dim + 1),
        );
        let (sizes, sums) = sums.split_at(k);
        let sizes: Vec<f64> = sizes.iter().map(|size| size + 10.0 * f64::EPSILON).collect();
        let means: Vec<f64> =
            sums.iter().enumerate().map(|(at, sum)| sum / sizes[at / dim]).collect();
        let total: f64 = sizes.iter().sum();
        let factor = |component: usize| {
            let mean = &means[component * dim..][..dim];
            self.factor(points, shares, (component, k), mean, sizes[component])
        };
        let factors: Option<Vec<Factor>> = (0..k).map(factor).collect();
        let log_weights = sizes.iter().map(|size| (size / total).ln()).collect();
        Some(Mixture { log_weights, means, factors: factors?, dim })
    }

    /// What makes the points of a component, seen from its mean, uncorrelated and of variance one.
    fn factor(
        &self,
        points: Points,
        shares: &[f64],
        of: (usize, usize),
        mean: &[f64],
        size: f64,
    ) -> Option<Factor> {
        let dim = points.dim;
        let pieces = pieces(points, shares, of.1);
        if self.covariance == Covariance::Full {
            let mut covariance = vec![0.0; dim * dim];
            // Each piece adds to the same matrix: collecting them would take memory for each.
            let scaled: Vec<_> = pieces.collect();
            for chunk in scaled.chunks(8) {
                let rows: Vec<Vec<f64>> =
                    chunk.par_iter().map(|piece| piece.scaled(of, mean)).collect();
                for rows in rows {
                    let matrix = Matrix::new(&rows, rows.len() / dim, dim);
                    Product::onto(&mut covariance, dim).of(matrix.t(), matrix);
                }
            }
            covariance.iter_mut().for_each(|x| *x /= size);
            (0..dim).for_each(|at| covariance[at * dim + at] += self.regularisation);
            return Some(Factor::Full(inverse_factor(covariance, dim)?));
        }
        let squares = added(pieces.map(|it| it.squares(of, mean)).collect::<Vec<_>>(), dim);
        let mut variances: Vec<f64> =
            squares.iter().map(|square| square / size + self.regularisation).collect();
        if self.covariance == Covariance::Spherical {
            variances = vec![variances.iter().sum::<f64>() / dim as f64; dim];
        }
        let is_sound = variances.iter().all(|variance| *variance > 0.0);
        is_sound.then(|| Factor::Diagonal(variances.iter().map(|it| 1.0 / it.sqrt()).collect()))
    }
}

/// What [`Mixture::expect`] finds.
struct Expected {
    /// The share of each point in each component.
    shares: Vec<f64>,
    log_likelihood: f64,
}

/// A mixture of Gaussians.
#[derive(Debug, Clone)]
pub struct Mixture {
    log_weights: Vec<f64>,
    means: Vec<f64>,
    factors: Vec<Factor>,
    dim: usize,
}

impl Mixture {
    /// The mean of each component.
    pub fn means(&self) -> &[f64] {
        &self.means
    }

    /// The weight of each component.
    pub fn weights(&self) -> Vec<f64> {
        self.log_weights.iter().map(|it| it.exp()).collect()
    }

    /// The mean log-likelihood of `points`.
    pub fn log_likelihood(&self, points: Points) -> f64 {
        self.expect(points).log_likelihood
    }

    /// The likeliest component of each point; of equal ones the first.
    pub fn predict(&self, points: Points) -> Vec<u32> {
        let shares = self.expect(points).shares;
        let likeliest = |row: &[f64]| {
            let first_best = |best: usize, it| if row[it] > row[best] { it } else { best };
            (1..row.len()).fold(0, first_best) as u32
        };
        shares.chunks_exact(self.factors.len()).map(likeliest).collect()
    }

    fn expect(&self, points: Points) -> Expected {
        let k = self.factors.len();
        let blocks: Vec<(Vec<f64>, f64)> = points.blocks(BLOCK).map(|it| self.block(it)).collect();
        let sum: f64 = blocks.iter().map(|(_, sum)| sum).sum();
        let mut shares = Vec::with_capacity(points.len() * k);
        blocks.into_iter().for_each(|(block, _)| shares.extend(block));
        Expected { shares, log_likelihood: sum / points.len() as f64 }
    }

    /// The shares of a block of points, and the sum of their log-likelihoods.
    fn block(&self, block: Points) -> (Vec<f64>, f64) {
        let k = self.factors.len();
        let mut densities = vec![0.0; block.len() * k];
        for (at, factor) in self.factors.iter().enumerate() {
            let from_mean = less(block, &self.means[at * self.dim..][..self.dim]);
            let (squares, log_scale) = factor.squared_lengths(&from_mean, self.dim);
            let constant = log_scale - 0.5 * self.dim as f64 * std::f64::consts::TAU.ln();
            for (row, square) in squares.iter().enumerate() {
                densities[row * k + at] = self.log_weights[at] + constant - 0.5 * square;
            }
        }
        let sum = densities.chunks_exact_mut(k).map(normalise).sum();
        (densities, sum)
    }
}

/// Log-densities to shares that add up to one; the logarithm of what they added up to.
fn normalise(row: &mut [f64]) -> f64 {
    let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_sum = most + row.iter().map(|x| (x - most).exp()).sum::<f64>().ln();
    row.iter_mut().for_each(|x| *x = (*x - log_sum).exp());
    log_sum
}

/// What makes a component uncorrelated and of variance one.
#[derive(Debug, Clone)]
enum Factor {
    /// The inverse of its covariance's lower factor, a row after another.
    Full(Vec<f64>),
    /// The inverse standard deviation of each dimension.
    Diagonal(Vec<f64>),
}

impl Factor {
    /// The squared lengths of rows once they are made so, and the logarithm of the factor by which
    /// that scales volumes.
    fn squared_lengths(&self, rows: &[f64], dim: usize) -> (Vec<f64>, f64) {
        match self {
            Self::Full(lower) => {
                let mut made = vec![0.0; rows.len()];
                let count = rows.len() / dim;
                Product::into(&mut made, dim)
                    .of(Matrix::new(rows, count, dim), Matrix::new(lower, dim, dim).t());
                let square = |row: &[f64]| row.iter().map(|x| x * x).sum();
                let logs = (0..dim).map(|at| lower[at * dim + at].ln());
                (made.chunks_exact(dim).map(square).collect(), logs.sum())
            }
            Self::Diagonal(scales) => {
                let square = |row: &[f64]| -> f64 {
                    row.iter().zip(scales).map(|(x, scale)| (x * scale).powi(2)).sum()
                };
                let logs = scales.iter().map(|scale| scale.ln());
                (rows.chunks_exact(dim).map(square).collect(), logs.sum())
            }
        }
    }
}

/// A block of points with their shares in each component.
struct Piece<'a> {
    points: Points<'a>,
    shares: &'a [f64],
}

fn pieces<'a>(
    points: Points<'a>,
    shares: &'a [f64],
    k: usize,
) -> impl IndexedParallelIterator<Item = Piece<'a>> {
    let blocks = points.blocks(BLOCK).zip(shares.par_chunks(BLOCK * k));
    blocks.map(|(points, shares)| Piece { points, shares })
}

impl Piece<'_> {
    /// The sums of the shares of each component, and those of its points.
    fn sums(&self, k: usize) -> Vec<f64> {
        let (dim, rows) = (self.points.dim, self.points.len());
        let mut sums = vec![0.0; k * (dim + 1)];
        for row in self.shares.chunks_exact(k) {
            sums.iter_mut().zip(row).for_each(|(sum, share)| *sum += share);
        }
        let wide: Vec<f64> = self.points.values.iter().map(|x| f64::from(*x)).collect();
        Product::into(&mut sums[k..], dim)
            .of(Matrix::new(self.shares, rows, k).t(), Matrix::new(&wide, rows, dim));
        sums
    }

    /// The squared differences from `mean` in each dimension, by their shares in a component.
    fn squares(&self, (component, k): (usize, usize), mean: &[f64]) -> Vec<f64> {
        let dim = self.points.dim;
        let mut squares = vec![0.0; dim];
        for (row, shares) in self.points.values.chunks_exact(dim).zip(self.shares.chunks_exact(k)) {
            let share = shares[component];
            for ((square, x), mean) in squares.iter_mut().zip(row).zip(mean) {
                *square += share * (f64::from(*x) - mean).powi(2);
            }
        }
        squares
    }

    /// The points from `mean`, by the roots of their shares in a component.
    fn scaled(&self, (component, k): (usize, usize), mean: &[f64]) -> Vec<f64> {
        let mut rows = less(self.points, mean);
        let shares = self.shares.chunks_exact(k);
        for (row, shares) in rows.chunks_exact_mut(mean.len()).zip(shares) {
            let root = shares[component].sqrt();
            row.iter_mut().for_each(|x| *x *= root);
        }
        rows
    }
}

fn less(points: Points, mean: &[f64]) -> Vec<f64> {
    let rows = points.values.chunks_exact(points.dim);
    rows.flat_map(|row| row.iter().zip(mean).map(|(x, mean)| f64::from(*x) - mean)).collect()
}

/// The inverse of the lower factor of a symmetric matrix; none when it is not positive definite.
fn inverse_factor(mut matrix: Vec<f64>, dim: usize) -> Option<Vec<f64>> {
    for j in 0..dim {
        for i in j..dim {
            let (above, below) = matrix.split_at(i * dim);
            let (row, pivot) =
                (&below[..j], if i == j { &below[..j] } else { &above[j * dim..][..j] });
            let rest = below[j] - dot(row, pivot);
            matrix[i * dim + j] = match i == j {
                true if rest > 0.0 => rest.sqrt(),
                true => return None,
                false => rest / matrix[j * dim + j],
            };
        }
    }
    let mut inverse = vec![0.0; dim * dim];
    for i in 0..dim {
        for at in 0..i {
            let factor = matrix[i * dim + at];
            let (before, row) = inverse.split_at_mut(i * dim);
            let known = &before[at * dim..][..=at];
            row.iter_mut().zip(known).for_each(|(x, known)| *x -= factor * known);
        }
        let row = &mut inverse[i * dim..][..=i];
        row[i] += 1.0;
        let pivot = matrix[i * dim + i];
        row.iter_mut().for_each(|x| *x /= pivot);
    }
    Some(inverse)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
