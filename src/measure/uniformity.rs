//! How evenly unit vectors lie on the sphere, and how near two views of one thing.

use rayon::prelude::*;

use super::moments::Table;
use crate::kernel::matrix::{Matrix, Product};

/// Rows and columns of one tile of similarities.
const TILE: usize = 256;

/// `log E exp(-2 |x - y|²)` over all pairs of different unit rows (Wang & Isola, 2020): 0 where all
/// are one point, and the less the more evenly they lie; none with fewer than two rows. `told` hears
/// of the share done, and may stop.
pub fn uniformity<E>(
    unit: &Table,
    mut told: impl FnMut(f64) -> Result<(), E>,
) -> Result<Option<f64>, E> {
    let count = unit.len();
    if count < 2 {
        return Ok(None);
    }
    let tiles = count.div_ceil(TILE);
    let mut sum = 0.0;
    for tile in 0..tiles {
        let sums: Vec<f64> = (0..=tile).into_par_iter().map(|it| pairs(unit, tile, it)).collect();
        sum += sums.iter().sum::<f64>();
        let seen = (tile + 1) as f64 / tiles as f64;
        told(seen * seen)?;
    }
    let pairs = count as f64 * (count as f64 - 1.0) / 2.0;
    Ok(Some((sum / pairs).ln()))
}

/// The sum over the pairs of two tiles; over each pair once where they are the same.
fn pairs(unit: &Table, one: usize, other: usize) -> f64 {
    let rows = |tile: usize| tile * TILE..((tile + 1) * TILE).min(unit.len());
    let all = Matrix::new(unit.values, unit.len(), unit.dim);
    let (a, b) = (rows(one), rows(other));
    let mut cosines = vec![0f32; a.len() * b.len()];
    Product::into(&mut cosines, b.len()).of(all.rows(a), all.rows(b.clone()).t());
    let rows = cosines.chunks_exact(b.len()).enumerate();
    let row_sum = |(at, row): (usize, &[f32])| -> f64 {
        let row = if one == other { &row[..at] } else { row };
        row.iter().map(|cosine| (4.0 * (f64::from(*cosine) - 1.0)).exp()).sum()
    };
    rows.map(row_sum).sum()
}

/// `E |x - y|²` over the rows of two tables that belong together; none without rows.
pub fn alignment(one: &Table, other: &Table) -> Option<f64> {
    assert_eq!(one.values.len(), other.values.len(), "the rows belong together");
    let squares = one.values.iter().zip(other.values);
    let sum: f64 = squares.map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    (!one.is_empty()).then(|| sum / one.len() as f64)
}
