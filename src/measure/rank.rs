//! How many directions rows of numbers take up.

use super::eigen::eigenvalues;
use super::moments::Table;

/// The singular values of `rows`, from the largest down, less their mean where `centre` says so.
///
/// What is below the rounding of single-precision numbers, compared with the length of the whole
/// before it was centred, is zero.
pub fn singular_values(rows: &Table, centre: bool) -> Vec<f64> {
    let around = if centre { rows.mean() } else { vec![0.0; rows.dim] };
    let size = rows.len().min(rows.dim);
    // Both products have the same eigenvalues besides zeros.
    let squared = if rows.len() < rows.dim { rows.gram(&around) } else { rows.scatter(&around) };
    let least = f64::from(f32::EPSILON) * rows.squares().sqrt();
    let root = |square: f64| Some(square.max(0.0).sqrt()).filter(|it| *it > least).unwrap_or(0.0);
    eigenvalues(squared, size).into_iter().map(root).collect()
}

/// The exponential of the entropy of singular values that sum to one (Roy & Vetterli, 2007): from 1,
/// where one direction has everything, to their number, where all are equal. 0 where all are zero.
pub fn effective_rank(singular: &[f64]) -> f64 {
    entropy_rank(singular, 0.0)
}

/// The same as RankMe has it (Garrido et al., 2023): each share is made greater by 1e-7.
pub fn rankme(singular: &[f64]) -> f64 {
    entropy_rank(singular, 1e-7)
}

fn entropy_rank(singular: &[f64], more: f64) -> f64 {
    let total: f64 = singular.iter().sum();
    if total == 0.0 {
        return 0.0;
    }
    let shares = singular.iter().map(|it| it / total + more).filter(|share| *share > 0.0);
    (-shares.map(|share| share * share.ln()).sum::<f64>()).exp()
}
