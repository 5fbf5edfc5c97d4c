//! Random numbers that corruptions need.

use crate::seed::Stream;

/// Means from which on a Poisson number is drawn by rejection.
const LARGE: f64 = 10.0;

/// A Poisson number of mean `mean`.
pub(super) fn poisson(mean: f64, stream: &mut Stream) -> f64 {
    if mean >= LARGE { by_rejection(mean, stream) } else { by_products(mean, stream) }
}

/// As many uniform numbers as have a product above `exp(-mean)` (Knuth).
fn by_products(mean: f64, stream: &mut Stream) -> f64 {
    let least = (-mean).exp();
    let (mut count, mut product) = (0.0, stream.uniform());
    while product > least {
        product *= stream.uniform();
        count += 1.0;
    }
    count
}

/// The transformed rejection with squeeze of Hörmann (1993), PTRS.
fn by_rejection(mean: f64, stream: &mut Stream) -> f64 {
    let b = 0.931 + 2.53 * mean.sqrt();
    let a = -0.059 + 0.02483 * b;
    let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
    let v_r = 0.9277 - 3.6224 / (b - 2.0);
    loop {
        let (u, v) = (stream.uniform() - 0.5, stream.uniform());
        let us = 0.5 - u.abs();
        let k = ((2.0 * a / us + b) * u + mean + 0.43).floor();
        if us >= 0.07 && v <= v_r {
            return k;
        }
        if k < 0.0 || (us < 0.013 && v > us) {
            continue;
        }
        let left = v.ln() + inverse_alpha.ln() - (a / (us * us) + b).ln();
        if left <= k * mean.ln() - mean - ln_factorial(k) {
            return k;
        }
    }
}

/// `ln k!`, by Stirling's series where `k` is large.
fn ln_factorial(k: f64) -> f64 {
    if k < 10.0 {
        return (2..=k as u64).map(|it| (it as f64).ln()).sum();
    }
    let series = 1.0 / (12.0 * k) - 1.0 / (360.0 * k.powi(3)) + 1.0 / (1260.0 * k.powi(5));
    (k + 0.5) * k.ln() - k + 0.5 * std::f64::consts::TAU.ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_of_factorials_are_their_sums() {
        let mut sum = 0.0;
        for k in 1..400 {
            sum += f64::from(k).ln();
            assert!((ln_factorial(f64::from(k)) - sum).abs() < 1e-8 * sum.max(1.0), "{k}");
        }
    }

    #[test]
    fn counts_are_distributed_as_poisson_says() {
        for mean in [0.0, 0.3, 4.0, 9.9, 10.0, 37.5, 480.0] {
            let draws = 40_000;
            let mut stream = Stream::new(4).named("poisson");
            let found: Vec<f64> = (0..draws).map(|_| poisson(mean, &mut stream)).collect();
            // The share at or below each count, against the sum of its probabilities.
            let (mut below, mut chance) = (0.0, 0.0);
            for k in 0..(2.0 * mean + 20.0) as u64 {
                below += found.iter().filter(|it| **it == k as f64).count() as f64 / draws as f64;
                let log = if mean > 0.0 { k as f64 * mean.ln() - mean } else { 0.0 };
                let is_possible = mean > 0.0 || k == 0;
                chance += if is_possible { (log - ln_factorial(k as f64)).exp() } else { 0.0 };
                assert!((below - chance).abs() < 0.009, "{mean}, {k}: {below} {chance}");
            }
        }
    }
}
