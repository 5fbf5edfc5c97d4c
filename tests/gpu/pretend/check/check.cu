// Kernels that do what they may, and kernels that do what they may not.

KERNEL totals(const float* x, float* y, int n) {
  __shared__ float sums[32];
  extern __shared__ __align__(16) float more[];
  float all = 0.0f;
  for (int at = threadIdx.x; at < n; at += blockDim.x) all += x[blockIdx.x * n + at];
  for (int by = 16; by > 0; by >>= 1) all += __shfl_xor_sync(FULL, all, by);
  if ((threadIdx.x & 31) == 0) sums[threadIdx.x >> 5] = all;
  __syncthreads();
  more[threadIdx.x] = threadIdx.x < blockDim.x / 32 ? sums[threadIdx.x] : 0.0f;
  __syncthreads();
  all = 0.0f;
  for (int at = 0; at < blockDim.x; at++) all += more[at];
  if (threadIdx.x == 0) y[blockIdx.x] = all;
}

// Of the lanes of a warp: a mask of the odd ones, their number, the sum of all and what the lane below has.
KERNEL lanes(int* y) {
  int lane = threadIdx.x, odd = __ballot_sync(FULL, lane & 1);
  int below = __shfl_up_sync(FULL, lane, 1), sum = __reduce_add_sync(FULL, lane);
  if (lane & 1) sum += __shfl_sync(0xaaaaaaaau, lane, 31);
  y[lane] = odd == (int)0xaaaaaaaa && __popc(odd) == 16 ? sum * 100 + below : -1;
}

// Threads that return are not waited for.
KERNEL some(float* y, int n) {
  __shared__ float room[256];
  if (threadIdx.x >= n) return;
  room[threadIdx.x] = threadIdx.x;
  __syncthreads();
  y[threadIdx.x] = room[n - 1 - threadIdx.x];
}

KERNEL halves(const bf16* x, bf16* y) { put(y + threadIdx.x, 2.0f * to_float(x[threadIdx.x])); }

KERNEL unsynchronised(float* y) {
  __shared__ float room[256];
  room[threadIdx.x] = threadIdx.x;
  y[threadIdx.x] = room[255 - threadIdx.x];
}

KERNEL unwritten(float* y) {
  __shared__ float room[256];
  y[threadIdx.x] = room[threadIdx.x];
}

KERNEL beyond(float* y) { y[blockIdx.x * blockDim.x + threadIdx.x] = 1.0f; }

KERNEL before(float* y) { y[-1] = 1.0f; }

KERNEL unaligned(float* y) { *(float4*)(y + threadIdx.x) = make_float4(1.0f, 2.0f, 3.0f, 4.0f); }

KERNEL outside(float* y) {
  __shared__ float room[8];
  room[threadIdx.x] = 1.0f;
  y[threadIdx.x] = room[threadIdx.x];
}

KERNEL asked(float* y) {
  extern __shared__ float room[];
  room[threadIdx.x] = 1.0f;
  y[threadIdx.x] = room[threadIdx.x];
}

KERNEL parted(float* y) {
  if (threadIdx.x < 64) {
    __syncthreads();
  } else {
    y[0] = 1.0f;
    __syncthreads();
  }
}

KERNEL lost(float* y) {
  float x = threadIdx.x;
  if (threadIdx.x < 16) x = __shfl_xor_sync(FULL, x, 1);
  else __syncthreads();
  y[threadIdx.x] = x;
}
