// Tokens: embedded patches with one more before them, and positions added.

#define WIDE (16 / (int)sizeof(T))

struct alignas(16) Chunk {
  T values[WIDE];
};

// y [samples, tokens, width] of x [samples, tokens - 1, width]; a thread for WIDE elements, which
// are of one token if `is_wide`.
KERNEL tokens(const T* x, const float* before, const float* positions, T* y, long long n, int tokens,
              int width, int is_wide) {
  long long first = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * WIDE;
  if (is_wide && first < n) {
    int column = (int)(first % width), token = (int)(first / width % tokens);
    long long from = first - (first / width / tokens + 1) * width;
    Chunk chunk = {};
    if (token > 0) chunk = *(const Chunk*)(x + from);
#pragma unroll
    for (int at = 0; at < WIDE; at++) {
      float own = token > 0 ? to_float(chunk.values[at]) : before[column + at];
      put(&chunk.values[at], own + positions[token * width + column + at]);
    }
    *(Chunk*)(y + first) = chunk;
    return;
  }
  for (long long i = first; i < first + WIDE && i < n; i++) {
    int column = (int)(i % width), token = (int)(i / width % tokens);
    float own = token > 0 ? to_float(x[i - (i / width / tokens + 1) * width]) : before[column];
    put(y + i, own + positions[token * width + column]);
  }
}

// What of dy [samples, tokens, width] is of all tokens but the first, n elements of it.
KERNEL tokens_back(const T* dy, T* dx, long long n, int tokens, int width, int is_wide) {
  long long first = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * WIDE;
  if (is_wide && first < n) {
    long long from = first + (first / width / (tokens - 1) + 1) * width;
    *(Chunk*)(dx + first) = *(const Chunk*)(dy + from);
    return;
  }
  for (long long i = first; i < first + WIDE && i < n; i++)
    dx[i] = dy[i + (i / width / (tokens - 1) + 1) * width];
}
