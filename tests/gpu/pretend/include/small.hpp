// Numbers of 16 bits, whose arithmetic is that of floats rounded afterwards; and those of 8 bits, which can be
// copied and no more. For candle's kernels: those of this crate have bf16 numbers as their bits.
#pragma once

#define __NV_E4M3 0

namespace pretend {

struct Brain {
  static float from(unsigned short bits) { return __uint_as_float((unsigned)bits << 16); }
  static unsigned short to(float x) {
    unsigned bits = __float_as_uint(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (unsigned short)(bits >> 16 | 0x40u);
    return (unsigned short)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
  }
};

struct Half {
  static float from(unsigned short bits) { return (float)pretend_bits<_Float16>(bits); }
  static unsigned short to(float x) { return pretend_bits<unsigned short>((_Float16)x); }
};

template <class Format>
struct Small {
  unsigned short bits;

  Small() = default;
  template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>>
  Small(T value) : bits(Format::to((float)value)) {}
  operator float() const { return Format::from(bits); }

  Small operator-() const { return -(float)*this; }
  friend Small operator+(Small a, Small b) { return (float)a + (float)b; }
  friend Small operator-(Small a, Small b) { return (float)a - (float)b; }
  friend Small operator*(Small a, Small b) { return (float)a * (float)b; }
  friend Small operator/(Small a, Small b) { return (float)a / (float)b; }
  friend bool operator==(Small a, Small b) { return (float)a == (float)b; }
  friend bool operator!=(Small a, Small b) { return (float)a != (float)b; }
  friend bool operator<(Small a, Small b) { return (float)a < (float)b; }
  friend bool operator<=(Small a, Small b) { return (float)a <= (float)b; }
  friend bool operator>(Small a, Small b) { return (float)a > (float)b; }
  friend bool operator>=(Small a, Small b) { return (float)a >= (float)b; }
  Small& operator+=(Small b) { return *this = *this + b; }
  Small& operator-=(Small b) { return *this = *this - b; }
  Small& operator*=(Small b) { return *this = *this * b; }
  Small& operator/=(Small b) { return *this = *this / b; }
};

template <class T>
struct alignas(4) Two {
  T x, y;
};

}  // namespace pretend

using __nv_bfloat16 = pretend::Small<pretend::Brain>;
using __half = pretend::Small<pretend::Half>;
using __nv_bfloat162 = pretend::Two<__nv_bfloat16>;
using __half2 = pretend::Two<__half>;

static inline float __bfloat162float(__nv_bfloat16 x) { return x; }
static inline __nv_bfloat16 __float2bfloat16(float x) { return x; }
static inline __nv_bfloat16 __float2bfloat16_rn(float x) { return x; }
static inline float __half2float(__half x) { return x; }
static inline __half __float2half(float x) { return x; }
static inline unsigned short __half_as_ushort(__half x) { return x.bits; }
static inline __half __ushort_as_half(unsigned short bits) { return pretend_bits<__half>(bits); }

#define PRETEND_SMALL(name, value)                                          \
  template <class F>                                                        \
  static inline pretend::Small<F> name(pretend::Small<F> x) {               \
    return value;                                                           \
  }
PRETEND_SMALL(hsqrt, sqrtf(x))
PRETEND_SMALL(hcos, cosf(x))
PRETEND_SMALL(hsin, sinf(x))
PRETEND_SMALL(hlog, logf(x))
PRETEND_SMALL(hexp, expf(x))
PRETEND_SMALL(__habs, fabsf(x))
#undef PRETEND_SMALL

template <class F>
static inline bool __hisnan(pretend::Small<F> x) {
  return x != x;
}

template <class F>
static inline pretend::Small<F> __hmax_nan(pretend::Small<F> a, pretend::Small<F> b) {
  return a != a || a > b ? a : b;
}

template <class F>
static inline pretend::Small<F> __hmin_nan(pretend::Small<F> a, pretend::Small<F> b) {
  return a != a || a < b ? a : b;
}

template <class T>
static inline pretend::Two<T> __hadd2(pretend::Two<T> a, pretend::Two<T> b) {
  return {a.x + b.x, a.y + b.y};
}

template <class T>
static inline pretend::Two<T> __hmul2(pretend::Two<T> a, pretend::Two<T> b) {
  return {a.x * b.x, a.y * b.y};
}

struct __nv_fp8_e4m3 {
  unsigned char __x;
  __nv_fp8_e4m3() = default;
  template <class T>
  explicit __nv_fp8_e4m3(T) {
    __trap();
  }
};

static inline __half __nv_cvt_fp8_to_halfraw(unsigned char, int) {
  __trap();
  return 0;
}

namespace cuda {
namespace std {
using ::std::numeric_limits;
}
}  // namespace cuda
