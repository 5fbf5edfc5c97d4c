// Tokens: patches of images; embedded ones with one more before them, and positions added; and the
// first alone.

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
    long long row = over(first, width), sample = over(row, tokens);
    int column = (int)(first - row * width), token = (int)(row - sample * tokens);
    long long from = first - (sample + 1) * width;
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
    long long from = first + (over(over(first, width), tokens - 1) + 1) * width;
    *(Chunk*)(dx + first) = *(const Chunk*)(dy + from);
    return;
  }
  for (long long i = first; i < first + WIDE && i < n; i++)
    dx[i] = dy[i + (i / width / (tokens - 1) + 1) * width];
}

// n elements of patches [samples, down, across, side, side, channels] of images.
KERNEL patches(const T* x, T* y, long long n, int height, int width, int channels, int side) {
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  int down = height / side, across = width / side, size = side * side * channels;
  long long patch = over(i, size), row = over(patch, across), image = over(row, down);
  int within = (int)(i - patch * size), run = side * channels, line = within / run;
  int y_at = (int)(row - image * down) * side + line, x_at = (int)(patch - row * across) * side;
  y[i] = x[((image * height + y_at) * width + x_at) * channels + within - line * run];
}

// The first token of each sample, n elements of them.
KERNEL first(const T* x, T* y, long long n, int tokens, int width) {
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  long long sample = over(i, width);
  y[i] = x[sample * tokens * width + i - sample * width];
}

// The gradient of all tokens, n elements, from that of the first.
KERNEL first_back(const T* dy, T* dx, long long n, int tokens, int width, int is_wide) {
  long long first = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * WIDE;
  if (is_wide && first < n) {
    long long token = over(first, width), sample = over(token, tokens);
    Chunk chunk = {};
    if (token == sample * tokens)
      chunk = *(const Chunk*)(dy + sample * width + first - token * width);
    *(Chunk*)(dx + first) = chunk;
    return;
  }
  for (long long i = first; i < first + WIDE && i < n; i++) {
    long long token = i / width;
    dx[i] = token % tokens == 0 ? dy[token / tokens * width + i % width] : (T)0;
  }
}
