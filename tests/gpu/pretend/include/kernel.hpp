// What CUDA's compilers know without being told, for a compiler of C++. Read before every file of kernels.
#pragma once

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <limits>
#include <type_traits>

#include "../module.hpp"

namespace pretend {
static Place place;
static Hooks hooks;
}  // namespace pretend

#define PRETEND 1
#define __CUDACC_VER_MAJOR__ 13
#define __CUDACC_VER_MINOR__ 0

#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __launch_bounds__(...)
#define __maxnreg__(...)
// Marks that the compile script looks for.
#define __global__ __attribute__((noinline, pretend_kernel))
#define __shared__ __attribute__((used, pretend_shared)) thread_local
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __builtin_assume(fact) ((void)0)
#define __builtin_assume_aligned(at, ...) (at)

#define threadIdx (::pretend::place.thread)
#define blockIdx (::pretend::place.block)
#define blockDim (::pretend::place.threads)
#define gridDim (::pretend::place.blocks)
#define warpSize 32

#undef assert
#define assert(fact) \
  ((fact) ? (void)0 : ::pretend::hooks.fail("an assertion fails: " #fact, __FILE__, __LINE__))
#define __trap() ::pretend::hooks.fail("a trap", __FILE__, __LINE__)

#include "vectors.hpp"
#include "warps.hpp"
#include "arithmetic.hpp"
#ifdef CANDLE
#include "small.hpp"
#endif
#include "checks.hpp"
#include "table.hpp"
