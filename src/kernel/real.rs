//! The two element types the kernels work in.

use std::any::TypeId;
use std::iter::Sum;
use std::ops::Neg;

use candle_core::WithDType;

/// `f32`, computed fast, or `f64`, computed exactly enough to check gradients against.
pub(crate) trait Real: WithDType + Neg<Output = Self> + Sum<Self> + Default {
    const ZERO: Self;
    const ONE: Self;
    /// The distance from 1 to the next larger number.
    const EPSILON: f64;

    /// Numbers side by side in registers.
    #[cfg(target_arch = "x86_64")]
    type Vector: super::avx512::Vector<Self>;

    /// The element type rounded from `value`.
    fn of(value: f64) -> Self {
        Self::from_f64(value)
    }

    /// e to the power of this number; in `f32` to about 1 ulp, and clamped to finite values.
    fn exp(self) -> Self;

    /// ln(1 + this number), for numbers from 0 to 1.
    fn ln_1p(self) -> Self;

    /// The error function; in `f32` to about 2 ulp.
    fn erf(self) -> Self;

    /// The square root.
    fn sqrt(self) -> Self;

    /// The magnitude.
    fn abs(self) -> Self;

    /// This number times `by`, plus `plus`, rounded once.
    fn fused(self, by: Self, plus: Self) -> Self;

    /// The greater of the two; this one if `other` is not a number.
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        if other > self { other } else { self }
    }
}

/// The numbers, if they are `f32`.
pub(crate) fn in_f32<T: Real>(values: &[T]) -> Option<&[f32]> {
    // SAFETY: `T` is `f32`.
    is_f32::<T>().then(|| unsafe { &*(std::ptr::from_ref(values) as *const [f32]) })
}

/// The numbers, if they are `f32`.
pub(crate) fn in_f32_mut<T: Real>(values: &mut [T]) -> Option<&mut [f32]> {
    // SAFETY: `T` is `f32`.
    is_f32::<T>().then(|| unsafe { &mut *(std::ptr::from_mut(values) as *mut [f32]) })
}

fn is_f32<T: Real>() -> bool {
    TypeId::of::<T>() == TypeId::of::<f32>()
}

/// Runs `$body` with `$real` standing for the element type `$dtype`.
macro_rules! with_real {
    ($dtype:expr, $real:ident => $body:expr) => {
        match $dtype {
            candle_core::DType::F32 => {
                type $real = f32;
                $body
            }
            candle_core::DType::F64 => {
                type $real = f64;
                $body
            }
            other => candle_core::bail!("expected elements of `f32` or `f64`, found `{other:?}`"),
        }
    };
}
pub(crate) use with_real;

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const EPSILON: f64 = f32::EPSILON as f64;

    #[cfg(target_arch = "x86_64")]
    type Vector = std::arch::x86_64::__m512;

    /// Cephes' `expf`: range reduction by ln 2 in two parts, then a polynomial of degree 5.
    #[inline(always)]
    fn exp(self) -> Self {
        // Adding and taking away 1.5 * 2^23 rounds to the nearest integer without a branch.
        const ROUND: f32 = 12_582_912.0;
        let x = self.clamp(-87.3, 88.3);
        let n = (x * std::f32::consts::LOG2_E + ROUND) - ROUND;
        let r = x - n * 0.693_359_4 - n * -2.121_944_4e-4;
        let p = polynomial(
            r,
            [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5],
        );
        // SAFETY: the clamp keeps n within -126..=128.
        let exponent = unsafe { n.to_int_unchecked::<i32>() } + 127;
        f32::from_bits((exponent << 23) as u32) * (p * r * r + r + 1.0)
    }

    /// `2 artanh(x / (2 + x))` by its series, whose argument is at most 1/3.
    #[inline(always)]
    fn ln_1p(self) -> Self {
        let ratio = self / (2.0 + self);
        let odd = [1.0 / 13.0, 1.0 / 11.0, 1.0 / 9.0, 1.0 / 7.0, 0.2, 1.0 / 3.0, 1.0];
        2.0 * ratio * polynomial(ratio * ratio, odd)
    }

    /// The rational approximation of Eigen and XLA.
    #[inline(always)]
    fn erf(self) -> Self {
        let x = self.clamp(-4.0, 4.0);
        let numerator = polynomial(
            x * x,
            [
                -2.726_142_4e-10,
                2.770_681_4e-8,
                -2.101_024e-6,
                -5.692_506_4e-5,
                -7.349_906_3e-4,
                -2.954_599_8e-3,
                -1.609_603_3e-2,
            ],
        );
        let denominator = polynomial(
            x * x,
            [-1.456_607_2e-5, -2.133_740_6e-4, -1.682_827e-3, -7.373_329_3e-3, -1.426_473_9e-2],
        );
        x * numerator / denominator
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }

    #[inline(always)]
    fn abs(self) -> Self {
        f32::abs(self)
    }

    #[inline(always)]
    fn fused(self, by: Self, plus: Self) -> Self {
        self.mul_add(by, plus)
    }
}

/// Horner's rule, the highest power first.
#[inline(always)]
fn polynomial<const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    coefficients.into_iter().reduce(|sum, c| sum * x + c).unwrap_or(0.0)
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const EPSILON: f64 = f64::EPSILON;

    #[cfg(target_arch = "x86_64")]
    type Vector = [std::arch::x86_64::__m512d; 2];

    #[inline(always)]
    fn exp(self) -> Self {
        f64::exp(self)
    }

    #[inline(always)]
    fn ln_1p(self) -> Self {
        f64::ln_1p(self)
    }

    #[inline(always)]
    fn erf(self) -> Self {
        candle_core::cpu::erf::erf_f64(self)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }

    #[inline(always)]
    fn abs(self) -> Self {
        f64::abs(self)
    }

    #[inline(always)]
    fn fused(self, by: Self, plus: Self) -> Self {
        self.mul_add(by, plus)
    }
}

#[cfg(test)]
mod tests {
    use super::Real;

    fn worst(fast: fn(f32) -> f32, exact: fn(f64) -> f64, range: f32) -> f64 {
        let points = (-1000..=1000).map(|i| i as f32 / 1000.0 * range);
        points
            .map(|x| {
                let expected = exact(f64::from(x));
                (f64::from(fast(x)) - expected).abs() / expected.abs().max(1e-30)
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn the_fast_functions_are_exact_to_a_few_ulp() {
        assert!(worst(Real::exp, f64::exp, 87.0) < 3e-7);
        assert!(worst(|x| Real::ln_1p(x.abs()), |x| x.abs().ln_1p(), 1.0) < 3e-7);
        assert!(worst(Real::erf, candle_core::cpu::erf::erf_f64, 3.9) < 5e-7);
    }

    #[test]
    fn exp_stays_finite() {
        assert!(Real::exp(1e9f32).is_finite() && Real::exp(-1e9f32) < 1e-37);
    }
}
