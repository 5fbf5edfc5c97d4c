//! How classes lie on the unit sphere: members around their mean, and means to each other.

use super::moments::Table;

/// A class that occurs, with its unit embeddings summed up.
#[derive(Debug, Clone)]
pub struct UnitClass {
    pub size: f64,
    pub sum: Vec<f64>,
    /// The sum of their squared lengths: their number, less the zero vectors.
    pub squares: f64,
}

impl UnitClass {
    /// The classes of `rows` that occur, in order; the label of each row is below `count`.
    pub fn gather(rows: &Table, labels: &[u32], count: usize) -> Vec<Self> {
        let empty = || Self { size: 0.0, sum: vec![0.0; rows.dim], squares: 0.0 };
        let mut gathered: Vec<Self> = (0..count).map(|_| empty()).collect();
        for (row, label) in rows.rows().zip(labels) {
            let class = &mut gathered[*label as usize];
            let scale = inverse_norm(row);
            class.size += 1.0;
            for (sum, x) in class.sum.iter_mut().zip(row) {
                let z = f64::from(*x) * scale;
                *sum += z;
                class.squares += z * z;
            }
        }
        gathered.retain(|class| class.size > 0.0);
        gathered
    }

    /// `1 - |m|²` for the mean `m` of the members.
    pub fn variance(&self) -> f64 {
        // Rounding must not turn a collapsed class into one of negative variance.
        (self.squares / self.size - dot(&self.sum, &self.sum) / self.size.powi(2)).max(0.0)
    }

    /// The mean cosine between two different members; none of one alone.
    pub fn cosine(&self) -> Option<f64> {
        let pairs = self.size * (self.size - 1.0);
        (self.size > 1.0).then(|| (dot(&self.sum, &self.sum) - self.squares) / pairs)
    }
}

/// The cosines between the means of every two classes.
pub fn between(classes: &[UnitClass]) -> Vec<f64> {
    let pairs = classes.iter().enumerate();
    let pairs = pairs.flat_map(|(n, a)| classes[..n].iter().map(move |b| cosine(&a.sum, &b.sum)));
    pairs.collect()
}

/// The mean, if there is anything to average.
pub fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// The factor that makes a row as long as one; zero for a zero vector, which stays.
pub fn inverse_norm(row: &[f32]) -> f64 {
    let square: f64 = row.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
    if square > 0.0 { 1.0 / square.sqrt() } else { 0.0 }
}

/// The cosine of two vectors; zero when one has no direction.
fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms > 0.0 { dot(a, b) / norms } else { 0.0 }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
