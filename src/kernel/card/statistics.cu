// What normalisations do with sums over pixels: statistics, and the factors of affine maps.

#define COLUMNS 8

// Adds both numbers up over the threads of a warp that have the same of COLUMNS.
__device__ __forceinline__ void add_rows(double* both) {
#pragma unroll
  for (int by = COLUMNS; by < 32; by <<= 1) {
    both[0] += __shfl_xor_sync(FULL, both[0], by);
    both[1] += __shfl_xor_sync(FULL, both[1], by);
  }
}

// The two sums of a channel over `shares` rows of `parts` [shares, 2, channels], for a block of
// COLUMNS channels by whole warps; in the channel's threads of the first warp.
__device__ void totals(const float* parts, int shares, int channels, int channel, double* both) {
  __shared__ double room[2][32][COLUMNS];
  int column = threadIdx.x % COLUMNS, row = threadIdx.x / COLUMNS, rows = blockDim.x / COLUMNS;
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
  both[0] = both[1] = 0.0;
  if (channel < channels) {
#pragma unroll 8
    for (int share = row; share < shares; share += rows) {
      const float* from = parts + (long long)share * 2 * channels + channel;
      both[0] += (double)from[0];
      both[1] += (double)from[channels];
    }
  }
  add_rows(both);
  if (lane < COLUMNS) room[0][warp][lane] = both[0], room[1][warp][lane] = both[1];
  __syncthreads();
  if (warp > 0) return;
  both[0] = both[1] = 0.0;
  for (int other = lane / COLUMNS; other < warps; other += 32 / COLUMNS) {
    both[0] += room[0][other][column];
    both[1] += room[1][other][column];
  }
  add_rows(both);
}

__device__ __forceinline__ int channel_of_thread(int block) {
  return block * COLUMNS + threadIdx.x % COLUMNS;
}

// Whether this thread writes what is found for its channel.
__device__ __forceinline__ bool writes(int channel, int channels) {
  return threadIdx.x < COLUMNS && channel < channels;
}

// Mean and variance of a channel from sums of distances from the first pixel at `x`.
__device__ __forceinline__ void moments_of(const double* sums, const T* x, int channel, int pixels,
                                           double* mean, double* variance) {
  double apart = sums[0] / pixels;
  *mean = (double)to_float(x[channel]) + apart;
  *variance = fmax(sums[1] / pixels - apart * apart, 0.0);
}

// Statistics [2, channels] of a batch, mean and variance, and `table` [3, channels] of its
// normalisation, factors, summands and centers. Running statistics, if there are any, are moved
// towards those of the batch: `share` of them is replaced, of the variance by `unbiased` times that of
// the batch.
KERNEL __launch_bounds__(1024) of_batch(const T* x, const float* parts, const float* scale_shift, float* statistics,
                float* table, int pixels, int channels, int shares, float epsilon,
                float* running_mean, float* running_variance, float share, float unbiased) {
  int channel = channel_of_thread(blockIdx.x);
  double sums[2], mean, variance;
  totals(parts, shares, channels, channel, sums);
  if (!writes(channel, channels)) return;
  moments_of(sums, x, channel, pixels, &mean, &variance);
  statistics[channel] = (float)mean;
  statistics[channels + channel] = (float)variance;
  double factor = (double)scale_shift[channel] / sqrt(variance + (double)epsilon);
  table[channel] = (float)factor;
  table[channels + channel] = (float)((double)scale_shift[channels + channel] - mean * factor);
  table[2 * channels + channel] = (float)mean;
  if (!running_mean) return;
  float kept = 1.0f - share, other = share * unbiased;
  running_mean[channel] = kept * running_mean[channel] + share * (float)mean;
  running_variance[channel] = kept * running_variance[channel] + other * (float)variance;
}

// What the way back through a batch's normalisation is made of: `terms` [3, channels], and the
// gradient [2, channels] of scales and shifts.
KERNEL __launch_bounds__(1024) of_batch_back(const float* parts, const float* scale_shift, const float* statistics,
                     float* terms, float* gradient, int pixels, int channels, int shares,
                     float epsilon) {
  int channel = channel_of_thread(blockIdx.x);
  double sums[2];
  totals(parts, shares, channels, channel, sums);
  if (!writes(channel, channels)) return;
  double r = 1.0 / sqrt((double)statistics[channels + channel] + (double)epsilon);
  double a = (double)scale_shift[channel] * r;
  terms[channel] = (float)a;
  terms[channels + channel] = (float)(-a * r * r * sums[1] / pixels);
  terms[2 * channels + channel] = (float)(-a * sums[0] / pixels);
  gradient[channel] = (float)(sums[1] * r);
  gradient[channels + channel] = (float)sums[0];
}

// The same of a map with scales and shifts that are known.
KERNEL __launch_bounds__(1024) of_known_back(const float* parts, const float* scale_shift, float* terms, float* gradient,
                     int channels, int shares) {
  int channel = channel_of_thread(blockIdx.x);
  double sums[2];
  totals(parts, shares, channels, channel, sums);
  if (!writes(channel, channels)) return;
  terms[channel] = scale_shift[channel];
  terms[channels + channel] = 0.0f;
  terms[2 * channels + channel] = 0.0f;
  gradient[channel] = (float)sums[1];
  gradient[channels + channel] = (float)sums[0];
}

// Means and variances [images, 2, channels] of the channels of each image, with blocks for each.
KERNEL of_images(const T* x, const float* parts, float* moments, int pixels, int channels,
                 int shares) {
  int channel = channel_of_thread(blockIdx.y);
  long long image = blockIdx.x;
  double sums[2], mean, variance;
  totals(parts + image * shares * 2 * channels, shares, channels, channel, sums);
  if (!writes(channel, channels)) return;
  moments_of(sums, x + image * pixels * channels, channel, pixels, &mean, &variance);
  float* to = moments + image * 2 * channels + channel;
  to[0] = (float)mean;
  to[channels] = (float)variance;
}

// Groups of channels of images, a thread for each: `statistics` [images, 2, groups], mean and
// inverse deviation, and `table` [images, 3, channels], factors, summands and centers.
KERNEL of_groups(const float* moments, const float* scale_shift, float* statistics, float* table,
                 int images, int channels, int groups, float epsilon) {
  long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (index >= (long long)images * groups) return;
  long long image = index / groups;
  int group = (int)(index % groups), size = channels / groups, first = group * size;
  const float* means = moments + image * 2 * channels + first;
  const float* variances = means + channels;
  double mean = 0.0, within = 0.0, between = 0.0;
  for (int i = 0; i < size; i++) {
    mean += (double)means[i];
    within += (double)variances[i];
  }
  mean /= size;
  for (int i = 0; i < size; i++) between += ((double)means[i] - mean) * ((double)means[i] - mean);
  double r = 1.0 / sqrt(within / size + between / size + (double)epsilon);
  statistics[image * 2 * groups + group] = (float)mean;
  statistics[image * 2 * groups + groups + group] = (float)r;
  float* to = table + image * 3 * channels + first;
  for (int i = 0; i < size; i++) {
    double factor = (double)scale_shift[first + i] * r;
    to[i] = (float)factor;
    to[channels + i] = (float)((double)scale_shift[channels + first + i] - mean * factor);
    to[2 * channels + i] = (float)mean;
  }
}

// The sums of each image's channels, [images, 2, channels], with blocks for each image.
KERNEL of_images_back(const float* parts, float* sums, int channels, int shares) {
  int channel = channel_of_thread(blockIdx.y);
  long long image = blockIdx.x;
  double both[2];
  totals(parts + image * shares * 2 * channels, shares, channels, channel, both);
  if (!writes(channel, channels)) return;
  float* to = sums + image * 2 * channels + channel;
  to[0] = (float)both[0];
  to[channels] = (float)both[1];
}

// What the way back through groups is made of, `terms` [images, 3, channels], a thread for each
// group of an image; `sums` [images, 2, channels] become each image's share of the gradients of
// shifts and scales.
KERNEL of_groups_back(float* sums, const float* scale_shift, const float* statistics, float* terms,
                      int images, int pixels, int channels, int groups) {
  long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (index >= (long long)images * groups) return;
  long long image = index / groups;
  int group = (int)(index % groups), size = channels / groups, first = group * size;
  double r = (double)statistics[image * 2 * groups + groups + group];
  double count = (double)pixels * size, slope = 0.0, product = 0.0;
  float* of_slope = sums + image * 2 * channels + first;
  float* of_product = of_slope + channels;
  for (int i = 0; i < size; i++) {
    slope += (double)scale_shift[first + i] * (double)of_slope[i];
    product += (double)scale_shift[first + i] * (double)of_product[i];
    of_product[i] = (float)(r * (double)of_product[i]);
  }
  float* to = terms + image * 3 * channels + first;
  for (int i = 0; i < size; i++) {
    to[i] = (float)(r * (double)scale_shift[first + i]);
    to[channels + i] = (float)(-r * r * r * product / count);
    to[2 * channels + i] = (float)(-r * slope / count);
  }
}

// The gradient [2, channels] of scales and shifts, of the shares of images [images, 2, channels].
KERNEL __launch_bounds__(1024) of_scales(const float* sums, float* gradient, int channels, int images) {
  int channel = channel_of_thread(blockIdx.x);
  double both[2];
  totals(sums, images, channels, channel, both);
  if (!writes(channel, channels)) return;
  gradient[channel] = (float)both[1];
  gradient[channels + channel] = (float)both[0];
}

// Two arrays one behind the other.
KERNEL stacked(const float* first, const float* second, float* to, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  to[i] = first[i];
  to[n + i] = second[i];
}
