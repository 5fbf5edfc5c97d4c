//! Means over a sphere of functions of the cosine to a fixed direction.

use std::f64::consts::PI;

/// The distribution of `w.w'` for `w` uniform on the unit sphere of a dimension and `w'` fixed, as
/// weighted points.
pub(super) struct Sphere {
    points: Vec<Point>,
}

struct Point {
    cosine: f64,
    /// The weights sum to one.
    log_weight: f64,
}

impl Sphere {
    /// The unit sphere in `dim >= 1` dimensions, fine enough for functions like `exp(sharpness t)`.
    ///
    /// The density of the angle is `sin^(dim-2)`; with the angle `phi - sin(2 phi) / 2` the
    /// integrand and its derivatives vanish at both ends, where the midpoint rule is exact to high
    /// order.
    pub fn new(dim: usize, sharpness: f64) -> Self {
        if dim <= 1 {
            return Self::of([1.0, -1.0].map(|cosine| Point { cosine, log_weight: 0.0 }).into());
        }
        let width = (dim as f64).max(sharpness).sqrt();
        let count = 128 + (8.0 * width.min(1e3)) as usize;
        let point = |at: usize| {
            let phi = PI * (at as f64 + 0.5) / count as f64;
            let angle = phi - (2.0 * phi).sin() / 2.0;
            let log_weight = (dim as f64 - 2.0) * angle.sin().ln() + 2.0 * phi.sin().ln();
            Point { cosine: angle.cos(), log_weight }
        };
        Self::of((0..count).map(point).collect())
    }

    /// With weights that sum to one.
    fn of(points: Vec<Point>) -> Self {
        let mut sphere = Self { points };
        let total = sphere.log_mean_exp(0.0);
        sphere.points.iter_mut().for_each(|point| point.log_weight -= total);
        sphere
    }

    /// The mean of `value` of the cosine.
    pub fn mean(&self, value: impl Fn(f64) -> f64) -> f64 {
        self.points.iter().map(|point| point.log_weight.exp() * value(point.cosine)).sum()
    }

    /// `log M(k) = log E exp(k w.w')`, without overflow and without underflow.
    pub fn log_mean_exp(&self, k: f64) -> f64 {
        let exponents = || self.points.iter().map(|point| point.log_weight + k * point.cosine);
        let largest = exponents().fold(f64::NEG_INFINITY, f64::max);
        largest + exponents().map(|it| (it - largest).exp()).sum::<f64>().ln()
    }
}

#[cfg(test)]
mod tests {
    use super::Sphere;

    #[test]
    fn means_of_exponentials_are_closed_forms() {
        for k in [0.01f64, 0.4, 2.0, 5.0, 20.0, 200.0] {
            let one = k + ((1.0 + (-2.0 * k).exp()) / 2.0).ln();
            assert!((Sphere::new(1, k).log_mean_exp(k) - one).abs() < 1e-12, "{k}");
            let three = k + (-(-2.0 * k).exp_m1() / (2.0 * k)).ln();
            assert!((Sphere::new(3, k).log_mean_exp(k) - three).abs() < 1e-7, "{k}");
        }
    }

    /// `M_p(k) = sum_j (k/2)^2j Gamma(p/2) / (j! Gamma(p/2 + j))`.
    #[test]
    fn any_dimension_follows_the_series() {
        for (dim, k) in [(2, 2.0), (4, 1.0), (7, 2.0), (8, 6.0), (100, 2.0), (2048, 20.0)] {
            let (mut term, mut sum) = (1.0, 1.0);
            for at in 1..200 {
                term *= (k / 2.0f64).powi(2) / (at as f64 * (dim as f64 / 2.0 + at as f64 - 1.0));
                sum += term;
            }
            let found = Sphere::new(dim, k).log_mean_exp(k);
            assert!((found - sum.ln()).abs() < 1e-7, "{dim} {k}: {found} {}", sum.ln());
        }
    }
}
