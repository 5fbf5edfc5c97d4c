// Activation functions, there and back. A thread takes 16 bytes where all lies well.

#define WIDE (16 / (int)sizeof(T))

struct alignas(16) Chunk {
  T values[WIDE];
};

struct Relu {
  __device__ static float of(float x) { return fmaxf(x, 0.0f); }
  __device__ static float slope(float x) { return x > 0.0f ? 1.0f : 0.0f; }
};

// x times the standard normal distribution function.
struct Gelu {
#if HALF
  // With an error of at most 1e-7 (Abramowitz and Stegun 7.1.26), far below that of a half; `bell` is
  // the exponential of -x x / 2, which the slope needs too.
  __device__ static float below(float x, float* bell) {
    // To the base 2.
    *bell = power(-0.72134752f * x * x);
    float t = inverse(fmaf(fabsf(x), 0.23164188f, 1.0f));
    float sum = fmaf(t, 0.5307027145f, -0.7265760135f);
    sum = fmaf(sum, t, 0.7107068705f);
    sum = fmaf(sum, t, -0.142248368f);
    sum = fmaf(sum, t, 0.127414796f);
    float beyond = sum * t * *bell;
    return x < 0.0f ? beyond : 1.0f - beyond;
  }
#else
  __device__ static float below(float x, float* bell) {
    *bell = expf(-0.5f * x * x);
    return 0.5f * (1.0f + erff(x * 0.70710678118654752f));
  }
#endif
  __device__ static float of(float x) {
    float bell;
    return x * below(x, &bell);
  }
  __device__ static float slope(float x) {
    float bell, share = below(x, &bell);
    return share + x * 0.39894228040143268f * bell;
  }
};

__device__ __forceinline__ bool is_even(const void* a, const void* b, const void* c) {
  return (((unsigned long long)a | (unsigned long long)b | (unsigned long long)c) & 15) == 0;
}

template <typename F>
__device__ __forceinline__ void each(const T* x, T* y, long long n) {
  long long first = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * WIDE;
  if (first + WIDE <= n && is_even(x, y, y)) {
    Chunk from = *(const Chunk*)(x + first), to;
#pragma unroll
    for (int at = 0; at < WIDE; at++) put(&to.values[at], F::of(to_float(from.values[at])));
    *(Chunk*)(y + first) = to;
    return;
  }
  for (int at = 0; at < WIDE && first + at < n; at++)
    put(y + first + at, F::of(to_float(x[first + at])));
}

template <typename F>
__device__ __forceinline__ void each_back(const T* x, const T* dy, T* dx, long long n) {
  long long first = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * WIDE;
  if (first + WIDE <= n && is_even(x, dy, dx)) {
    Chunk from = *(const Chunk*)(x + first), slope = *(const Chunk*)(dy + first), to;
#pragma unroll
    for (int at = 0; at < WIDE; at++)
      put(&to.values[at], to_float(slope.values[at]) * F::slope(to_float(from.values[at])));
    *(Chunk*)(dx + first) = to;
    return;
  }
  for (int at = 0; at < WIDE && first + at < n; at++)
    put(dx + first + at, to_float(dy[first + at]) * F::slope(to_float(x[first + at])));
}

KERNEL relu(const T* x, T* y, long long n) { each<Relu>(x, y, n); }

KERNEL relu_back(const T* x, const T* dy, T* dx, long long n) { each_back<Relu>(x, dy, dx, n); }

KERNEL gelu(const T* x, T* y, long long n) { each<Gelu>(x, y, n); }

KERNEL gelu_back(const T* x, const T* dy, T* dx, long long n) { each_back<Gelu>(x, dy, dx, n); }

// What GELU of a sum is worth, or on the way back the gradient of the sum from that of the outcome.
template <bool BACK>
__device__ __forceinline__ float of_sum(float sum, float slope) {
  return BACK ? Gelu::slope(sum) * slope : Gelu::of(sum);
}

// GELU of x plus a number for each column, times drawn factors; or, on the way back, the gradient of
// x from that of the outcome. `kept` has a byte for each chunk: which elements are, written on the
// way there. `parts` [blocks, columns], if it is there, gets the sums of columns of what is made.
template <bool BACK>
__device__ __forceinline__ void of_sums(const T* __restrict__ x, const float* __restrict__ bias,
                                        const T* __restrict__ dy, T* __restrict__ y,
                                        u8* __restrict__ kept, float* __restrict__ parts,
                                        long long n, int columns, u64 state, u64 limit,
                                        float factor) {
  const long long base = (long long)blockIdx.x * SPAN + threadIdx.x * VECTOR;
  u64 piece = limit && !BACK ? piece_of(state, base) : 0;
  if (is_even(x, dy, y) && is_even(bias, bias, bias) && columns % VECTOR == 0) {
    int column = (int)(base - over(base, columns) * columns), step = 256 * VECTOR % columns;
    float sums[VECTOR] = {};
    // Not unrolled: what is executed once has to be fetched as well. The next chunk is on its way
    // while one is worked on.
    uint4 found, slopes = make_uint4(0, 0, 0, 0), after, slopes_after = slopes;
    if (base < n) {
      after = *(const uint4*)(x + base);
      if constexpr (BACK) slopes_after = *(const uint4*)(dy + base);
    }
#pragma unroll 1
    for (int chunk = 0; chunk < CHUNKS; chunk++) {
      long long first = base + chunk * 256 * VECTOR, next = first + 256 * VECTOR;
      if (first >= n) break;
      found = after, slopes = slopes_after;
      if (next < n && chunk + 1 < CHUNKS) {
        after = *(const uint4*)(x + next);
        if constexpr (BACK) slopes_after = *(const uint4*)(dy + next);
      }
      float sum[VECTOR], slope[VECTOR] = {};
      u32 bits = bits_of<BACK>(kept, piece, first, limit);
      unpack(found, sum);
      if constexpr (BACK) unpack(slopes, slope);
      add_columns(sum, bias + column);
#pragma unroll
      for (int at = 0; at < VECTOR; at++)
        sum[at] = of_sum<BACK>(sum[at], slope[at]) * (bits >> at & 1 ? factor : 0.0f);
      write_vector<VECTOR>(y + first, sum);
      if constexpr (BACK)
#pragma unroll
        for (int at = 0; at < VECTOR; at++) sums[at] += sum[at];
      column += step;
      if (column >= columns) column -= columns;
    }
    if constexpr (BACK)
      if (parts) write_columns(sums, parts + (long long)blockIdx.x * columns, columns);
    return;
  }
#pragma unroll 1
  for (int chunk = 0; chunk < CHUNKS; chunk++) {
    long long first = base + chunk * 256 * VECTOR;
    if (first >= n) break;
    u32 bits = bits_of<BACK>(kept, piece, first, limit);
#pragma unroll 1
    for (int at = 0; at < VECTOR && first + at < n; at++) {
      float sum = to_float(x[first + at]) + bias[(first + at) % columns];
      float value = of_sum<BACK>(sum, BACK ? to_float(dy[first + at]) : 0.0f);
      put(y + first + at, value * (bits >> at & 1 ? factor : 0.0f));
    }
  }
}

KERNEL gelu_of_sums(const T* x, const float* bias, T* y, u8* kept, long long n, int columns,
                    long long state, long long limit, float factor) {
  of_sums<false>(x, bias, x, y, kept, nullptr, n, columns, (u64)state, (u64)limit, factor);
}

KERNEL gelu_of_sums_back(const T* x, const float* bias, const T* dy, T* dx, u8* kept, float* parts,
                         long long n, int columns, long long state, long long limit,
                         float factor) {
  of_sums<true>(x, bias, dy, dx, kept, parts, n, columns, (u64)state, (u64)limit, factor);
}
