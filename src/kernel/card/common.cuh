// What every file of kernels begins with. `T` is the type of activations: bf16 as its 16 bits, or
// float; arithmetic is in float. HALF says which.

typedef unsigned short bf16;
typedef unsigned int u32;
typedef unsigned char u8;

__device__ __forceinline__ float to_float(float x) { return x; }

__device__ __forceinline__ float to_float(bf16 x) { return __uint_as_float((u32)x << 16); }

// Rounded to the nearest, of two equally near ones to the even one; what is not a number stays so.
__device__ __forceinline__ bf16 to_bf16(float x) {
  u32 bits = __float_as_uint(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return (bf16)((bits >> 16) | 0x40u);
  return (bf16)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

__device__ __forceinline__ void put(float* to, float x) { *to = x; }

__device__ __forceinline__ void put(bf16* to, float x) { *to = to_bf16(x); }

#if HALF
typedef bf16 T;
#else
typedef float T;
#endif

#define KERNEL extern "C" __global__ void
#define FULL 0xffffffffu

__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
  for (int by = 16; by > 0; by >>= 1) x += __shfl_xor_sync(FULL, x, by);
  return x;
}

__device__ __forceinline__ float warp_max(float x) {
#pragma unroll
  for (int by = 16; by > 0; by >>= 1) x = fmaxf(x, __shfl_xor_sync(FULL, x, by));
  return x;
}

// The sum over a block of whole warps, in every thread; `room` has 32 numbers.
__device__ __forceinline__ float block_sum(float x, float* room) {
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
  x = warp_sum(x);
  __syncthreads();
  if (lane == 0) room[warp] = x;
  __syncthreads();
  float all = 0.0f;
  for (int at = 0; at < warps; at++) all += room[at];
  return all;
}

// The largest over a block of whole warps, in every thread; `room` has 32 numbers.
__device__ __forceinline__ float block_max(float x, float* room) {
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
  x = warp_max(x);
  __syncthreads();
  if (lane == 0) room[warp] = x;
  __syncthreads();
  float all = room[0];
  for (int at = 1; at < warps; at++) all = fmaxf(all, room[at]);
  return all;
}
