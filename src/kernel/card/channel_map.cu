// Passes over channels-last data [images, pixels, channels] that treat every channel alike. A block
// has `lanes` threads side by side, each with W channels, over a share of the pixels of an image.

template <int W>
struct Part {
  int image, share, row, rows, first, end, lane, channel;
  bool is_inside;

  __device__ Part(int pixels, int channels, int shares, int length, int lanes) {
    image = blockIdx.x / shares;
    share = blockIdx.x % shares;
    lane = threadIdx.x & (lanes - 1);
    row = threadIdx.x / lanes;
    rows = blockDim.x / lanes;
    first = share * length + row;
    end = min((share + 1) * length, pixels);
    channel = (blockIdx.y * lanes + lane) * W;
    is_inside = channel < channels;
  }

  // Where the thread's channels of the first pixel of its image are.
  __device__ long long start(int pixels, int channels) const {
    return (long long)image * pixels * channels + channel;
  }
};

// The thread's numbers of a table with one for each channel; 0 where there is none.
template <int W>
__device__ __forceinline__ void of_channels(const float* table, long long at, float* to) {
#pragma unroll
  for (int i = 0; i < W; i++) to[i] = table ? table[at + i] : 0.0f;
}

// Adds the sums of a block's rows up and writes them to `parts` [images, shares, 2, channels]: the
// rows of a warp first, `lanes` threads apart, then those of its 8 warps.
template <int W>
__device__ void write_sums(float (&sums)[2][W], float* parts, int channels, int lanes) {
  __shared__ float room[8 * 32][2 * W + 1];
#pragma unroll
  for (int i = 0; i < 2 * W; i++) {
    float& sum = sums[i / W][i % W];
    for (int by = lanes; by < 32; by <<= 1) sum += __shfl_xor_sync(FULL, sum, by);
  }
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, first = blockIdx.y * lanes * W;
  if (lane < lanes) {
#pragma unroll
    for (int i = 0; i < 2 * W; i++) room[warp * lanes + lane][i] = sums[i / W][i % W];
  }
  __syncthreads();
  float* to = parts + (long long)blockIdx.x * 2 * channels + first;
  for (int at = threadIdx.x; at < 2 * lanes * W; at += blockDim.x) {
    int which = at / (lanes * W), channel = at % (lanes * W);
    if (first + channel >= channels) continue;
    float sum = 0.0f;
    for (int other = 0; other < 8; other++)
      sum += room[other * lanes + channel / W][which * W + channel % W];
    to[which * channels + channel] = sum;
  }
}

// Sums of the distances from the image's first pixel, and of their squares.
template <int W>
__device__ __forceinline__ void distances(const T* __restrict__ x, float* __restrict__ parts,
                                          int pixels, int channels, int shares, int length,
                                          int lanes) {
  Part<W> part(pixels, channels, shares, length, lanes);
  float sums[2][W] = {};
  if (part.is_inside) {
    const T* image = x + part.start(pixels, channels);
    float origin[W];
    read_vector<W>(image, origin);
#pragma unroll 4
    for (int pixel = part.first; pixel < part.end; pixel += part.rows) {
      float found[W];
      read_vector<W>(image + (long long)pixel * channels, found);
#pragma unroll
      for (int i = 0; i < W; i++) {
        float distance = found[i] - origin[i];
        sums[0][i] += distance;
        sums[1][i] += distance * distance;
      }
    }
  }
  write_sums<W>(sums, parts, channels, lanes);
}

#define DISTANCES(name, W)                                                                      \
  KERNEL name(const T* x, float* parts, int pixels, int channels, int shares, int length,       \
              int lanes) {                                                                      \
    distances<W>(x, parts, pixels, channels, shares, length, lanes);                            \
  }

DISTANCES(distances_wide, VECTOR)
DISTANCES(distances_narrow, 1)

// factor x + summand + residual, rectified if `relu`; tables are `stride` numbers apart for each
// image.
template <int W, bool HAS_RESIDUAL>
__device__ __forceinline__ void affine(const T* __restrict__ x, const T* __restrict__ residual,
                                       const float* factors, const float* summands, int stride,
                                       T* __restrict__ y, int relu, int pixels, int channels,
                                       int shares, int length, int lanes) {
  Part<W> part(pixels, channels, shares, length, lanes);
  if (!part.is_inside) return;
  float factor[W], summand[W];
  long long table = (long long)part.image * stride + part.channel;
  of_channels<W>(factors, table, factor);
  of_channels<W>(summands, table, summand);
  long long start = part.start(pixels, channels);
#pragma unroll 2
  for (int pixel = part.first; pixel < part.end; pixel += part.rows) {
    long long at = start + (long long)pixel * channels;
    float made[W], added[W];
    read_vector<W>(x + at, made);
    if constexpr (HAS_RESIDUAL) read_vector<W>(residual + at, added);
#pragma unroll
    for (int i = 0; i < W; i++) {
      made[i] = fmaf(made[i], factor[i], summand[i]);
      if constexpr (HAS_RESIDUAL) made[i] += added[i];
      // What is not a number stays so.
      if (relu && made[i] < 0.0f) made[i] = 0.0f;
    }
    write_vector<W>(y + at, made);
  }
}

#define AFFINE(name, W, HAS_RESIDUAL)                                                           \
  KERNEL name(const T* x, const T* residual, const float* factors, const float* summands,       \
              int stride, T* y, int relu, int pixels, int channels, int shares, int length,     \
              int lanes) {                                                                      \
    affine<W, HAS_RESIDUAL>(x, residual, factors, summands, stride, y, relu, pixels, channels,  \
                            shares, length, lanes);                                             \
  }

AFFINE(affine_wide, VECTOR, false)
AFFINE(affine_narrow, 1, false)
AFFINE(affine_added_wide, VECTOR, true)
AFFINE(affine_added_narrow, 1, true)

// Where the rectifier's mask comes from: there is none; the output, with what passes it written
// down; or the affine map computed again.
#define PLAIN 0
#define FROM_OUTPUT 1
#define AGAIN 2

// Sums of dy behind the rectifier, and of its products with x - center. Where what passes is written
// down, dy may come in two parts.
template <int W, int MASK>
__device__ __forceinline__ void slopes(const T* __restrict__ x, const T* __restrict__ y,
                                       const T* __restrict__ dy, const T* __restrict__ other,
                                       const float* factors, const float* summands,
                                       const float* centers, int stride,
                                       T* __restrict__ passed, float* __restrict__ parts,
                                       int pixels, int channels, int shares, int length,
                                       int lanes) {
  Part<W> part(pixels, channels, shares, length, lanes);
  float sums[2][W] = {};
  if (part.is_inside) {
    float factor[W], summand[W], center[W];
    long long table = (long long)part.image * stride + part.channel;
    if constexpr (MASK == AGAIN) {
      of_channels<W>(factors, table, factor);
      of_channels<W>(summands, table, summand);
    }
    of_channels<W>(centers, table, center);
    long long start = part.start(pixels, channels);
#pragma unroll 2
    for (int pixel = part.first; pixel < part.end; pixel += part.rows) {
      long long at = start + (long long)pixel * channels;
      float input[W], slope[W], output[W];
      read_vector<W>(x + at, input);
      read_vector<W>(dy + at, slope);
      if constexpr (MASK == FROM_OUTPUT) {
        read_vector<W>(y + at, output);
        if (other) {
          float more[W];
          read_vector<W>(other + at, more);
#pragma unroll
          for (int i = 0; i < W; i++) slope[i] += more[i];
        }
      }
#pragma unroll
      for (int i = 0; i < W; i++) {
        if constexpr (MASK == AGAIN) output[i] = fmaf(input[i], factor[i], summand[i]);
        if constexpr (MASK != PLAIN) slope[i] = output[i] > 0.0f ? slope[i] : 0.0f;
        sums[0][i] += slope[i];
        sums[1][i] += slope[i] * (input[i] - center[i]);
      }
      if constexpr (MASK == FROM_OUTPUT) write_vector<W>(passed + at, slope);
    }
  }
  write_sums<W>(sums, parts, channels, lanes);
}

#define SLOPES(name, W, MASK)                                                                   \
  KERNEL name(const T* x, const T* y, const T* dy, const T* other, const float* factors,        \
              const float* summands, const float* centers, int stride, T* passed, float* parts, \
              int pixels, int channels, int shares, int length, int lanes) {                    \
    slopes<W, MASK>(x, y, dy, other, factors, summands, centers, stride, passed, parts, pixels, \
                    channels, shares, length, lanes);                                           \
  }

SLOPES(slopes_plain_wide, VECTOR, PLAIN)
SLOPES(slopes_plain_narrow, 1, PLAIN)
SLOPES(slopes_passed_wide, VECTOR, FROM_OUTPUT)
SLOPES(slopes_passed_narrow, 1, FROM_OUTPUT)
SLOPES(slopes_again_wide, VECTOR, AGAIN)
SLOPES(slopes_again_narrow, 1, AGAIN)

// a dy + b (x - center) + c, with dy behind the rectifier; `terms` [images, 3, channels] if they
// differ from image to image.
template <int W, int MASK>
__device__ __forceinline__ void combine(const T* __restrict__ x, const T* __restrict__ dy,
                                        const float* terms, int terms_stride,
                                        const float* factors, const float* summands,
                                        const float* centers, int stride, T* __restrict__ dx,
                                        int pixels, int channels, int shares, int length,
                                        int lanes) {
  Part<W> part(pixels, channels, shares, length, lanes);
  if (!part.is_inside) return;
  float a[W], b[W], c[W], factor[W], summand[W], center[W];
  long long table = (long long)part.image * stride + part.channel;
  if constexpr (MASK == AGAIN) {
    of_channels<W>(factors, table, factor);
    of_channels<W>(summands, table, summand);
  }
  of_channels<W>(centers, table, center);
  long long of_terms = (long long)part.image * terms_stride + part.channel;
  of_channels<W>(terms, of_terms, a);
  of_channels<W>(terms, of_terms + channels, b);
  of_channels<W>(terms, of_terms + 2 * channels, c);
  long long start = part.start(pixels, channels);
#pragma unroll 2
  for (int pixel = part.first; pixel < part.end; pixel += part.rows) {
    long long at = start + (long long)pixel * channels;
    float input[W], slope[W];
    read_vector<W>(x + at, input);
    read_vector<W>(dy + at, slope);
#pragma unroll
    for (int i = 0; i < W; i++) {
      if constexpr (MASK == AGAIN) {
        bool has_passed = fmaf(input[i], factor[i], summand[i]) > 0.0f;
        slope[i] = has_passed ? slope[i] : 0.0f;
      }
      slope[i] = fmaf(a[i], slope[i], fmaf(b[i], input[i] - center[i], c[i]));
    }
    write_vector<W>(dx + at, slope);
  }
}

#define COMBINE(name, W, MASK)                                                                  \
  KERNEL name(const T* x, const T* dy, const float* terms, int terms_stride,                    \
              const float* factors, const float* summands, const float* centers, int stride,    \
              T* dx, int pixels, int channels, int shares, int length, int lanes) {             \
    combine<W, MASK>(x, dy, terms, terms_stride, factors, summands, centers, stride, dx,        \
                     pixels, channels, shares, length, lanes);                                  \
  }

COMBINE(combine_plain_wide, VECTOR, PLAIN)
COMBINE(combine_plain_narrow, 1, PLAIN)
COMBINE(combine_again_wide, VECTOR, AGAIN)
COMBINE(combine_again_narrow, 1, AGAIN)
