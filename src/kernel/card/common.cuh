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
#ifndef PRETEND
  bf16 rounded;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(rounded) : "f"(x));
  return rounded;
#else
  u32 bits = __float_as_uint(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return (bf16)((bits >> 16) | 0x40u);
  return (bf16)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
#endif
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

#ifndef PRETEND

// 2 to the power of x, and 1 / x, with an error of some 1e-7 of them; 0 for what is nearly 0.
__device__ __forceinline__ float power(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

__device__ __forceinline__ float inverse(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

#else

__device__ __forceinline__ float power(float x) { return exp2f(x); }

__device__ __forceinline__ float inverse(float x) { return 1.0f / x; }

#endif

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

// The VECTOR elements that 16 bytes are.
__device__ __forceinline__ void unpack(uint4 found, float* to) {
  if constexpr (sizeof(T) == 2) {
    read_pair(found.x, to);
    read_pair(found.y, to + 2);
    read_pair(found.z, to + 4);
    read_pair(found.w, to + 6);
  } else {
    to[0] = __uint_as_float(found.x), to[1] = __uint_as_float(found.y);
    to[2] = __uint_as_float(found.z), to[3] = __uint_as_float(found.w);
  }
}

__device__ __forceinline__ uint4 packed(const float* from) {
  uint4 made;
  if constexpr (sizeof(T) == 2) {
    made.x = bf16_pair(from[0], from[1]), made.y = bf16_pair(from[2], from[3]);
    made.z = bf16_pair(from[4], from[5]), made.w = bf16_pair(from[6], from[7]);
  } else {
    made.x = __float_as_uint(from[0]), made.y = __float_as_uint(from[1]);
    made.z = __float_as_uint(from[2]), made.w = __float_as_uint(from[3]);
  }
  return made;
}

// W elements: one, or VECTOR of them that lie on 16 bytes.
template <int W>
__device__ __forceinline__ void read_vector(const T* at, float* to) {
  if constexpr (W == 1) to[0] = to_float(*at);
  else unpack(*(const uint4*)at, to);
}

template <int W>
__device__ __forceinline__ void write_vector(T* at, const float* from) {
  if constexpr (W == 1) put(at, from[0]);
  else *(uint4*)at = packed(from);
}

// Adds a number for each column, VECTOR of them that lie on 16 bytes.
__device__ __forceinline__ void add_columns(float* to, const float* of_columns) {
#pragma unroll
  for (int at = 0; at < VECTOR; at += 4) {
    float4 found = *(const float4*)(of_columns + at);
    to[at] += found.x, to[at + 1] += found.y, to[at + 2] += found.z, to[at + 3] += found.w;
  }
}

// n / by of a number that is not negative: by far less work where it fits 32 bits.
__device__ __forceinline__ long long over(long long n, int by) {
  return n >> 32 ? n / by : (long long)((u32)n / (u32)by);
}

// SplitMix64's finaliser.
__device__ __forceinline__ u64 mix(u64 x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

#define GOLDEN 0x9e3779b97f4a7c15ull

// Where the stream at an index below `state` begins.
__device__ __forceinline__ u64 stream_at(u64 state, u64 index) {
  return mix(state ^ mix(index + 0x517cc1b727220a95ull));
}

// Draw `index` of a stream, of 32 bits: two come of the same 64.
__device__ __forceinline__ u32 number_of(u64 stream, u32 index) {
  u64 both = mix(stream + (u64)(index / 2 + 1) * GOLDEN);
  return index & 1 ? (u32)(both >> 32) : (u32)both;
}

// Elements of one piece, which has a stream of its own.
#define PIECE_BITS 14

__device__ __forceinline__ u64 piece_of(u64 state, long long index) {
  return stream_at(state, (u64)index >> PIECE_BITS);
}

// Whether element `index`, in the piece that begins at `piece`, is left out: whether its number is
// below `limit`, which is at most 2^32.
__device__ __forceinline__ bool is_out(u64 piece, long long index, u64 limit) {
  return number_of(piece, (u32)index & ((1 << PIECE_BITS) - 1)) < limit;
}

// Which of W elements from `first` on, all in one piece, are kept: a bit for each. `first` is even, and
// `limit` not 0.
template <int W>
__device__ __forceinline__ u32 kept_of(u64 piece, long long first, u64 limit) {
  u64 at = piece + (u64)(((u32)first & ((1 << PIECE_BITS) - 1)) / 2) * GOLDEN;
  u32 most = (u32)(limit - 1), bits = 0;
#pragma unroll
  for (int i = 0; i < W; i += 2) {
    at += GOLDEN;
    u64 both = mix(at);
    bits |= ((u32)both > most ? 1u : 0u) << i;
    bits |= ((u32)(both >> 32) > most ? 2u : 0u) << i;
  }
  return bits;
}

// The chunks of a thread, and the elements of a block, where 256 threads take elements of one piece.
#define CHUNKS 4
#define SPAN (256 * CHUNKS * VECTOR)

// Which elements of the chunk from `first` on are kept: drawn and written down on the way there, and
// read on the way back; all where there is no limit.
template <bool BACK>
__device__ __forceinline__ u32 bits_of(u8* kept, u64 piece, long long first, u64 limit) {
  if (limit == 0) return FULL;
  u8* at = kept + (u64)first / VECTOR;
  if constexpr (BACK) return *at;
  u32 bits = kept_of<VECTOR>(piece, first, limit);
  *at = (u8)bits;
  return bits;
}

// Adds up what the threads of a block of 256 have for columns, VECTOR each, thread after thread in
// rows of `columns`, which divide 256 * VECTOR; writes the sums of the block.
__device__ __forceinline__ void write_columns(const float* own, float* to, int columns) {
  __shared__ float room[256][VECTOR + 1];
#pragma unroll
  for (int at = 0; at < VECTOR; at++) room[threadIdx.x][at] = own[at];
  __syncthreads();
  int across = columns / VECTOR;
  for (int column = threadIdx.x; column < columns; column += 256) {
    float sum = 0.0f;
    for (int row = column / VECTOR; row < 256; row += across) sum += room[row][column % VECTOR];
    to[column] = sum;
  }
}

// Of many arrays that one kernel works on, that of this block: where it is read and written, its size,
// and which of its blocks this is.
struct Array {
  const float* from;
  void* to;
  int rows, columns, block;
};

// `table` [count, 5]: these, and in the place of the last the first block, in ascending order.
__device__ __forceinline__ Array array_of(const long long* table, int count) {
  int first = 0, behind = count;
  while (behind - first > 1) {
    int middle = (first + behind) / 2;
    if (table[5 * middle + 4] <= (long long)blockIdx.x)
      first = middle;
    else
      behind = middle;
  }
  const long long* at = table + 5 * first;
  return {(const float*)at[0], (void*)at[1], (int)at[2], (int)at[3], (int)(blockIdx.x - at[4])};
}
