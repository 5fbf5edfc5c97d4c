// Dot products of long vectors, and what is divided by them.

// Values below this are those of a weight of zeros.
#define TINY 1e-12

// Shares of up to two dot products, `parts` [2, shares]: a row of blocks for each.
KERNEL dots(const float* a, const float* b, const float* c, const float* d, float* parts, int n) {
  __shared__ float room[32];
  const float* left = blockIdx.y ? c : a;
  const float* right = blockIdx.y ? d : b;
  float sum = 0.0f;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    sum = fmaf(left[i], right[i], sum);
  sum = block_sum(sum, room);
  if (threadIdx.x == 0) parts[blockIdx.y * gridDim.x + blockIdx.x] = sum;
}

// The sum of shares, in every thread; `room` has as many numbers.
__device__ double total(const float* parts, int shares, float* room) {
  for (int i = threadIdx.x; i < shares; i += blockDim.x) room[i] = parts[i];
  __syncthreads();
  double sum = 0.0;
  for (int i = 0; i < shares; i++) sum += (double)room[i];
  __syncthreads();
  return sum;
}

// x / |x|, or where that is too short `other` if there is one and x if not; and |x|.
KERNEL unit(const float* x, const float* other, const float* parts, float* to, float* length,
            int n, int shares) {
  __shared__ float room[256];
  double found = sqrt(total(parts, shares, room));
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i == 0) *length = (float)found;
  if (i >= n) return;
  if (found > TINY)
    to[i] = x[i] * (float)(1.0 / found);
  else
    to[i] = other ? other[i] : x[i];
}

// A weight scaled so that the value that its product with the slope is becomes `bound`.
KERNEL bounded(const float* weight, const float* parts, float* to, float bound, int n,
               int shares) {
  __shared__ float room[256];
  double value = total(parts, shares, room);
  float factor = (float)((double)bound / (value > TINY ? value : 1.0));
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) to[i] = weight[i] * factor;
}

// Its gradient; `parts` of the products of the weight with the slope and with dy.
KERNEL bounded_back(const float* dy, const float* slope, const float* parts, float* to,
                    float bound, int n, int shares) {
  __shared__ float room[256];
  double value = total(parts, shares, room);
  double product = total(parts + shares, shares, room);
  double divisor = value > TINY ? value : 1.0;
  float factor = (float)((double)bound / divisor);
  float along = value > TINY ? (float)(product / divisor) : 0.0f;
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) to[i] = (dy[i] - along * slope[i]) * factor;
}
