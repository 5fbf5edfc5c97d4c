// Normalisation of rows. A warp takes a row at a time and keeps it in registers where it is short
// and lies well (`layer_norm_1` to `_4`, named for the chunks of a lane); a block takes a row
// otherwise (`_any`). Blocks go on to further rows, so that parameters are read once and the sums of
// their gradients are few.

#define WIDE (16 / (int)sizeof(T))

// The first column of a lane's chunk.
__device__ __forceinline__ int column_of(int chunk) {
  return (chunk * 32 + (int)(threadIdx.x & 31)) * WIDE;
}

// A lane's chunks of a row as they lie, 0 behind the last column.
template <int PIECES>
struct Row {
  uint4 chunks[PIECES];

  __device__ __forceinline__ Row(const T* row, int channels) {
#pragma unroll
    for (int chunk = 0; chunk < PIECES; chunk++) {
      int column = column_of(chunk);
      chunks[chunk] = make_uint4(0, 0, 0, 0);
      if (column < channels) chunks[chunk] = *(const uint4*)(row + column);
    }
  }

  __device__ __forceinline__ void read(float (&to)[PIECES][WIDE]) const {
#pragma unroll
    for (int chunk = 0; chunk < PIECES; chunk++) unpack(chunks[chunk], to[chunk]);
  }
};

template <int PIECES>
__device__ __forceinline__ void store(T* row, int channels, const float (&from)[PIECES][WIDE]) {
#pragma unroll
  for (int chunk = 0; chunk < PIECES; chunk++) {
    int column = column_of(chunk);
    if (column < channels) write_vector<WIDE>(row + column, from[chunk]);
  }
}

// Parameters of a lane's columns, 0 behind the last.
template <int PIECES>
__device__ __forceinline__ void spread(const float* from, int channels, float (&to)[PIECES][WIDE]) {
  bool is_even = ((u64)from & 15) == 0;
#pragma unroll
  for (int chunk = 0; chunk < PIECES; chunk++) {
    int column = column_of(chunk);
#pragma unroll
    for (int at = 0; at < WIDE; at++) to[chunk][at] = 0.0f;
    if (column >= channels) continue;
    if (is_even) add_columns(to[chunk], from + column);
    else
      for (int at = 0; at < WIDE; at++) to[chunk][at] = from[column + at];
  }
}

// Sums of warps at once: the reductions of all go on beside each other.
template <int N>
__device__ __forceinline__ void warp_sums(float (&x)[N]) {
#pragma unroll
  for (int by = 16; by > 0; by >>= 1)
#pragma unroll
    for (int i = 0; i < N; i++) x[i] += __shfl_xor_sync(FULL, x[i], by);
}

// Turns a row into distances from its first number, 0 behind the last, and adds them and their
// squares to the first two sums.
template <int PIECES, int N>
__device__ __forceinline__ void distances(float (&x)[PIECES][WIDE], int channels, float (&sums)[N]) {
  float origin = __shfl_sync(FULL, x[0][0], 0);
#pragma unroll
  for (int chunk = 0; chunk < PIECES; chunk++) {
    bool is_inside = column_of(chunk) < channels;
#pragma unroll
    for (int at = 0; at < WIDE; at++) {
      float distance = is_inside ? x[chunk][at] - origin : 0.0f;
      x[chunk][at] = distance;
      sums[0] += distance;
      sums[1] += distance * distance;
    }
  }
}

// Of a row of distances, from the sums of them and of their squares, the mean and the inverse of the
// deviation; and, if there are sums of scaled slopes and of products of both too, the mean product of
// scaled slopes and normalised numbers. Among floats a first number far from all others would leave
// little of the last two, so they are added up anew.
template <int PIECES, int N>
__device__ __forceinline__ float3 moments(const float (&row)[PIECES][WIDE],
                                          const float (&slopes)[PIECES][WIDE],
                                          const float (&scales)[PIECES][WIDE],
                                          const float (&sums)[N], int channels, float epsilon) {
  float share = inverse((float)channels), mean = sums[0] * share;
  float centred[2] = {fmaxf(sums[1] - mean * sums[0], 0.0f), 0.0f};
  if constexpr (N == 4) centred[1] = sums[3] - mean * sums[2];
  if constexpr (sizeof(T) == 4) {
    centred[0] = centred[1] = 0.0f;
#pragma unroll
    for (int chunk = 0; chunk < PIECES; chunk++) {
      bool is_inside = column_of(chunk) < channels;
#pragma unroll
      for (int at = 0; at < WIDE; at++) {
        float distance = is_inside ? row[chunk][at] - mean : 0.0f;
        centred[0] += distance * distance;
        if constexpr (N == 4) centred[1] += distance * (slopes[chunk][at] * scales[chunk][at]);
      }
    }
    warp_sums(centred);
  }
  float r = rsqrtf(centred[0] * share + epsilon);
  return make_float3(mean, r, centred[1] * r * share);
}

template <int PIECES>
__device__ __forceinline__ void forward(const T* x, const float* scale, const float* shift, T* y,
                                        int rows, int channels, float epsilon) {
  float scales[PIECES][WIDE], shifts[PIECES][WIDE], row[PIECES][WIDE];
  spread(scale, channels, scales);
  spread(shift, channels, shifts);
  int warps = blockDim.x >> 5, step = gridDim.x * warps;
  int at = blockIdx.x * warps + (threadIdx.x >> 5);
  if (at >= rows) return;
  Row<PIECES> next(x + (long long)at * channels, channels);
  for (; at < rows; at += step) {
    next.read(row);
    // While this row is worked on, the next is on its way.
    if (at + step < rows) next = Row<PIECES>(x + (long long)(at + step) * channels, channels);
    float sums[2] = {};
    distances(row, channels, sums);
    warp_sums(sums);
    float3 of = moments(row, row, scales, sums, channels, epsilon);
#pragma unroll
    for (int chunk = 0; chunk < PIECES; chunk++)
#pragma unroll
      for (int i = 0; i < WIDE; i++)
        row[chunk][i] = (row[chunk][i] - of.x) * of.y * scales[chunk][i] + shifts[chunk][i];
    store(y + (long long)at * channels, channels, row);
  }
}

// Adds up what the warps of a block have for each column, and writes it; `room` has a row for each.
template <int PIECES>
__device__ __forceinline__ void gather(const float (&own)[PIECES][WIDE],
                                       float (*room)[PIECES * 32 * WIDE], float* to, int channels) {
  __syncthreads();
#pragma unroll
  for (int chunk = 0; chunk < PIECES; chunk++)
#pragma unroll
    for (int at = 0; at < WIDE; at++) room[threadIdx.x >> 5][column_of(chunk) + at] = own[chunk][at];
  __syncthreads();
  for (int column = threadIdx.x; column < channels; column += blockDim.x) {
    float sum = 0.0f;
    for (int warp = 0; warp < 8; warp++) sum += room[warp][column];
    to[column] = sum;
  }
}

// The gradient of x, with what is known of it added if anything is; `parts` [blocks, 2, channels] gets
// the sums of the gradients of scale and shift.
template <int PIECES>
__device__ __forceinline__ void backward(const T* x, const T* dy, const T* known,
                                         const float* scale, T* dx, float* parts, int rows,
                                         int channels, float epsilon) {
  __shared__ __align__(16) float room[8][PIECES * 32 * WIDE];
  float scales[PIECES][WIDE], row[PIECES][WIDE], slope[PIECES][WIDE];
  float dscale[PIECES][WIDE] = {}, dshift[PIECES][WIDE] = {};
  spread(scale, channels, scales);
  int step = gridDim.x * 8, at = blockIdx.x * 8 + (threadIdx.x >> 5);
  const long long first = (long long)min(at, rows - 1) * channels;
  Row<PIECES> next(x + first, channels), next_slope(dy + first, channels);
  for (; at < rows; at += step) {
    next.read(row);
    next_slope.read(slope);
    if (at + step < rows) {
      const long long from = (long long)(at + step) * channels;
      next = Row<PIECES>(x + from, channels);
      next_slope = Row<PIECES>(dy + from, channels);
    }
    const T* to_add = known ? known + (long long)at * channels : x;
    const Row<PIECES> added(to_add, known ? channels : 0);
    float sums[4] = {};
    distances(row, channels, sums);
#pragma unroll
    for (int chunk = 0; chunk < PIECES; chunk++)
#pragma unroll
      for (int i = 0; i < WIDE; i++) {
        float scaled = slope[chunk][i] * scales[chunk][i];
        sums[2] += scaled;
        sums[3] += scaled * row[chunk][i];
      }
    warp_sums(sums);
    float3 of = moments(row, slope, scales, sums, channels, epsilon);
    float mean = sums[2] * inverse((float)channels);
#pragma unroll
    for (int chunk = 0; chunk < PIECES; chunk++)
#pragma unroll
      for (int i = 0; i < WIDE; i++) {
        float dy = slope[chunk][i], unit = (row[chunk][i] - of.x) * of.y;
        dscale[chunk][i] += dy * unit;
        dshift[chunk][i] += dy;
        row[chunk][i] = (dy * scales[chunk][i] - mean - unit * of.z) * of.y;
      }
    added.read(slope);
#pragma unroll
    for (int chunk = 0; chunk < PIECES; chunk++)
#pragma unroll
      for (int i = 0; i < WIDE; i++) row[chunk][i] += slope[chunk][i];
    store(dx + (long long)at * channels, channels, row);
  }
  float* to = parts + (long long)blockIdx.x * 2 * channels;
  gather(dscale, room, to, channels);
  gather(dshift, room, to + channels, channels);
}

// So many blocks there and back are to find room at a time, whatever registers that leaves.
#define OF(PIECES, THERE, BACK)                                                                 \
  KERNEL __launch_bounds__(256, THERE) layer_norm_##PIECES(                                      \
      const T* x, const float* scale, const float* shift, T* y, int rows, int channels,          \
      float epsilon) {                                                                           \
    forward<PIECES>(x, scale, shift, y, rows, channels, epsilon);                                \
  }                                                                                              \
  KERNEL __launch_bounds__(256, BACK) layer_norm_back_##PIECES(                                  \
      const T* x, const T* dy, const T* known, const float* scale, T* dx, float* parts,          \
      int rows, int channels, float epsilon) {                                                   \
    backward<PIECES>(x, dy, known, scale, dx, parts, rows, channels, epsilon);                   \
  }

OF(1, 5, 4)
OF(2, 3, 1)
OF(4, 1, 1)

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
KERNEL layer_norm_back_any(const T* x, const T* dy, const T* known, const float* scale, T* dx,
                           float* parts, int rows, int channels, float epsilon) {
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
      float slope = (to_float(dy[first + c]) * scale[c] - mean - unit * product) * of.y;
      put(dx + first + c, known ? slope + to_float(known[first + c]) : slope);
    }
  }
  float* to = parts + (long long)blockIdx.x * 2 * channels;
  for (int c = threadIdx.x; c < channels; c += blockDim.x) {
    to[c] = sums[c];
    to[channels + c] = sums[channels + c];
  }
}
