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
  __device__ static float below(float x) { return 0.5f * (1.0f + erff(x * 0.70710678118654752f)); }
  __device__ static float of(float x) { return x * below(x); }
  __device__ static float slope(float x) {
    return below(x) + x * 0.39894228040143268f * expf(-0.5f * x * x);
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

// GELU of x plus a number for each column, times drawn factors; or the gradient of x, where there is
// one of the outcome.
KERNEL gelu_of_sums(const T* x, const float* bias, const T* dy, T* y, long long n, int columns,
                    long long state, long long limit, float kept) {
  long long first = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * WIDE;
  if (first >= n) return;
  bool is_whole = first + WIDE <= n && is_even(x, dy, y);
  Chunk chunk, slope;
  if (is_whole) {
    chunk = *(const Chunk*)(x + first);
    if (dy) slope = *(const Chunk*)(dy + first);
  } else {
    for (int at = 0; at < WIDE && first + at < n; at++) {
      chunk.values[at] = x[first + at];
      if (dy) slope.values[at] = dy[first + at];
    }
  }
  u64 piece = piece_of((u64)state, first);
  int column = (int)(first % columns);
#pragma unroll
  for (int at = 0; at < WIDE; at++) {
    if (first + at >= n) break;
    float sum = to_float(chunk.values[at]) + bias[column];
    float factor = limit && is_out(piece, first + at, (u64)limit) ? 0.0f : kept;
    float value = dy ? Gelu::slope(sum) * to_float(slope.values[at]) : Gelu::of(sum);
    put(&chunk.values[at], value * factor);
    column = column + 1 == columns ? 0 : column + 1;
  }
  if (is_whole) {
    *(Chunk*)(y + first) = chunk;
    return;
  }
  for (int at = 0; at < WIDE && first + at < n; at++) y[first + at] = chunk.values[at];
}
