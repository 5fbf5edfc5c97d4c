//! Centred kernel alignment with a linear kernel.

use super::moments::Table;

/// `|X'Y|² / (|X'X| |Y'Y|)` of centred rows (Kornblith et al., 2019): 1 where one table is the other
/// turned and scaled, 0 where no direction of one tells anything of the other; none where one of
/// them does not vary by more than the rounding of its numbers.
pub fn linear_cka(x: &Table, y: &Table) -> Option<f64> {
    let (x_mean, y_mean) = (x.mean(), y.mean());
    let of_x = varying(x.scatter(&x_mean), x)?;
    let of_y = varying(y.scatter(&y_mean), y)?;
    let both = norm(&x.cross(&x_mean, y, &y_mean));
    Some((both * both / (of_x * of_y)).min(1.0))
}

/// The norm of a scatter, where there is one.
fn varying(scatter: Vec<f64>, of: &Table) -> Option<f64> {
    let rounding = f64::from(f32::EPSILON).powi(2) * of.squares();
    Some(norm(&scatter)).filter(|norm| *norm > rounding)
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum::<f64>().sqrt()
}
