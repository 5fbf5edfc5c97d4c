//! Plain loops compiled for the widest vector unit the processor has.

/// Runs `work` in code compiled for AVX-512 or AVX2 where the processor has it.
///
/// `work` is a function marked `#[inline(always)]`, as are those it calls: only what is inlined
/// here is compiled for the wider unit, and a closure may not be. The compiler does not fuse
/// multiplications into additions on its own, so every version gives the same bits unless it says
/// [`fused`](super::real::Real::fused).
#[inline(always)]
pub(crate) fn wide<A, R>(work: impl FnOnce(A) -> R, arguments: A) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        if has_avx512() {
            // SAFETY: the features were just detected.
            return unsafe { avx512(work, arguments) };
        }
        if has_avx2() {
            // SAFETY: the features were just detected.
            return unsafe { avx2(work, arguments) };
        }
    }
    work(arguments)
}

/// Whether wide code multiplies and adds in one instruction.
pub(crate) fn fuses() -> bool {
    #[cfg(target_arch = "x86_64")]
    return has_avx512() || has_avx2();
    #[cfg(not(target_arch = "x86_64"))]
    return cfg!(target_arch = "aarch64");
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512dq")
        && std::arch::is_x86_feature_detected!("fma")
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,fma")]
fn avx512<A, R>(work: impl FnOnce(A) -> R, arguments: A) -> R {
    work(arguments)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<A, R>(work: impl FnOnce(A) -> R, arguments: A) -> R {
    work(arguments)
}
