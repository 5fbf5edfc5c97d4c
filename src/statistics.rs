//! What a number of seeds can show: the least p of an exact test, the power of a t test, and how sure
//! a mean is.

use std::f64::consts::PI;

/// The power that differences are called detectable at.
pub const POWER: f64 = 0.8;
/// The share of all samples that an interval leaves out above it, and the same below it.
const LEFT_OUT: f64 = 0.025;
/// Where the normal density no longer matters.
const FAR: f64 = 8.0;
/// Intervals of the integral over the normal density.
const PIECES: usize = 128;
/// More seeds than this are not asked for.
const MOST_SEEDS: u32 = 64;

/// The smallest two-sided p of a test that turns the signs of `n` paired differences.
pub fn least_sign_flip_p(n: usize) -> f64 {
    2.0 / 2f64.powi(i32::try_from(n).unwrap_or(i32::MAX))
}

/// The fewest seeds whose least p is `level` or below.
pub fn seeds_to_reach(level: f64) -> usize {
    let reaches = |n: &u32| least_sign_flip_p(*n as usize) <= level;
    (1..=MOST_SEEDS).find(reaches).unwrap_or(MOST_SEEDS) as usize
}

/// The chance that one of `count` independent tests at `level` finds what is not there.
pub fn chance_of_false(count: usize, level: f64) -> f64 {
    1.0 - (1.0 - level).powf(count as f64)
}

/// The smallest mean of `n` paired differences, in units of their standard deviation, that a
/// two-sided t test at `level` finds with [`POWER`]; none for fewer than two.
pub fn detectable_paired(n: usize, level: f64) -> Option<f64> {
    let freedom = n.checked_sub(1).filter(|it| *it > 0)? as f64;
    Some(detectable_shift(freedom, level) / (n as f64).sqrt())
}

/// The smallest difference of the means of two groups of `n`, in units of the standard deviation in
/// either, that a two-sided t test at `level` finds with [`POWER`]; none for fewer than two.
pub fn detectable_unpaired(n: usize, level: f64) -> Option<f64> {
    let freedom = 2.0 * n.checked_sub(1).filter(|it| *it > 0)? as f64;
    Some(detectable_shift(freedom, level) * (2.0 / n as f64).sqrt())
}

/// The fewest seeds with which `detectable` is at most `difference` at `level`.
pub fn seeds_to_see(
    difference: f64,
    level: f64,
    detectable: fn(usize, f64) -> Option<f64>,
) -> usize {
    let (mut low, mut high) = (1, MOST_SEEDS as usize);
    while high - low > 1 {
        let middle = low.midpoint(high);
        let sees = detectable(middle, level).is_some_and(|it| it <= difference);
        if sees { high = middle } else { low = middle }
    }
    high
}

/// The noncentrality at which a two-sided t test at `level` has its power.
fn detectable_shift(freedom: f64, level: f64) -> f64 {
    let bound = quantile(level / 2.0, freedom);
    let power = |shift: f64| above(bound, freedom, shift) + above(bound, freedom, -shift);
    let lacking = |shift: f64| power(shift) - POWER;
    // Half the bound is found too rarely, and twice the bound and more often enough, whatever the
    // freedom. Between them lies the root, by the Illinois form of false position.
    let (mut a, mut b) = (0.5 * bound, 2.0 * bound + 4.0);
    let (mut at_a, mut at_b) = (lacking(a), lacking(b));
    for _ in 0..40 {
        let middle = (a * at_b - b * at_a) / (at_b - at_a);
        let here = lacking(middle);
        if here.abs() < 1e-9 {
            return middle;
        }
        if here * at_b < 0.0 {
            (a, at_a) = (b, at_b);
        } else {
            at_a *= 0.5;
        }
        (b, at_b) = (middle, here);
    }
    b
}

/// The interval that holds the mean of what `samples` were drawn of in 95% of all cases, where that
/// is normal: by Student's t. None of fewer than two samples.
pub fn interval(samples: &[f64]) -> Option<(f64, f64)> {
    let n = samples.len() as f64;
    if samples.len() < 2 {
        return None;
    }
    let mean = samples.iter().sum::<f64>() / n;
    let squares: f64 = samples.iter().map(|it| (it - mean).powi(2)).sum();
    let half = (squares / (n - 1.0) / n).sqrt() * quantile(LEFT_OUT, n - 1.0);
    Some((mean - half, mean + half))
}

/// The `t` that is exceeded with probability `share`.
fn quantile(share: f64, freedom: f64) -> f64 {
    let mut high = 1.0;
    while upper_tail(high, freedom) > share && high < 1e12 {
        high *= 2.0;
    }
    let mut low = 0.0;
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if upper_tail(middle, freedom) <= share { high = middle } else { low = middle }
    }
    high
}

/// The probability that Student's t with a whole number of degrees of freedom exceeds `t > 0`: a
/// finite sum of powers of a cosine.
fn upper_tail(t: f64, freedom: f64) -> f64 {
    let angle = (t / freedom.sqrt()).atan();
    let (sine, cosine) = angle.sin_cos();
    let count = freedom.round() as usize;
    let is_odd = count % 2 == 1;
    let (mut term, mut sum) = if is_odd { (cosine, 0.0) } else { (1.0, 0.0) };
    let mut n = if is_odd { 3 } else { 2 };
    while n <= count {
        sum += term;
        term *= cosine * cosine * (n - 1) as f64 / n as f64;
        n += 2;
    }
    let inner = if is_odd { (angle + sine * sum) * 2.0 / PI } else { sine * sum };
    0.5 * (1.0 - inner)
}

/// The probability that `(z + shift) / s` exceeds `t > 0`, for a standard normal `z` and an
/// independent root mean square `s` of `freedom` others: the upper tail of the noncentral t.
fn above(t: f64, freedom: f64, shift: f64) -> f64 {
    // Integrated over z, so that the integrand stays smooth however large t is.
    let scale = ln_gamma(0.5 * freedom);
    let first = (-shift).max(-FAR);
    if first >= FAR {
        return 0.0;
    }
    let step = (FAR - first) / PIECES as f64;
    let value = |at: usize| {
        let z = first + at as f64 * step;
        let density = (-0.5 * z * z).exp() / (2.0 * PI).sqrt();
        let most = ((z + shift) / t).max(0.0);
        density * lower_gamma(0.5 * freedom, 0.5 * freedom * most * most, scale)
    };
    let weight = |at: usize| match at {
        0 | PIECES => 1.0,
        at if at % 2 == 1 => 4.0,
        _ => 2.0,
    };
    (0..=PIECES).map(|at| weight(at) * value(at)).sum::<f64>() * step / 3.0
}

/// The regularised lower incomplete gamma function; `scale` is the logarithm of the complete one.
fn lower_gamma(a: f64, x: f64, scale: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let front = (a * x.ln() - x - scale).exp();
    if x < a + 1.0 {
        return front * ascending(a, x);
    }
    1.0 - front * continued(a, x)
}

fn ascending(a: f64, x: f64) -> f64 {
    let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
    while term > sum * 1e-16 {
        n += 1.0;
        term *= x / n;
        sum += term;
    }
    sum
}

/// The continued fraction of the upper part, by Lentz's method.
fn continued(a: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let mut b = x + 1.0 - a;
    let (mut c, mut d) = (1.0 / TINY, 1.0 / b);
    let mut fraction = d;
    for i in 1..500 {
        let factor = -f64::from(i) * (f64::from(i) - a);
        b += 2.0;
        d = factor * d + b;
        d = 1.0 / if d.abs() < TINY { TINY } else { d };
        c = b + factor / c;
        c = if c.abs() < TINY { TINY } else { c };
        fraction *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    fraction
}

/// The logarithm of the gamma function, for half integers: all that degrees of freedom ask for.
fn ln_gamma(a: f64) -> f64 {
    let start: f64 = if a.fract() == 0.0 { 1.0 } else { 0.5 };
    let first = if start == 1.0 { 0.0 } else { 0.5 * PI.ln() };
    let steps = (a - start).round() as usize;
    first + (0..steps).map(|at| (start + at as f64).ln()).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn near(found: f64, expected: f64, error: f64) {
        assert!((found - expected).abs() <= error, "{found} is not {expected} ± {error}");
    }

    #[test]
    fn the_least_p_halves_with_each_seed() {
        assert_eq!(least_sign_flip_p(1), 1.0);
        assert_eq!(least_sign_flip_p(3), 0.25);
        assert_eq!(least_sign_flip_p(7), 0.015625);
        assert_eq!(least_sign_flip_p(10), 0.001953125);
    }

    #[test]
    fn seeds_are_the_fewest_that_reach_the_level() {
        assert_eq!(seeds_to_reach(0.05), 6);
        assert_eq!(seeds_to_reach(0.05 / 3.0), 7);
        assert_eq!(seeds_to_reach(0.0625), 5);
        assert_eq!(seeds_to_reach(2.0), 1);
    }

    /// The closed forms of one and two degrees of freedom, and three entries of the usual table.
    #[test]
    fn quantiles_are_those_of_students_t() {
        near(quantile(0.025, 1.0), 12.706204736, 1e-6);
        near(quantile(0.025, 2.0), 4.302652730, 1e-7);
        near(quantile(0.025, 9.0), 2.262157163, 1e-7);
        near(quantile(0.005, 4.0), 4.604094871, 1e-7);
        near(quantile(0.025, 30.0), 2.042272456, 1e-7);
        near(quantile(0.025, 63.0), 1.998340543, 1e-7);
    }

    /// Cauchy: `P(T > t) = 1/2 - atan(t)/π`; two degrees: `1/2 - t / (2 √(t² + 2))`. The integral,
    /// without a shift, must come to the same as the sums.
    #[test]
    fn tails_are_the_closed_forms() {
        for t in [0.1, 1.0, 5.0, 50.0, 5000.0] {
            near(upper_tail(t, 1.0), 0.5 - f64::atan(t) / PI, 1e-12);
            near(upper_tail(t, 2.0), 0.5 - t / (2.0 * (t * t + 2.0).sqrt()), 1e-12);
            // No bound of a test is as low as the first.
            for freedom in [1.0, 2.0, 3.0, 8.0, 25.0, 63.0].into_iter().filter(|_| t >= 1.0) {
                near(above(t, freedom, 0.0), upper_tail(t, freedom), 1e-6);
            }
        }
    }

    #[test]
    fn the_seeds_to_see_a_difference_are_the_fewest() {
        for (difference, level) in [(2.0, 0.05), (1.0, 0.05), (0.5, 0.05 / 9.0)] {
            let n = seeds_to_see(difference, level, detectable_paired);
            assert!(detectable_paired(n, level).unwrap() <= difference);
            assert!(detectable_paired(n - 1, level).unwrap() > difference);
        }
        assert_eq!(seeds_to_see(2.0, 0.05, detectable_paired), 5);
    }

    /// The effect sizes that R's `pwr.t.test(type = "paired", power = 0.8)` prints.
    #[test]
    fn detectable_differences_are_those_of_power_tables() {
        near(detectable_paired(3, 0.05).unwrap(), 3.26, 0.01);
        near(detectable_paired(5, 0.05).unwrap(), 1.68, 0.005);
        near(detectable_paired(10, 0.05).unwrap(), 0.996, 0.002);
        near(detectable_unpaired(10, 0.05).unwrap(), 1.325, 0.002);
        assert_eq!(detectable_paired(1, 0.05), None);
        assert_eq!(detectable_unpaired(0, 0.05), None);
    }

    /// A simulation in fixed pseudo-random numbers, which knows nothing of the formula.
    #[test]
    fn detectable_differences_are_detected_in_a_simulation() {
        let mut state = 88172645463325252u64;
        let mut uniform = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        let mut normal = || (-2.0 * (1.0 - uniform()).ln()).sqrt() * (2.0 * PI * uniform()).cos();
        for (n, t) in [(3usize, 4.302652730), (8, 2.364624252)] {
            let shift = detectable_paired(n, 0.05).unwrap();
            let trials = 40_000;
            let mut found = 0;
            for _ in 0..trials {
                let values: Vec<f64> = (0..n).map(|_| shift + normal()).collect();
                let mean = values.iter().sum::<f64>() / n as f64;
                let squares: f64 = values.iter().map(|it| (it - mean).powi(2)).sum();
                let error = (squares / (n as f64 - 1.0) / n as f64).sqrt();
                found += usize::from((mean / error).abs() > t);
            }
            // Four standard errors of 40,000 draws.
            near(found as f64 / f64::from(trials), POWER, 0.008);
        }
    }

    #[test]
    fn several_tests_find_more_that_is_not_there() {
        near(chance_of_false(3, 0.05), 0.142625, 1e-12);
        assert_eq!(chance_of_false(1, 0.25), 0.25);
    }

    #[test]
    fn an_interval_is_about_the_mean() {
        let (low, high) = interval(&[1.0, 2.0, 3.0]).expect("of three");
        assert!((low + high - 4.0).abs() < 1e-12);
        // scipy.stats.t.ppf(0.975, 2)
        assert!((high - low - 2.0 * 4.302652730 / 3f64.sqrt()).abs() < 1e-7);
        assert_eq!(interval(&[1.0]), None);
        assert_eq!(interval(&[0.5, 0.5]), Some((0.5, 0.5)));
    }
}
