// Windows of channels-last images as rows of a matrix, and back; and weights in other orders.

// A convolution's sizes, in the order kernels are told them.
#define SIZES                                                                                   \
  int height, int width, int channels, int kernel_width, int out_height, int out_width,         \
      int stride, int padding, int window, int inner

template <int W>
__device__ __forceinline__ void copy_vector(const T* from, T* to, bool is_inside) {
  if constexpr (W == 1) {
    *to = is_inside ? *from : (T)0;
  } else {
    uint4 found = {0u, 0u, 0u, 0u};
    if (is_inside) found = *(const uint4*)from;
    *(uint4*)to = found;
  }
}

// Rows of `inner` elements for each window, of which the first `window` are its own and the rest 0.
// A thread for each W elements.
template <int W>
__device__ __forceinline__ void lay_columns(const T* x, T* to, int count, SIZES) {
  int index = blockIdx.x * blockDim.x + threadIdx.x;
  if (index >= count) return;
  int pieces = inner / W, at = index / pieces, element = (index % pieces) * W;
  int tap = element / channels, channel = element % channels;
  int j = at % out_width, i = (at / out_width) % out_height, image = at / out_width / out_height;
  int y = i * stride + tap / kernel_width - padding;
  int x_at = j * stride + tap % kernel_width - padding;
  bool is_inside = element < window && y >= 0 && y < height && x_at >= 0 && x_at < width;
  long long pixel = ((long long)image * height + y) * width + x_at;
  copy_vector<W>(x + pixel * channels + channel, to + (long long)index * W, is_inside);
}

KERNEL columns_wide(const T* x, T* to, int count, SIZES) {
  lay_columns<VECTOR>(x, to, count, height, width, channels, kernel_width, out_height, out_width,
                      stride, padding, window, inner);
}

KERNEL columns_narrow(const T* x, T* to, int count, SIZES) {
  lay_columns<1>(x, to, count, height, width, channels, kernel_width, out_height, out_width,
                 stride, padding, window, inner);
}

// The window that has a pixel at its tap `tap` along one side; none where it is negative.
__device__ __forceinline__ int window_of(int pixel, int tap, int windows, int stride,
                                         int padding) {
  int from = pixel + padding - tap;
  if (from < 0 || from % stride != 0) return -1;
  return from / stride < windows ? from / stride : -1;
}

// Adds up, for each pixel, what the rows of all windows hold of it. A thread for each W elements.
template <int W>
__device__ __forceinline__ void gather_columns(const T* from, T* dx, int count, SIZES) {
  int index = blockIdx.x * blockDim.x + threadIdx.x;
  if (index >= count) return;
  int pieces = channels / W, at = index / pieces, channel = (index % pieces) * W;
  int x_at = at % width, y = (at / width) % height, image = at / width / height;
  int kernel_height = window / channels / kernel_width;
  float sums[W] = {};
  for (int tap_y = 0; tap_y < kernel_height; tap_y++) {
    int i = window_of(y, tap_y, out_height, stride, padding);
    if (i < 0) continue;
    for (int tap_x = 0; tap_x < kernel_width; tap_x++) {
      int j = window_of(x_at, tap_x, out_width, stride, padding);
      if (j < 0) continue;
      long long row = ((long long)image * out_height + i) * out_width + j;
      float found[W];
      int element = (tap_y * kernel_width + tap_x) * channels + channel;
      read_vector<W>(from + row * inner + element, found);
#pragma unroll
      for (int each = 0; each < W; each++) sums[each] += found[each];
    }
  }
  write_vector<W>(dx + (long long)index * W, sums);
}

KERNEL gather_wide(const T* from, T* dx, int count, SIZES) {
  gather_columns<VECTOR>(from, dx, count, height, width, channels, kernel_width, out_height,
                         out_width, stride, padding, window, inner);
}

KERNEL gather_narrow(const T* from, T* dx, int count, SIZES) {
  gather_columns<1>(from, dx, count, height, width, channels, kernel_width, out_height,
                    out_width, stride, padding, window, inner);
}

// The first `count` of `all` numbers in the type of activations, then 0.
KERNEL padded(const float* from, T* to, int count, int all) {
  int index = blockIdx.x * blockDim.x + threadIdx.x;
  if (index < all) put(to + index, index < count ? from[index] : 0.0f);
}

// A tile of 32 x 32 of `from` [rows, columns] transposed, by 256 threads.
template <typename From, typename To>
__device__ __forceinline__ void transpose(const From* from, To* to, int rows, int columns, int row,
                                          int column) {
  __shared__ float tile[32][33];
  int lane = threadIdx.x & 31, line = threadIdx.x >> 5;
  for (int at = line; at < 32; at += 8)
    if (row + at < rows && column + lane < columns)
      tile[at][lane] = to_float(from[(long long)(row + at) * columns + column + lane]);
  __syncthreads();
  for (int at = line; at < 32; at += 8)
    if (row + lane < rows && column + at < columns)
      put(to + (long long)(column + at) * rows + row + lane, tile[lane][at]);
}

// A weight [window, filters] as filters [filters, window] in the type of activations.
KERNEL filters(const float* from, T* to, int rows, int columns) {
  transpose<float, T>(from, to, rows, columns, blockIdx.x * 32, blockIdx.y * 32);
}

// The same of many weights.
KERNEL filters_together(const long long* table, int count) {
  Array array = array_of(table, count);
  int across = (array.rows + 31) / 32;
  int row = array.block % across * 32, column = array.block / across * 32;
  transpose<float, T>(array.from, (T*)array.to, array.rows, array.columns, row, column);
}

// And back.
KERNEL filters_back(const T* from, float* to, int rows, int columns) {
  transpose<T, float>(from, to, rows, columns, blockIdx.x * 32, blockIdx.y * 32);
}
