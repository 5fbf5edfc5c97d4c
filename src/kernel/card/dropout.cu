// Constant factors, and factors of 0 or more that are drawn: by the numbers of the CPU's streams.

#define WIDE (16 / (int)sizeof(T))

typedef unsigned long long u64;

struct alignas(16) Chunk {
  T values[WIDE];
};

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

// The factors themselves.
KERNEL draw(T* to, long long n, long long state, long long limit, float kept) {
  long long first = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * WIDE;
  if (first >= n) return;
  // Chunks do not cross pieces.
  u64 piece = piece_of((u64)state, first);
  Chunk chunk;
#pragma unroll
  for (int at = 0; at < WIDE; at++)
    put(&chunk.values[at], is_out(piece, first + at, (u64)limit) ? 0.0f : kept);
  if (first + WIDE <= n) {
    *(Chunk*)(to + first) = chunk;
    return;
  }
#pragma unroll
  for (int at = 0; at < WIDE; at++)
    if (first + at < n) to[first + at] = chunk.values[at];
}

// x times drawn factors, each for `run` elements in a row.
KERNEL drop(const T* x, T* y, long long n, int run, long long state, long long limit, float kept) {
  long long first = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * WIDE;
  bool is_even = (((u64)x | (u64)y) & 15) == 0 && first + WIDE <= n;
  if (run == 1 && is_even) {
    u64 piece = piece_of((u64)state, first);
    Chunk chunk = *(const Chunk*)(x + first);
#pragma unroll
    for (int at = 0; at < WIDE; at++) {
      float factor = is_out(piece, first + at, (u64)limit) ? 0.0f : kept;
      put(&chunk.values[at], to_float(chunk.values[at]) * factor);
    }
    *(Chunk*)(y + first) = chunk;
    return;
  }
  if (run % WIDE == 0 && is_even) {
    long long index = first / run;
    float factor = is_out(piece_of((u64)state, index), index, (u64)limit) ? 0.0f : kept;
    Chunk chunk = *(const Chunk*)(x + first);
#pragma unroll
    for (int at = 0; at < WIDE; at++)
      put(&chunk.values[at], to_float(chunk.values[at]) * factor);
    *(Chunk*)(y + first) = chunk;
    return;
  }
  for (int at = 0; at < WIDE && first + at < n; at++) {
    long long index = (first + at) / run;
    float factor = is_out(piece_of((u64)state, index), index, (u64)limit) ? 0.0f : kept;
    put(y + first + at, to_float(x[first + at]) * factor);
  }
}

// x times given factors, each for `run` elements in a row.
KERNEL scaled(const T* x, const float* factors, T* y, long long n, int run) {
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) put(y + i, to_float(x[i]) * factors[i / run]);
}
