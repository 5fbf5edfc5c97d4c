// What pools, averages or repeats pixels of channels-last images; a thread for each W channels.

// The vector that a thread has: its index, and channels, pixel and image of it.
template <int W>
struct Place {
  long long index;
  int channel, x, y, image;

  __device__ Place(int height, int width, int channels) {
    index = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    int pieces = channels / W;
    long long pixel = over(index, pieces), row = over(pixel, width), all = over(row, height);
    channel = (int)(index - pixel * pieces) * W;
    x = (int)(pixel - row * width);
    y = (int)(row - all * height);
    image = (int)all;
  }
};

// The pixels of window `at` along a side of `size` pixels.
struct Span {
  int first, end;

  __device__ Span(int at, int size, int side, int stride, int padding) {
    first = max(at * stride - padding, 0);
    end = min(at * stride - padding + side, size);
  }
};

// The largest pixel of each window [images, out_height, out_width, channels].
template <int W>
__device__ __forceinline__ void largest(const T* __restrict__ x, T* __restrict__ y,
                                        long long count, int height, int width, int channels,
                                        int out_height, int out_width, int side, int stride,
                                        int padding) {
  Place<W> at(out_height, out_width, channels);
  if (at.index >= count) return;
  Span rows(at.y, height, side, stride, padding), columns(at.x, width, side, stride, padding);
  const T* image = x + (long long)at.image * height * width * channels + at.channel;
  float most[W];
  read_vector<W>(image + ((long long)rows.first * width + columns.first) * channels, most);
  for (int i = rows.first; i < rows.end; i++)
    for (int j = columns.first; j < columns.end; j++) {
      float found[W];
      read_vector<W>(image + ((long long)i * width + j) * channels, found);
#pragma unroll
      for (int each = 0; each < W; each++)
        if (found[each] > most[each]) most[each] = found[each];
    }
  write_vector<W>(y + at.index * W, most);
}

// The first window that may have a pixel, and the one behind the last that may.
struct Windows {
  int first, end;

  __device__ Windows(int pixel, int windows, int side, int stride, int padding) {
    int from = pixel + padding - side + 1;
    first = from > 0 ? (from + stride - 1) / stride : 0;
    end = min((pixel + padding) / stride + 1, windows);
  }
};

// Whether an earlier pixel of a window is as large as this one, channel by channel.
template <int W>
__device__ __forceinline__ void earlier(const T* image, int width, int channels, const Span& rows,
                                        const Span& columns, int y, int x, const float* most,
                                        bool* is_first) {
  for (int i = rows.first; i <= y; i++)
    for (int j = columns.first; j < (i < y ? columns.end : x); j++) {
      float found[W];
      read_vector<W>(image + ((long long)i * width + j) * channels, found);
#pragma unroll
      for (int each = 0; each < W; each++) is_first[each] &= found[each] != most[each];
    }
}

// What windows hand back to the first of their largest pixels.
template <int W>
__device__ __forceinline__ void largest_back(const T* __restrict__ x, const T* __restrict__ y,
                                             const T* __restrict__ dy, T* __restrict__ dx,
                                             long long count, int height, int width, int channels,
                                             int out_height, int out_width, int side, int stride,
                                             int padding) {
  Place<W> at(height, width, channels);
  if (at.index >= count) return;
  const T* image = x + (long long)at.image * height * width * channels + at.channel;
  float own[W], sums[W] = {};
  read_vector<W>(x + at.index * W, own);
  Windows of_y(at.y, out_height, side, stride, padding);
  Windows of_x(at.x, out_width, side, stride, padding);
  for (int i = of_y.first; i < of_y.end; i++)
    for (int j = of_x.first; j < of_x.end; j++) {
      long long window = ((long long)at.image * out_height + i) * out_width + j;
      float most[W], slope[W];
      read_vector<W>(y + window * channels + at.channel, most);
      bool is_first[W], is_any = false;
#pragma unroll
      for (int each = 0; each < W; each++) {
        is_first[each] = own[each] == most[each];
        is_any |= is_first[each];
      }
      if (!is_any) continue;
      Span rows(i, height, side, stride, padding), columns(j, width, side, stride, padding);
      earlier<W>(image, width, channels, rows, columns, at.y, at.x, most, is_first);
      read_vector<W>(dy + window * channels + at.channel, slope);
#pragma unroll
      for (int each = 0; each < W; each++)
        if (is_first[each]) sums[each] += slope[each];
    }
  write_vector<W>(dx + at.index * W, sums);
}

#define POOL(suffix, W)                                                                         \
  KERNEL largest_##suffix(const T* x, T* y, long long count, int height, int width,             \
                          int channels, int out_height, int out_width, int side, int stride,    \
                          int padding) {                                                        \
    largest<W>(x, y, count, height, width, channels, out_height, out_width, side, stride,       \
               padding);                                                                        \
  }                                                                                             \
  KERNEL largest_back_##suffix(const T* x, const T* y, const T* dy, T* dx, long long count,     \
                               int height, int width, int channels, int out_height,             \
                               int out_width, int side, int stride, int padding) {              \
    largest_back<W>(x, y, dy, dx, count, height, width, channels, out_height, out_width, side,  \
                    stride, padding);                                                           \
  }

POOL(wide, VECTOR)
POOL(narrow, 1)

// The mean over the pixels of each image, [images, channels]: a block of 8 warps for each 32 vectors
// of channels, and a row of blocks for each image.
template <int W>
__device__ __forceinline__ void average(const T* __restrict__ x, T* __restrict__ y, int pixels,
                                        int channels) {
  __shared__ float room[8][W][32];
  int lane = threadIdx.x & 31, row = threadIdx.x >> 5;
  int channel = (blockIdx.y * 32 + lane) * W;
  long long image = blockIdx.x;
  float sums[W] = {};
  if (channel < channels) {
    const T* from = x + image * pixels * channels + channel;
#pragma unroll 4
    for (int pixel = row; pixel < pixels; pixel += 8) {
      float found[W];
      read_vector<W>(from + (long long)pixel * channels, found);
#pragma unroll
      for (int i = 0; i < W; i++) sums[i] += found[i];
    }
  }
#pragma unroll
  for (int i = 0; i < W; i++) room[row][i][lane] = sums[i];
  __syncthreads();
  if (row > 0 || channel >= channels) return;
  for (int other = 1; other < 8; other++)
#pragma unroll
    for (int i = 0; i < W; i++) sums[i] += room[other][i][lane];
#pragma unroll
  for (int i = 0; i < W; i++) sums[i] /= (float)pixels;
  write_vector<W>(y + image * channels + channel, sums);
}

// The gradient of the mean: each pixel's share of its image's.
template <int W>
__device__ __forceinline__ void average_back(const T* __restrict__ dy, T* __restrict__ dx,
                                             long long count, int pixels, int channels) {
  Place<W> at(1, pixels, channels);
  if (at.index >= count) return;
  float share[W];
  read_vector<W>(dy + (long long)at.image * channels + at.channel, share);
#pragma unroll
  for (int i = 0; i < W; i++) share[i] /= (float)pixels;
  write_vector<W>(dx + at.index * W, share);
}

#define AVERAGE(suffix, W)                                                                      \
  KERNEL average_##suffix(const T* x, T* y, int pixels, int channels) {                         \
    average<W>(x, y, pixels, channels);                                                         \
  }                                                                                             \
  KERNEL average_back_##suffix(const T* dy, T* dx, long long count, int pixels, int channels) { \
    average_back<W>(dy, dx, count, pixels, channels);                                           \
  }

AVERAGE(wide, VECTOR)
AVERAGE(narrow, 1)

// The first pixel that is a copy of pixel `at` or of one behind it.
__device__ __forceinline__ int first_copy(int at, int from, int to) {
  return (int)over((long long)at * to + from - 1, from);
}

// The copies of a pixel, and where they begin.
struct Copies {
  int y, end_y, x, end_x;

  __device__ __forceinline__ Copies(int at_y, int at_x, int height, int width, int to_height,
                                    int to_width)
      : y(first_copy(at_y, height, to_height)),
        end_y(first_copy(at_y + 1, height, to_height)),
        x(first_copy(at_x, width, to_width)),
        end_x(first_copy(at_x + 1, width, to_width)) {}

  // Whether they are two by two, as mostly.
  __device__ __forceinline__ bool is_square() const { return end_y == y + 2 && end_x == x + 2; }
};

// Images of [height, width] pixels as ones of [to_height, to_width], by the nearest pixels: a thread
// writes all copies of what it has read. Where an image becomes smaller some have none.
template <int W>
__device__ __forceinline__ void nearest(const T* __restrict__ x, T* __restrict__ y,
                                        long long count, int height, int width, int channels,
                                        int to_height, int to_width) {
  Place<W> at(height, width, channels);
  if (at.index >= count) return;
  float found[W];
  read_vector<W>(x + at.index * W, found);
  Copies copies(at.y, at.x, height, width, to_height, to_width);
  T* to = y + ((long long)at.image * to_height * to_width) * channels + at.channel;
  for (int i = copies.y; i < copies.end_y; i++)
    for (int j = copies.x; j < copies.end_x; j++)
      write_vector<W>(to + ((long long)i * to_width + j) * channels, found);
}

// The gradients of all copies of each pixel, added up.
template <int W>
__device__ __forceinline__ void nearest_back(const T* __restrict__ dy, T* __restrict__ dx,
                                             long long count, int height, int width, int channels,
                                             int to_height, int to_width) {
  Place<W> at(height, width, channels);
  if (at.index >= count) return;
  Copies copies(at.y, at.x, height, width, to_height, to_width);
  const T* from = dy + ((long long)at.image * to_height * to_width) * channels + at.channel;
  float sums[W] = {};
  if (copies.is_square()) {
    float found[4][W];
    const T* first = from + ((long long)copies.y * to_width + copies.x) * channels;
#pragma unroll
    for (int copy = 0; copy < 4; copy++)
      read_vector<W>(first + ((copy / 2) * (long long)to_width + copy % 2) * channels, found[copy]);
#pragma unroll
    for (int copy = 0; copy < 4; copy++)
#pragma unroll
      for (int each = 0; each < W; each++) sums[each] += found[copy][each];
  } else {
    for (int i = copies.y; i < copies.end_y; i++)
      for (int j = copies.x; j < copies.end_x; j++) {
        float found[W];
        read_vector<W>(from + ((long long)i * to_width + j) * channels, found);
#pragma unroll
        for (int each = 0; each < W; each++) sums[each] += found[each];
      }
  }
  write_vector<W>(dx + at.index * W, sums);
}

#define NEAREST(suffix, W)                                                                      \
  KERNEL nearest_##suffix(const T* x, T* y, long long count, int height, int width,             \
                          int channels, int to_height, int to_width) {                          \
    nearest<W>(x, y, count, height, width, channels, to_height, to_width);                      \
  }                                                                                             \
  KERNEL nearest_back_##suffix(const T* dy, T* dx, long long count, int height, int width,      \
                               int channels, int to_height, int to_width) {                     \
    nearest_back<W>(dy, dx, count, height, width, channels, to_height, to_width);               \
  }

NEAREST(wide, VECTOR)
NEAREST(narrow, 1)
