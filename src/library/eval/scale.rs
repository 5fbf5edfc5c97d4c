//! Features brought to one scale.

use super::rows::Rows;

/// Mean and inverse standard deviation of each dimension.
pub(super) struct Scale {
    mean: Vec<f64>,
    inverse_std: Vec<f64>,
}

impl Scale {
    /// Over `rows`.
    pub(super) fn of(rows: &Rows) -> Self {
        let mean = column_means(rows, |x, _| x, &vec![0.0; rows.dim]);
        let variance = column_means(rows, |x, mean| (x - mean).powi(2), &mean);
        // A dimension that never varies is only centred.
        let inverse = |variance: &f64| if *variance > 0.0 { 1.0 / variance.sqrt() } else { 1.0 };
        Self { inverse_std: variance.iter().map(inverse).collect(), mean }
    }

    /// Brings each dimension to mean zero and variance one.
    pub(super) fn apply(&self, rows: &mut Rows) {
        for row in rows.values.chunks_exact_mut(rows.dim.max(1)) {
            for ((x, mean), scale) in row.iter_mut().zip(&self.mean).zip(&self.inverse_std) {
                *x = ((f64::from(*x) - mean) * scale) as f32;
            }
        }
    }
}

/// The mean over rows of `f(x, around)`, for each dimension.
fn column_means(rows: &Rows, f: impl Fn(f64, f64) -> f64, around: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0; rows.dim];
    for row in rows.iter() {
        for ((sum, x), around) in sums.iter_mut().zip(row).zip(around) {
            *sum += f(f64::from(*x), *around);
        }
    }
    sums.iter().map(|sum| sum / rows.len() as f64).collect()
}
