// Arithmetic that is built into CUDA. What is fast and rough there is exact here.
#pragma once

template <class A, class B>
static inline constexpr std::common_type_t<A, B> min(A a, B b) {
  using Common = std::common_type_t<A, B>;
  // Of a number and what is none, the number.
  return (Common)a <= (Common)b || (Common)b != (Common)b ? (Common)a : (Common)b;
}

template <class A, class B>
static inline constexpr std::common_type_t<A, B> max(A a, B b) {
  using Common = std::common_type_t<A, B>;
  return (Common)a >= (Common)b || (Common)b != (Common)b ? (Common)a : (Common)b;
}

// These names are taken by the C library.
#define __expf expf
#define __exp10f exp10f
#define __logf logf
#define __log2f log2f
#define __log10f log10f
#define __sinf sinf
#define __cosf cosf
#define __tanf tanf
#define __tanhf tanhf
#define __powf powf
#define __sincosf sincosf

template <class To, class From>
static inline To pretend_bits(From value) {
  static_assert(sizeof(To) == sizeof(From));
  To bits;
  memcpy(&bits, &value, sizeof(To));
  return bits;
}

// Calls of the C library are slow.
static inline float pretend_most(float a, float b) { return a >= b || b != b ? a : b; }
static inline float pretend_least(float a, float b) { return a <= b || b != b ? a : b; }
#define fmaxf pretend_most
#define fminf pretend_least

#define PRETEND_FUNCTION(result, name, parameter, value) \
  static inline result name(parameter x) { return (result)(value); }
PRETEND_FUNCTION(unsigned, __float_as_uint, float, pretend_bits<unsigned>(x))
PRETEND_FUNCTION(int, __float_as_int, float, pretend_bits<int>(x))
PRETEND_FUNCTION(float, __uint_as_float, unsigned, pretend_bits<float>(x))
PRETEND_FUNCTION(float, __int_as_float, int, pretend_bits<float>(x))
PRETEND_FUNCTION(long long, __double_as_longlong, double, pretend_bits<long long>(x))
PRETEND_FUNCTION(double, __longlong_as_double, long long, pretend_bits<double>(x))
PRETEND_FUNCTION(float, __saturatef, float, x > 0 ? x < 1 ? x : 1 : 0)
PRETEND_FUNCTION(float, rsqrtf, float, 1 / sqrtf(x))
PRETEND_FUNCTION(double, rsqrt, double, 1 / sqrt(x))
PRETEND_FUNCTION(float, rcbrtf, float, 1 / cbrtf(x))
PRETEND_FUNCTION(float, __frcp_rn, float, 1 / x)
PRETEND_FUNCTION(float, __fsqrt_rn, float, sqrtf(x))
PRETEND_FUNCTION(float, __frsqrt_rn, float, 1 / sqrtf(x))
PRETEND_FUNCTION(float, normcdff, float, 0.5 * erfc(-x * M_SQRT1_2))
PRETEND_FUNCTION(double, normcdf, double, 0.5 * erfc(-x * M_SQRT1_2))
PRETEND_FUNCTION(int, __float2int_rn, float, lrintf(x))
PRETEND_FUNCTION(int, __float2int_rz, float, x)
PRETEND_FUNCTION(int, __float2int_rd, float, floorf(x))
PRETEND_FUNCTION(int, __float2int_ru, float, ceilf(x))
PRETEND_FUNCTION(unsigned, __float2uint_rn, float, llrintf(x))
PRETEND_FUNCTION(unsigned, __float2uint_rz, float, x)
PRETEND_FUNCTION(float, __int2float_rn, int, x)
PRETEND_FUNCTION(float, __uint2float_rn, unsigned, x)
PRETEND_FUNCTION(float, __ll2float_rn, long long, x)
PRETEND_FUNCTION(float, __ull2float_rn, unsigned long long, x)
PRETEND_FUNCTION(float, __double2float_rn, double, x)
PRETEND_FUNCTION(int, __popc, unsigned, __builtin_popcount(x))
PRETEND_FUNCTION(int, __popcll, unsigned long long, __builtin_popcountll(x))
PRETEND_FUNCTION(int, __clz, int, x ? __builtin_clz(x) : 32)
PRETEND_FUNCTION(int, __clzll, long long, x ? __builtin_clzll(x) : 64)
PRETEND_FUNCTION(int, __ffs, int, __builtin_ffs(x))
PRETEND_FUNCTION(int, __ffsll, long long, __builtin_ffsll(x))

#define PRETEND_OF_TWO(type, name, value) \
  static inline type name(type a, type b) { return (type)(value); }
PRETEND_OF_TWO(float, __fadd_rn, a + b)
PRETEND_OF_TWO(float, __fsub_rn, a - b)
PRETEND_OF_TWO(float, __fmul_rn, a* b)
PRETEND_OF_TWO(float, __fdiv_rn, a / b)
PRETEND_OF_TWO(float, __fdividef, a / b)
PRETEND_OF_TWO(float, fdividef, a / b)
PRETEND_OF_TWO(int, __mulhi, (long long)a* b >> 32)
PRETEND_OF_TWO(unsigned, __umulhi, (unsigned long long)a* b >> 32)
PRETEND_OF_TWO(long long, __mul64hi, (__int128)a* b >> 64)
PRETEND_OF_TWO(unsigned long long, __umul64hi, (unsigned __int128)a* b >> 64)
PRETEND_OF_TWO(int, __mul24, (a << 8 >> 8) * (b << 8 >> 8))
PRETEND_OF_TWO(unsigned, __umul24, (a & 0xffffff) * (b & 0xffffff))
#undef PRETEND_FUNCTION
#undef PRETEND_OF_TWO

static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }

static inline unsigned __brev(unsigned x) {
  unsigned all = 0;
  for (int bit = 0; bit < 32; bit++) all |= (x >> bit & 1u) << (31 - bit);
  return all;
}

static inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned by) {
  return (unsigned)((((unsigned long long)high << 32 | low) << (by & 31)) >> 32);
}

static inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned by) {
  return (unsigned)(((unsigned long long)high << 32 | low) >> (by & 31));
}

static inline unsigned __byte_perm(unsigned a, unsigned b, unsigned which) {
  unsigned long long both = (unsigned long long)b << 32 | a;
  unsigned all = 0;
  for (int byte = 0; byte < 4; byte++)
    all |= (unsigned)(both >> (8 * (which >> (4 * byte) & 7)) & 255) << (8 * byte);
  return all;
}

#define PRETEND_LOAD(name)         \
  template <class T>               \
  static inline T name(const T* at) { \
    return *at;                    \
  }
PRETEND_LOAD(__ldg)
PRETEND_LOAD(__ldca)
PRETEND_LOAD(__ldcg)
PRETEND_LOAD(__ldcs)
PRETEND_LOAD(__ldlu)
PRETEND_LOAD(__ldcv)
#undef PRETEND_LOAD

#define PRETEND_STORE(name)                                       \
  template <class T>                                              \
  static inline void name(T* at, std::common_type_t<T> value) {   \
    *at = value;                                                  \
  }
PRETEND_STORE(__stwb)
PRETEND_STORE(__stcg)
PRETEND_STORE(__stcs)
PRETEND_STORE(__stwt)
#undef PRETEND_STORE
