//! How far classes are from neural collapse: points at the corners of a simplex.

use rayon::prelude::*;

use super::eigen::{Eigen, eigen};
use super::moments::Table;

/// Rows that one task sees.
const PIECE: usize = 512;

/// The means of the classes that occur, and how their members lie around them.
#[derive(Debug, Clone)]
pub struct Classes {
    /// The class of each entry of what follows.
    pub ids: Vec<u32>,
    pub means: Vec<Vec<f64>>,
    /// The mean squared distance of a member to the mean of its class.
    pub variances: Vec<f64>,
    /// What a squared distance may be by rounding alone.
    rounding: f64,
}

impl Classes {
    /// The classes of `rows`; the label of each is below `count`.
    pub fn of(rows: &Table, labels: &[u32], count: usize) -> Self {
        let mut sizes = vec![0usize; count];
        let mut means = vec![vec![0.0; rows.dim]; count];
        for (row, label) in rows.rows().zip(labels) {
            sizes[*label as usize] += 1;
            means[*label as usize].iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
        }
        for (mean, size) in means.iter_mut().zip(&sizes) {
            mean.iter_mut().for_each(|sum| *sum /= (*size).max(1) as f64);
        }
        let mut variances = vec![0.0; count];
        for (row, label) in rows.rows().zip(labels) {
            let class = *label as usize;
            variances[class] += squared_distance(row, &means[class]) / sizes[class] as f64;
        }
        let occurs = |class: &usize| sizes[*class] > 0;
        Self {
            ids: (0..count).filter(occurs).map(|class| class as u32).collect(),
            means: (0..count)
                .filter(occurs)
                .map(|class| std::mem::take(&mut means[class]))
                .collect(),
            variances: (0..count).filter(occurs).map(|class| variances[class]).collect(),
            rounding: f64::from(f32::EPSILON).powi(2) * rows.squares() / rows.len().max(1) as f64,
        }
    }

    /// The class-distance normalised variance (Galanti et al., 2021): the mean over pairs of classes
    /// of the mean of their variances over the squared distance of their means; none with fewer than
    /// two classes, or where two means lie in one place.
    pub fn cdnv(&self) -> Option<f64> {
        let mut ratios = Vec::new();
        for (a, mean) in self.means.iter().enumerate() {
            for (b, other) in self.means[..a].iter().enumerate() {
                let apart = Some(squared(&less(mean, other))).filter(|it| *it > self.rounding)?;
                ratios.push((self.variances[a] + self.variances[b]) / (2.0 * apart));
            }
        }
        mean(&ratios)
    }

    /// The means of the classes less the mean of these.
    pub fn centred(&self) -> Vec<Vec<f64>> {
        let dim = self.means.first().map_or(0, Vec::len);
        let count = self.means.len() as f64;
        let centre: Vec<f64> = (0..dim)
            .map(|at| self.means.iter().map(|mean| mean[at]).sum::<f64>() / count)
            .collect();
        self.means.iter().map(|mean| less(mean, &centre)).collect()
    }

    /// `Tr(Σ_W Σ_B⁺) / K` (Papyan et al., 2020, NC1): the variance within classes along the
    /// directions between their means, over that between them; none where the means are one point.
    pub fn within_over_between(&self, rows: &Table, labels: &[u32]) -> Option<f64> {
        let centred = self.centred();
        let count = centred.len();
        let gram: Vec<f64> =
            centred.iter().flat_map(|a| centred.iter().map(|b| dot(a, b))).collect();
        let Eigen { values, vectors } = eigen(gram, count);
        let least = (count as f64 * f64::EPSILON * values.first()?).max(self.rounding);
        let kept = values.iter().zip(&vectors).filter(|(value, _)| **value > least);
        // Σ_B = M M' / K has the eigenvector M v / s and the eigenvalue s² / K for each eigenvector
        // v of M' M of eigenvalue s².
        let axes: Vec<Vec<f64>> = kept.map(|(value, v)| combination(v, &centred, *value)).collect();
        let along = |(row, label): (&[f32], &u32)| {
            let Ok(class) = self.ids.binary_search(label) else { return 0.0 };
            let off: Vec<f64> =
                row.iter().zip(&self.means[class]).map(|(x, m)| f64::from(*x) - m).collect();
            axes.iter().map(|axis| dot(axis, &off).powi(2)).sum::<f64>()
        };
        let pieces = rows.values.par_chunks(PIECE * rows.dim.max(1)).zip(labels.par_chunks(PIECE));
        let sums: Vec<f64> = pieces
            .map(|(rows_of, labels)| {
                let piece = Table { values: rows_of, dim: rows.dim };
                piece.rows().zip(labels).map(along).sum()
            })
            .collect();
        (!axes.is_empty()).then(|| sums.iter().sum::<f64>() / rows.len() as f64)
    }

    /// NC2, equal norms: the standard deviation of the distances of the means to their centre, over
    /// the mean distance.
    pub fn norm_variation(&self) -> Option<f64> {
        let norms: Vec<f64> = self.centred().iter().map(|it| squared(it).sqrt()).collect();
        let middle = mean(&norms).filter(|it| it * it > self.rounding && norms.len() > 1)?;
        Some(deviation(&norms)? / middle)
    }

    /// NC2, equal and greatest angles: the standard deviation of the cosines between centred means,
    /// and the mean distance of these from `-1/(K-1)`.
    pub fn angles(&self) -> Option<(f64, f64)> {
        let centred = self.centred();
        let simplex = -1.0 / (centred.len() as f64 - 1.0);
        if centred.iter().any(|it| squared(it) <= self.rounding) {
            return None;
        }
        let cosine = |a: &[f64], b: &[f64]| dot(a, b) / (squared(a) * squared(b)).sqrt();
        let pairs = centred.iter().enumerate();
        let cosines: Vec<f64> =
            pairs.flat_map(|(n, a)| centred[..n].iter().map(move |b| cosine(a, b))).collect();
        let distances: Vec<f64> = cosines.iter().map(|it| (it - simplex).abs()).collect();
        Some((deviation(&cosines)?, mean(&distances)?))
    }

    /// NC3, self-duality: the squared distance of the weights of a linear classifier, a row for each
    /// of all classes, from the centred means, both scaled to length one; none where the means are
    /// one point or the weights are zero.
    pub fn duality(&self, weights: &[Vec<f64>]) -> Option<f64> {
        let centred = self.centred().concat();
        let weights: Vec<f64> =
            self.ids.iter().flat_map(|id| weights[*id as usize].iter().copied()).collect();
        let lengths = [squared(&centred), squared(&weights)];
        let is_there = lengths[0] > self.rounding && lengths[1] > 0.0;
        let cosine = dot(&centred, &weights) / (lengths[0] * lengths[1]).sqrt();
        is_there.then_some(2.0 - 2.0 * cosine)
    }

    /// The class whose mean is nearest to each row; of equally near ones the first.
    pub fn nearest(&self, rows: &Table) -> Vec<u32> {
        let nearest = |row: &[f32]| {
            let distances: Vec<f64> =
                self.means.iter().map(|mean| squared_distance(row, mean)).collect();
            let best = (1..distances.len())
                .fold(0, |best, at| if distances[at] < distances[best] { at } else { best });
            self.ids[best]
        };
        rows.values.par_chunks_exact(rows.dim.max(1)).map(nearest).collect()
    }
}

/// `Σ v_c m_c / s²`: an axis of `Σ_B` over the root of its eigenvalue, and of the number of classes.
fn combination(v: &[f64], means: &[Vec<f64>], square: f64) -> Vec<f64> {
    let mut axis = vec![0.0; means[0].len()];
    for (share, mean) in v.iter().zip(means) {
        axis.iter_mut().zip(mean).for_each(|(sum, x)| *sum += share * x / square);
    }
    axis
}

fn squared_distance(row: &[f32], mean: &[f64]) -> f64 {
    row.iter().zip(mean).map(|(x, m)| (f64::from(*x) - m).powi(2)).sum()
}

fn less(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn squared(a: &[f64]) -> f64 {
    dot(a, a)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn deviation(values: &[f64]) -> Option<f64> {
    let middle = mean(values)?;
    let squares: Vec<f64> = values.iter().map(|it| (it - middle).powi(2)).collect();
    mean(&squares).map(f64::sqrt)
}
