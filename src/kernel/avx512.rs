//! Sixteen numbers in AVX-512 registers, for inner loops the compiler does not find by itself.

use std::arch::x86_64::*;

use super::lanes::LANES;

/// A vector of [`LANES`] numbers; all methods need a processor with AVX-512.
pub(crate) trait Vector<T>: Copy {
    /// Zeros.
    ///
    /// # Safety
    /// The processor must have AVX-512.
    unsafe fn zero() -> Self;

    /// The numbers at `from`.
    ///
    /// # Safety
    /// The processor must have AVX-512.
    unsafe fn load(from: &[T; LANES]) -> Self;

    /// Writes the numbers to `to`.
    ///
    /// # Safety
    /// The processor must have AVX-512.
    unsafe fn store(self, to: &mut [T; LANES]);

    /// These numbers plus `factor` times `other`.
    ///
    /// # Safety
    /// The processor must have AVX-512.
    unsafe fn plus_scaled(self, other: Self, factor: T) -> Self;
}

impl Vector<f32> for __m512 {
    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller promises AVX-512.
        unsafe { _mm512_setzero_ps() }
    }

    #[inline(always)]
    unsafe fn load(from: &[f32; LANES]) -> Self {
        // SAFETY: the caller promises AVX-512, and the array has 16 numbers.
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    unsafe fn store(self, to: &mut [f32; LANES]) {
        // SAFETY: the caller promises AVX-512, and the array has 16 numbers.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), self) }
    }

    #[inline(always)]
    unsafe fn plus_scaled(self, other: Self, factor: f32) -> Self {
        // SAFETY: the caller promises AVX-512.
        unsafe { _mm512_fmadd_ps(_mm512_set1_ps(factor), other, self) }
    }
}

impl Vector<f64> for [__m512d; 2] {
    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller promises AVX-512.
        unsafe { [_mm512_setzero_pd(); 2] }
    }

    #[inline(always)]
    unsafe fn load(from: &[f64; LANES]) -> Self {
        // SAFETY: the caller promises AVX-512, and the array has 16 numbers.
        unsafe { [_mm512_loadu_pd(from.as_ptr()), _mm512_loadu_pd(from[8..].as_ptr())] }
    }

    #[inline(always)]
    unsafe fn store(self, to: &mut [f64; LANES]) {
        // SAFETY: the caller promises AVX-512, and the array has 16 numbers.
        unsafe {
            _mm512_storeu_pd(to.as_mut_ptr(), self[0]);
            _mm512_storeu_pd(to[8..].as_mut_ptr(), self[1]);
        }
    }

    #[inline(always)]
    unsafe fn plus_scaled(self, other: Self, factor: f64) -> Self {
        // SAFETY: the caller promises AVX-512.
        unsafe {
            let factor = _mm512_set1_pd(factor);
            let low = _mm512_fmadd_pd(factor, other[0], self[0]);
            [low, _mm512_fmadd_pd(factor, other[1], self[1])]
        }
    }
}
