// What every file of kernels begins with. `T` is the type of activations: bf16 as its 16 bits, or
// float; arithmetic is in float. HALF says which.

typedef unsigned short bf16;
typedef unsigned int u32;
typedef unsigned char u8;
typedef unsigned long long u64;

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

// Elements that are read and written 16 bytes at a time.
#define VECTOR (16 / (int)sizeof(T))

// Two numbers rounded as by `to_bf16`, the first in the lower half.
__device__ __forceinline__ u32 bf16_pair(float low, float high) {
#ifndef PRETEND
  u32 both;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
  return both;
#else
  return (u32)to_bf16(low) | ((u32)to_bf16(high) << 16);
#endif
}

__device__ __forceinline__ void read_pair(u32 both, float* to) {
  to[0] = __uint_as_float(both << 16);
  to[1] = __uint_as_float(both & 0xffff0000u);
}

// W elements: one, or VECTOR of them that lie on 16 bytes.
template <int W>
__device__ __forceinline__ void read_vector(const T* at, float* to) {
  if constexpr (W == 1) {
    to[0] = to_float(*at);
  } else if constexpr (sizeof(T) == 2) {
    uint4 found = *(const uint4*)at;
    read_pair(found.x, to);
    read_pair(found.y, to + 2);
    read_pair(found.z, to + 4);
    read_pair(found.w, to + 6);
  } else {
    float4 found = *(const float4*)at;
    to[0] = found.x, to[1] = found.y, to[2] = found.z, to[3] = found.w;
  }
}

template <int W>
__device__ __forceinline__ void write_vector(T* at, const float* from) {
  if constexpr (W == 1) {
    put(at, from[0]);
  } else if constexpr (sizeof(T) == 2) {
    uint4 made;
    made.x = bf16_pair(from[0], from[1]);
    made.y = bf16_pair(from[2], from[3]);
    made.z = bf16_pair(from[4], from[5]);
    made.w = bf16_pair(from[6], from[7]);
    *(uint4*)at = made;
  } else {
    float4 made;
    made.x = from[0], made.y = from[1], made.z = from[2], made.w = from[3];
    *(float4*)at = made;
  }
}

// SplitMix64's finaliser.
__device__ __forceinline__ u64 mix(u64 x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

// Draws of one piece, which has a stream of its own.
#define PIECE_BITS 14

// Where the stream of a piece below `state` begins.
__device__ __forceinline__ u64 piece_of(u64 state, long long index) {
  return mix(state ^ mix((u64)(index >> PIECE_BITS) + 0x517cc1b727220a95ull));
}

// Whether element `index`, in the piece that begins at `piece`, is left out: whether its number of
// 53 bits is below `limit`.
__device__ __forceinline__ bool is_out(u64 piece, long long index, u64 limit) {
  u64 at = (u64)(index & ((1 << PIECE_BITS) - 1)) + 1;
  return (mix(piece + at * 0x9e3779b97f4a7c15ull) >> 11) < limit;
}
