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

/// `Σ f(a, b, c)` over three slices of one length: sixteen sums side by side, then the rest.
#[inline(always)]
pub(crate) fn sum_triples<T: Real>(a: &[T], b: &[T], c: &[T], f: impl Fn(T, T, T) -> T) -> T {
    let (b, c) = (&b[..a.len()], &c[..a.len()]);
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let (c, c_rest) = c.as_chunks::<LANES>();
    let mut sums = [T::ZERO; LANES];
    for ((a, b), c) in a.iter().zip(b).zip(c) {
        for i in 0..LANES {
            sums[i] += f(a[i], b[i], c[i]);
        }
    }
    let rest = a_rest.iter().zip(b_rest).zip(c_rest);
    Lanes(sums).sum() + rest.fold(T::ZERO, |sum, ((a, b), c)| sum + f(*a, *b, *c))
}

/// `Σ f(a, b)` over two slices of one length, in the order of [`sum_triples`].
#[inline(always)]
pub(crate) fn sum_pairs<T: Real>(a: &[T], b: &[T], f: impl Fn(T, T) -> T) -> T {
    sum_triples(a, b, b, |a, b, _| f(a, b))
}

/// `Σ f(x)` over a slice, in the order of [`sum_triples`].
#[inline(always)]
pub(crate) fn sum_of<T: Real>(x: &[T], f: impl Fn(T) -> T) -> T {
    sum_triples(x, x, x, |x, _, _| f(x))
}

/// The largest element; negative infinity when there is none.
#[inline(always)]
pub(crate) fn largest<T: Real>(x: &[T]) -> T {
    largest_of(x, |x| x)
}

/// The largest `f(x)` over a slice; negative infinity when it is empty.
#[inline(always)]
pub(crate) fn largest_of<T: Real>(x: &[T], f: impl Fn(T) -> T) -> T {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut most = [T::of(f64::NEG_INFINITY); LANES];
    for chunk in chunks {
        for i in 0..LANES {
            most[i] = most[i].larger(f(chunk[i]));
        }
    }
    let rest = rest.iter().map(|x| f(*x));
    most.into_iter().chain(rest).fold(T::of(f64::NEG_INFINITY), Real::larger)
}
