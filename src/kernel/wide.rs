//! Plain loops compiled for the widest vector unit the processor has.

/// Declares a function that runs as AVX-512 or AVX2 code where the processor has it.
///
/// What it calls is part of that code only if it is inlined, so small functions that inner loops
/// call are `#[inline(always)]`. The compiler does not fuse multiplications into additions on its
/// own, so every version gives the same bits.
macro_rules! wide {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident$(<$real:ident: Real $(, const $size:ident: $kind:ty)*>)?(
            $($argument:ident: $type:ty),* $(,)?
        ) $(-> $result:ty)? $body:block
    ) => {
        $(#[$meta])*
        $vis fn $name$(<$real: Real $(, const $size: $kind)*>)?(
            $($argument: $type),*
        ) $(-> $result)? {
            #[inline(always)]
            fn plain$(<$real: Real $(, const $size: $kind)*>)?(
                $($argument: $type),*
            ) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512dq,fma")]
            fn avx512$(<$real: Real $(, const $size: $kind)*>)?(
                $($argument: $type),*
            ) $(-> $result)? {
                plain$(::<$real $(, $size)*>)?($($argument),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2$(<$real: Real $(, const $size: $kind)*>)?(
                $($argument: $type),*
            ) $(-> $result)? {
                plain$(::<$real $(, $size)*>)?($($argument),*)
            }

            #[cfg(target_arch = "x86_64")]
            {
                if $crate::kernel::wide::has_avx512() {
                    // SAFETY: the features were just detected.
                    return unsafe { avx512$(::<$real $(, $size)*>)?($($argument),*) };
                }
                if $crate::kernel::wide::has_avx2() {
                    // SAFETY: the features were just detected.
                    return unsafe { avx2$(::<$real $(, $size)*>)?($($argument),*) };
                }
            }
            plain$(::<$real $(, $size)*>)?($($argument),*)
        }
    };
}
pub(crate) use wide;

#[cfg(target_arch = "x86_64")]
pub(crate) fn has_avx512() -> bool {
    std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512dq")
        && std::arch::is_x86_feature_detected!("fma")
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn has_avx512() -> bool {
    false
}

#[cfg(target_arch = "x86_64")]
pub(crate) fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
}
