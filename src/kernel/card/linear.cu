// What a fully connected layer does beside its products.

// Elements that a thread takes at once where they lie well.
#define WIDE (16 / (int)sizeof(T))

struct alignas(16) Chunk {
  T values[WIDE];
};

__device__ __forceinline__ bool is_wide(const void* at, int columns) {
  return columns % WIDE == 0 && ((unsigned long long)at & 15) == 0;
}

// y = y + bias, rectified if `relu`, in place; rows of `columns`. A thread for each chunk.
KERNEL finish(T* y, const float* bias, long long n, int columns, int relu) {
  long long first = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * WIDE;
  if (first >= n) return;
  int column = (int)(first % columns);
  if (is_wide(y, columns)) {
    Chunk chunk = *(Chunk*)(y + first);
#pragma unroll
    for (int at = 0; at < WIDE; at++) {
      float x = to_float(chunk.values[at]) + (bias ? bias[column + at] : 0.0f);
      put(&chunk.values[at], relu ? fmaxf(x, 0.0f) : x);
    }
    *(Chunk*)(y + first) = chunk;
    return;
  }
  for (int at = 0; at < WIDE && first + at < n; at++) {
    float x = to_float(y[first + at]) + (bias ? bias[(column + at) % columns] : 0.0f);
    put(y + first + at, relu ? fmaxf(x, 0.0f) : x);
  }
}

// What of dy passes a rectifier whose output was y.
KERNEL rectified(const T* y, const T* dy, T* to, long long n) {
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) to[i] = to_float(y[i]) > 0.0f ? dy[i] : (T)0;
}

// Numbers rounded to the type of activations.
KERNEL rounded(const float* x, T* to, long long n) {
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) put(to + i, x[i]);
}

// The sums of columns over a share of the rows: blocks of 32 x 8 threads, a row of blocks for each
// share; `to` [shares, columns].
KERNEL column_shares(const T* x, float* to, int rows, int columns, int share) {
  __shared__ float sums[8][33];
  int lane = threadIdx.x & 31, line = threadIdx.x >> 5;
  int column = blockIdx.x * 32 + lane;
  int first = blockIdx.y * share, end = min(first + share, rows);
  float sum = 0.0f;
  if (column < columns)
    for (int row = first + line; row < end; row += 8)
      sum += to_float(x[(long long)row * columns + column]);
  sums[line][lane] = sum;
  __syncthreads();
  if (line == 0 && column < columns) {
    for (int other = 1; other < 8; other++) sum += sums[other][lane];
    to[(long long)blockIdx.y * columns + column] = sum;
  }
}

// The sums of columns of `shares` rows, one after the other.
KERNEL column_totals(const float* x, float* to, int shares, int columns) {
  int column = blockIdx.x * blockDim.x + threadIdx.x;
  if (column >= columns) return;
  float sum = 0.0f;
  for (int share = 0; share < shares; share++) sum += x[(long long)share * columns + column];
  to[column] = sum;
}
