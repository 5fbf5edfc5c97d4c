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

// Elements of an array that a block rounds.
#define ROUNDED 4096

// The same of many arrays; each begins at 16 bytes there and here.
KERNEL rounded_together(const long long* table, int count) {
  Array array = array_of(table, count);
  const float* x = array.from;
  T* to = (T*)array.to;
  int first = array.block * ROUNDED, n = array.rows * array.columns;
  for (int i = first + threadIdx.x * VECTOR; i < min(first + ROUNDED, n); i += blockDim.x * VECTOR) {
    if (i + VECTOR > n) {
      for (int at = i; at < n; at++) put(to + at, x[at]);
      break;
    }
    float found[VECTOR];
#pragma unroll
    for (int at = 0; at < VECTOR; at += 4) {
      float4 four = *(const float4*)(x + i + at);
      found[at] = four.x, found[at + 1] = four.y, found[at + 2] = four.z, found[at + 3] = four.w;
    }
    write_vector<VECTOR>(to + i, found);
  }
}

// The sums of columns over a share of the rows: blocks of 32 threads side by side, each with W columns,
// by 8; a row of blocks for each share; `to` [shares, columns].
template <int W>
__device__ __forceinline__ void column_shares(const T* x, float* to, int rows, int columns,
                                              int share) {
  __shared__ float room[8][32 * W];
  int lane = threadIdx.x & 31, line = threadIdx.x >> 5;
  int column = (blockIdx.x * 32 + lane) * W;
  int first = blockIdx.y * share, end = min(first + share, rows);
  float sums[W] = {};
  if (column < columns) {
#pragma unroll 4
    for (int row = first + line; row < end; row += 8) {
      float found[W];
      read_vector<W>(x + (long long)row * columns + column, found);
#pragma unroll
      for (int at = 0; at < W; at++) sums[at] += found[at];
    }
  }
#pragma unroll
  for (int at = 0; at < W; at++) room[line][lane * W + at] = sums[at];
  __syncthreads();
  for (int at = threadIdx.x; at < 32 * W; at += blockDim.x) {
    int own = blockIdx.x * 32 * W + at;
    if (own >= columns) continue;
    float sum = 0.0f;
    for (int other = 0; other < 8; other++) sum += room[other][at];
    to[(long long)blockIdx.y * columns + own] = sum;
  }
}

KERNEL column_shares_wide(const T* x, float* to, int rows, int columns, int share) {
  column_shares<VECTOR>(x, to, rows, columns, share);
}

KERNEL column_shares_narrow(const T* x, float* to, int rows, int columns, int share) {
  column_shares<1>(x, to, rows, columns, share);
}

// The sums of 32 columns of `shares` rows, by 32 lanes x 32 lines.
__device__ __forceinline__ void totals(const float* x, float* to, int shares, int columns,
                                       int block) {
  __shared__ float sums[32][33];
  int lane = threadIdx.x & 31, line = threadIdx.x >> 5, column = block * 32 + lane;
  float sum = 0.0f;
  if (column < columns)
#pragma unroll 8
    for (int share = line; share < shares; share += 32)
      sum += x[(long long)share * columns + column];
  sums[line][lane] = sum;
  __syncthreads();
  if (line || column >= columns) return;
#pragma unroll
  for (int other = 1; other < 32; other++) sum += sums[other][lane];
  to[column] = sum;
}

KERNEL __launch_bounds__(1024) column_totals(const float* x, float* to, int shares, int columns) {
  totals(x, to, shares, columns, blockIdx.x);
}

KERNEL __launch_bounds__(1024) column_totals_together(const long long* table, int count) {
  Array array = array_of(table, count);
  totals(array.from, (float*)array.to, array.rows, array.columns, array.block);
}
