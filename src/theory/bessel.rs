//! The ratio of neighbouring modified Bessel functions, by its continued fraction.

/// `I_{order+1}(x) / I_order(x)` for `order > -1` and `x >= 0`: the mean cosine to the pole of a
/// von Mises-Fisher distribution of concentration `x` on the sphere of dimension `2 order + 2`.
///
/// Gauss's continued fraction `1 / (2(order+1)/x + 1 / (2(order+2)/x + …))`, summed from its end,
/// where every term is positive and nothing cancels.
pub fn bessel_ratio(order: f64, x: f64) -> f64 {
    if x == 0.0 {
        return 0.0;
    }
    // Each further term halves the error at least once its index is above `x`.
    let terms = x.min(1e6) as usize + 60;
    let tail = |inner: f64, at: usize| 1.0 / (2.0 * (order + at as f64) / x + inner);
    (1..=terms).rev().fold(0.0, tail)
}

#[cfg(test)]
mod tests {
    use super::bessel_ratio;

    /// Dimensions 1 and 3 have closed forms: `tanh x` and the Langevin function.
    #[test]
    fn half_orders_are_hyperbolic_functions() {
        for x in [1e-3, 0.1, 0.5, 1.0, 2.0, 7.5, 40.0, 300.0] {
            assert!((bessel_ratio(-0.5, x) - x.tanh()).abs() < 1e-12, "{x}");
            assert!((bessel_ratio(0.5, x) - (1.0 / x.tanh() - 1.0 / x)).abs() < 1e-10, "{x}");
        }
    }

    /// `I_1(1) / I_0(1)` and `I_1(10) / I_0(10)`, from tables.
    #[test]
    fn whole_orders_are_those_of_tables() {
        assert!((bessel_ratio(0.0, 1.0) - 0.565_159_104 / 1.266_065_878).abs() < 1e-8);
        assert!((bessel_ratio(0.0, 10.0) - 2_670.988_304 / 2_815.716_628).abs() < 1e-8);
        assert_eq!(bessel_ratio(3.0, 0.0), 0.0);
    }
}
