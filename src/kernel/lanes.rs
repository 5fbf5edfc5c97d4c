//! Sixteen numbers at once, written so that the compiler keeps them in vector registers.

use std::ops::{Add, Mul, Neg, Sub};

use super::real::Real;

/// Numbers side by side.
pub(crate) const LANES: usize = 16;

/// A vector of [`LANES`] numbers.
#[derive(Clone, Copy)]
pub(crate) struct Lanes<T>(pub(crate) [T; LANES]);

impl<T: Real> Lanes<T> {
    #[inline(always)]
    pub(crate) fn zero() -> Self {
        Self([T::ZERO; LANES])
    }

    #[inline(always)]
    fn zip(mut self, other: Self, f: impl Fn(T, T) -> T) -> Self {
        for i in 0..LANES {
            self.0[i] = f(self.0[i], other.0[i]);
        }
        self
    }

    /// Every number times `factor`.
    #[inline(always)]
    pub(crate) fn scaled(self, factor: T) -> Self {
        self.zip(Self([factor; LANES]), |a, b| a * b)
    }

    /// The sum of the numbers, in their order.
    #[inline(always)]
    pub(crate) fn sum(self) -> T {
        self.0.into_iter().fold(T::ZERO, |sum, x| sum + x)
    }
}

impl<T: Real> Add for Lanes<T> {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
}

impl<T: Real> Sub for Lanes<T> {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
}

impl<T: Real> Mul for Lanes<T> {
    type Output = Self;

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
}

impl<T: Real> Neg for Lanes<T> {
    type Output = Self;

    #[inline(always)]
    fn neg(self) -> Self {
        Self::zero() - self
    }
}

/// `Σ f(a, b)` over two slices of one length: sixteen sums side by side, then the rest.
#[inline(always)]
pub(crate) fn sum_pairs<T: Real>(a: &[T], b: &[T], f: impl Fn(T, T) -> T) -> T {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = Lanes::zero();
    for (a, b) in a.iter().zip(b) {
        sums = sums + Lanes(*a).zip(Lanes(*b), &f);
    }
    let rest = a_rest.iter().zip(b_rest).fold(T::ZERO, |sum, (a, b)| sum + f(*a, *b));
    sums.sum() + rest
}

/// `Σ f(x)` over a slice, in the order of [`sum_pairs`].
#[inline(always)]
pub(crate) fn sum_of<T: Real>(x: &[T], f: impl Fn(T) -> T) -> T {
    sum_pairs(x, x, |x, _| f(x))
}
