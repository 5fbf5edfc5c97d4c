//! How sure a mean is of which there are few samples.

/// The share of all samples that an interval leaves out above it, and the same below it.
const LEFT_OUT: f64 = 0.025;

/// The interval that holds the mean of what `samples` were drawn of in 95% of all cases, where that
/// is normal: by Student's t. None of fewer than two samples.
pub fn interval(samples: &[f64]) -> Option<(f64, f64)> {
    let n = samples.len() as f64;
    if samples.len() < 2 {
        return None;
    }
    let mean = samples.iter().sum::<f64>() / n;
    let squares: f64 = samples.iter().map(|it| (it - mean).powi(2)).sum();
    let error = (squares / (n - 1.0) / n).sqrt();
    let half = error * bound(samples.len() - 1);
    Some((mean - half, mean + half))
}

/// What Student's t of so many degrees of freedom exceeds in [`LEFT_OUT`] of all cases.
fn bound(freedom: usize) -> f64 {
    let (mut low, mut high) = (0.0, 100.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if above(middle, freedom) > LEFT_OUT { low = middle } else { high = middle }
    }
    high
}

/// How often Student's t exceeds `t`: a finite sum of powers of a cosine (Abramowitz and Stegun,
/// 26.7.3 and 26.7.4).
fn above(t: f64, freedom: usize) -> f64 {
    let angle = (t / (freedom as f64).sqrt()).atan();
    let (sine, cosine) = angle.sin_cos();
    let is_odd = freedom % 2 == 1;
    let (mut term, first) = if is_odd { (cosine, 3) } else { (1.0, 2) };
    let mut sum = 0.0;
    for n in (first..=freedom).step_by(2) {
        sum += term;
        term *= cosine * cosine * (n - 1) as f64 / n as f64;
    }
    let inside = match is_odd {
        true => (angle + sine * sum) * std::f64::consts::FRAC_2_PI,
        false => sine * sum,
    };
    0.5 * (1.0 - inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_scipy() {
        // scipy.stats.t.ppf(0.975, freedom)
        let known = [
            (1, 12.706204736),
            (2, 4.302652730),
            (9, 2.262157163),
            (10, 2.228138852),
            (99, 1.984216952),
        ];
        for (freedom, expected) in known {
            let found = bound(freedom);
            assert!((found - expected).abs() < 1e-7, "{freedom}: {found}");
        }
    }

    #[test]
    fn an_interval_is_about_the_mean() {
        let (low, high) = interval(&[1.0, 2.0, 3.0]).expect("of three");
        assert!((low + high - 4.0).abs() < 1e-12);
        assert!((high - low - 2.0 * 4.302652730 / 3f64.sqrt()).abs() < 1e-7);
        assert_eq!(interval(&[1.0]), None);
        assert_eq!(interval(&[0.5, 0.5]), Some((0.5, 0.5)));
    }
}
