// Normalisation of rows. A warp takes a row at a time and keeps it in registers where it is short
// and lies well (`layer_norm_1` to `_4`, named for the chunks of a lane); a block takes a row
// otherwise (`_any`). Blocks go on to further rows, so that parameters are read once and the sums of
// their gradients are few.

#define WIDE (16 / (int)sizeof(T))

struct alignas(16) Chunk {
  T values[WIDE];
};

// The first column of a lane's chunk.
__device__ __forceinline__ int column_of(int chunk) {
  return (chunk * 32 + (int)(threadIdx.x & 31)) * WIDE;
}

template <int CHUNKS>
__device__ __forceinline__ void load(const T* row, int channels, float (&to)[CHUNKS][WIDE]) {
#pragma unroll
  for (int chunk = 0; chunk < CHUNKS; chunk++) {
    int column = column_of(chunk);
    bool is_inside = column < channels;
    Chunk from = {};
    if (is_inside) from = *(const Chunk*)(row + column);
#pragma unroll
    for (int at = 0; at < WIDE; at++) to[chunk][at] = to_float(from.values[at]);
  }
}

template <int CHUNKS>
__device__ __forceinline__ void store(T* row, int channels, const float (&from)[CHUNKS][WIDE]) {
#pragma unroll
  for (int chunk = 0; chunk < CHUNKS; chunk++) {
    int column = column_of(chunk);
    if (column >= channels) continue;
    Chunk to;
#pragma unroll
    for (int at = 0; at < WIDE; at++) put(&to.values[at], from[chunk][at]);
    *(Chunk*)(row + column) = to;
  }
}

// Parameters of a lane's columns, 0 behind the last.
template <int CHUNKS>
__device__ __forceinline__ void spread(const float* from, int channels, float (&to)[CHUNKS][WIDE]) {
#pragma unroll
  for (int chunk = 0; chunk < CHUNKS; chunk++) {
    int column = column_of(chunk);
#pragma unroll
    for (int at = 0; at < WIDE; at++) to[chunk][at] = column < channels ? from[column + at] : 0.0f;
  }
}

// Turns a row into its normalised one; gives the inverse of its deviation.
template <int CHUNKS>
__device__ __forceinline__ float normalize(float (&x)[CHUNKS][WIDE], int channels, float epsilon) {
  float sum = 0.0f, square = 0.0f;
#pragma unroll
  for (int chunk = 0; chunk < CHUNKS; chunk++)
#pragma unroll
    for (int at = 0; at < WIDE; at++) sum += x[chunk][at];
  float mean = warp_sum(sum) / (float)channels;
#pragma unroll
  for (int chunk = 0; chunk < CHUNKS; chunk++) {
    bool is_inside = column_of(chunk) < channels;
#pragma unroll
    for (int at = 0; at < WIDE; at++) {
      x[chunk][at] = is_inside ? x[chunk][at] - mean : 0.0f;
      square += x[chunk][at] * x[chunk][at];
    }
  }
  float inverse = 1.0f / sqrtf(warp_sum(square) / (float)channels + epsilon);
#pragma unroll
  for (int chunk = 0; chunk < CHUNKS; chunk++)
#pragma unroll
    for (int at = 0; at < WIDE; at++) x[chunk][at] *= inverse;
  return inverse;
}

template <int CHUNKS>
__device__ __forceinline__ void forward(const T* x, const float* scale, const float* shift, T* y,
                                        int rows, int channels, float epsilon) {
  float scales[CHUNKS][WIDE], shifts[CHUNKS][WIDE], row[CHUNKS][WIDE];
  spread(scale, channels, scales);
  spread(shift, channels, shifts);
  int warps = blockDim.x >> 5, step = gridDim.x * warps;
  for (int at = blockIdx.x * warps + (threadIdx.x >> 5); at < rows; at += step) {
    load(x + (long long)at * channels, channels, row);
    normalize(row, channels, epsilon);
#pragma unroll
    for (int chunk = 0; chunk < CHUNKS; chunk++)
#pragma unroll
      for (int i = 0; i < WIDE; i++)
        row[chunk][i] = row[chunk][i] * scales[chunk][i] + shifts[chunk][i];
    store(y + (long long)at * channels, channels, row);
  }
}

// Adds up what the warps of a block have for each column, one warp after the other, and writes it.
template <int CHUNKS>
__device__ __forceinline__ void gather(const float (&own)[CHUNKS][WIDE], float* sums, float* to,
                                       int channels) {
  int warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
  for (int turn = 0; turn < warps; turn++) {
    __syncthreads();
    if (warp != turn) continue;
#pragma unroll
    for (int chunk = 0; chunk < CHUNKS; chunk++) {
      int column = column_of(chunk);
      if (column >= channels) continue;
#pragma unroll
      for (int at = 0; at < WIDE; at++)
        sums[column + at] = own[chunk][at] + (turn ? sums[column + at] : 0.0f);
    }
  }
  __syncthreads();
  for (int column = threadIdx.x; column < channels; column += blockDim.x)
    to[column] = sums[column];
}

// `parts` [blocks, 2, channels] gets the sums of the gradients of scale and shift.
template <int CHUNKS>
__device__ __forceinline__ void backward(const T* x, const T* dy, const float* scale, T* dx,
                                         float* parts, int rows, int channels, float epsilon) {
  __shared__ float sums[CHUNKS * 32 * WIDE];
  float scales[CHUNKS][WIDE], row[CHUNKS][WIDE], slope[CHUNKS][WIDE];
  float dscale[CHUNKS][WIDE] = {}, dshift[CHUNKS][WIDE] = {};
  spread(scale, channels, scales);
  int warps = blockDim.x >> 5, step = gridDim.x * warps;
  for (int at = blockIdx.x * warps + (threadIdx.x >> 5); at < rows; at += step) {
    load(x + (long long)at * channels, channels, row);
    load(dy + (long long)at * channels, channels, slope);
    float inverse = normalize(row, channels, epsilon), mean = 0.0f, product = 0.0f;
#pragma unroll
    for (int chunk = 0; chunk < CHUNKS; chunk++)
#pragma unroll
      for (int i = 0; i < WIDE; i++) {
        float dy = slope[chunk][i], x = row[chunk][i];
        dscale[chunk][i] += dy * x;
        dshift[chunk][i] += dy;
        slope[chunk][i] = dy * scales[chunk][i];
        mean += slope[chunk][i];
        product += slope[chunk][i] * x;
      }
    mean = warp_sum(mean) / (float)channels;
    product = warp_sum(product) / (float)channels;
#pragma unroll
    for (int chunk = 0; chunk < CHUNKS; chunk++)
#pragma unroll
      for (int i = 0; i < WIDE; i++)
        row[chunk][i] = (slope[chunk][i] - mean - row[chunk][i] * product) * inverse;
    store(dx + (long long)at * channels, channels, row);
  }
  float* to = parts + (long long)blockIdx.x * 2 * channels;
  gather(dscale, sums, to, channels);
  gather(dshift, sums, to + channels, channels);
}

#define OF(CHUNKS)                                                                              \
  KERNEL layer_norm_##CHUNKS(const T* x, const float* scale, const float* shift, T* y, int rows, \
                             int channels, float epsilon) {                                      \
    forward<CHUNKS>(x, scale, shift, y, rows, channels, epsilon);                                \
  }                                                                                              \
  KERNEL layer_norm_back_##CHUNKS(const T* x, const T* dy, const float* scale, T* dx,            \
                                  float* parts, int rows, int channels, float epsilon) {         \
    backward<CHUNKS>(x, dy, scale, dx, parts, rows, channels, epsilon);                          \
  }

OF(1)
OF(2)
OF(4)

// The mean of a row and the inverse of its deviation, by a whole block.
__device__ __forceinline__ float2 statistics(const T* row, int channels, float epsilon,
                                             float* room) {
  float sum = 0.0f, square = 0.0f;
  for (int c = threadIdx.x; c < channels; c += blockDim.x) sum += to_float(row[c]);
  float mean = block_sum(sum, room) / (float)channels;
  for (int c = threadIdx.x; c < channels; c += blockDim.x) {
    float x = to_float(row[c]) - mean;
    square += x * x;
  }
  float variance = block_sum(square, room) / (float)channels;
  return make_float2(mean, 1.0f / sqrtf(variance + epsilon));
}

KERNEL layer_norm_any(const T* x, const float* scale, const float* shift, T* y, int rows,
                      int channels, float epsilon) {
  __shared__ float room[32];
  for (int at = blockIdx.x; at < rows; at += gridDim.x) {
    const T* row = x + (long long)at * channels;
    float2 of = statistics(row, channels, epsilon, room);
    for (int c = threadIdx.x; c < channels; c += blockDim.x)
      put(y + (long long)at * channels + c, (to_float(row[c]) - of.x) * of.y * scale[c] + shift[c]);
  }
}

// A thread adds up the gradients of its own columns in shared memory, [2, channels].
KERNEL layer_norm_back_any(const T* x, const T* dy, const float* scale, T* dx, float* parts,
                           int rows, int channels, float epsilon) {
  extern __shared__ float sums[];
  __shared__ float room[32];
  for (int c = threadIdx.x; c < channels; c += blockDim.x) sums[c] = sums[channels + c] = 0.0f;
  for (int at = blockIdx.x; at < rows; at += gridDim.x) {
    long long first = (long long)at * channels;
    float2 of = statistics(x + first, channels, epsilon, room);
    float mean = 0.0f, product = 0.0f;
    for (int c = threadIdx.x; c < channels; c += blockDim.x) {
      float unit = (to_float(x[first + c]) - of.x) * of.y, slope = to_float(dy[first + c]);
      sums[c] += slope * unit;
      sums[channels + c] += slope;
      mean += slope * scale[c];
      product += slope * scale[c] * unit;
    }
    mean = block_sum(mean, room) / (float)channels;
    product = block_sum(product, room) / (float)channels;
    for (int c = threadIdx.x; c < channels; c += blockDim.x) {
      float unit = (to_float(x[first + c]) - of.x) * of.y;
      put(dx + first + c, (to_float(dy[first + c]) * scale[c] - mean - unit * product) * of.y);
    }
  }
  float* to = parts + (long long)blockIdx.x * 2 * channels;
  for (int c = threadIdx.x; c < channels; c += blockDim.x) {
    to[c] = sums[c];
    to[channels + c] = sums[channels + c];
  }
}

// The sums of columns of `parts` rows: blocks of 32 columns x 16 lines.
KERNEL totals(const float* x, float* to, int parts, int columns) {
  __shared__ float sums[16][33];
  int lane = threadIdx.x & 31, line = threadIdx.x >> 5, column = blockIdx.x * 32 + lane;
  float sum = 0.0f;
  if (column < columns)
    for (int part = line; part < parts; part += 16) sum += x[(long long)part * columns + column];
  sums[line][lane] = sum;
  __syncthreads();
  if (line || column >= columns) return;
  for (int other = 1; other < 16; other++) sum += sums[other][lane];
  to[column] = sum;
}
