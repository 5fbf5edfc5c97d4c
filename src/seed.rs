//! Randomness by address: a draw depends on the seed and on what it is for,
//! never on how many draws came before it or on which thread makes it.

/// A stream of random numbers for one purpose.
///
/// Addresses are walked with [`Stream::named`] and [`Stream::at`], which do not disturb the
/// stream they start from; only [`Stream::bits`] and what is built on it move along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream(u64);

impl Stream {
    /// The root stream of a trial's seed.
    pub fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0x6261_6c61_6e63_6531))
    }

    /// The stream for `purpose` below this one.
    pub fn named(&self, purpose: &str) -> Self {
        let state = purpose.bytes().fold(self.0, |state, byte| mix(state ^ u64::from(byte)));
        Self(mix(state ^ purpose.len() as u64))
    }

    /// The `index`th stream below this one: an epoch, a sample, a trial.
    pub fn at(&self, index: u64) -> Self {
        Self(mix(self.0 ^ mix(index.wrapping_add(0x51_7c_c1_b7_27_22_0a_95))))
    }

    /// What its next bits come from, where they are drawn elsewhere.
    pub fn state(&self) -> u64 {
        self.0
    }

    /// The next 64 random bits (SplitMix64).
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in [low, high).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Uniform in 0..n, without modulo bias worth naming (Lemire's multiplication).
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    /// Standard normal (Box–Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Beta with both parameters `alpha`, which is above 0: `a / (a + b)` of two Gamma numbers.
    pub fn beta(&mut self, alpha: f64) -> f64 {
        // The quotient is worked out as a logarithm, since for a small alpha both may be 0.
        let lift = |stream: &mut Self| (1.0 - stream.uniform()).ln();
        let [own, other] = [(); 2].map(|()| (self.gamma(alpha + 1.0).ln(), lift(self)));
        let odds = other.0 - own.0 + (other.1 - own.1) / alpha;
        1.0 / (1.0 + odds.exp())
    }

    /// Gamma of the shape `alpha`, which is 1 or more, over `alpha - 1/3` (Marsaglia & Tsang, 2000).
    fn gamma(&mut self, alpha: f64) -> f64 {
        let scale = alpha - 1.0 / 3.0;
        loop {
            let normal = self.normal();
            let cube = (1.0 + normal / (9.0 * scale).sqrt()).powi(3);
            let bound = 0.5 * normal * normal + scale * (1.0 - cube + cube.ln());
            if cube > 0.0 && (1.0 - self.uniform()).ln() < bound {
                return cube;
            }
        }
    }

    /// A random order of 0..n (Fisher–Yates).
    pub fn permutation(&mut self, n: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n as u32).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }
}

/// What a number of 32 random bits is below with `probability`, to within 2⁻³², and never 0 for one
/// that is not.
pub fn threshold(probability: f64) -> u64 {
    (probability * (1u64 << 32) as f64).ceil() as u64
}

/// SplitMix64's finaliser.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_does_not_depend_on_draws_before_it() {
        let root = Stream::new(7);
        let mut used = root.clone();
        let before = root.named("init").at(3).uniform();
        used.bits();
        assert_eq!(before, root.named("init").at(3).uniform());
        assert_ne!(before, root.named("order").at(3).uniform());
        assert_ne!(root.named("ab").named("c"), root.named("a").named("bc"));
    }

    #[test]
    fn a_permutation_holds_every_index_once() {
        let mut order = Stream::new(1).permutation(100);
        assert_ne!(order, (0..100).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn normal_draws_have_unit_variance() {
        let mut stream = Stream::new(3);
        let draws: Vec<f64> = (0..20_000).map(|_| stream.normal()).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }
}
