// Constant factors, and factors of 0 or more that are drawn: by the numbers of the CPU's streams.

#define WIDE (16 / (int)sizeof(T))

struct alignas(16) Chunk {
  T values[WIDE];
};

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

// A branch times drawn factors, one for each element and one for each `run` in a row; and `x`, if
// there is one, added to it.
KERNEL residual(const T* x, const T* branch, T* y, long long n, int run, long long state,
                long long limit, float kept, long long run_state, long long run_limit,
                float run_kept) {
  long long first = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * WIDE;
  if (first >= n) return;
  bool is_even = (((u64)x | (u64)branch | (u64)y) & 15) == 0 && first + WIDE <= n;
  u64 piece = piece_of((u64)state, first);
  Chunk of_x, chunk;
  if (is_even) {
    if (x) of_x = *(const Chunk*)(x + first);
    chunk = *(const Chunk*)(branch + first);
  } else {
    for (int at = 0; at < WIDE && first + at < n; at++) {
      if (x) of_x.values[at] = x[first + at];
      chunk.values[at] = branch[first + at];
    }
  }
  long long known = -1;
  float of_run = 0.0f;
#pragma unroll
  for (int at = 0; at < WIDE; at++) {
    if (first + at >= n) break;
    long long index = at > 0 && run % WIDE == 0 ? known : (first + at) / run;
    if (index != known) {
      known = index;
      of_run = is_out(piece_of((u64)run_state, index), index, (u64)run_limit) ? 0.0f : run_kept;
    }
    float factor = limit && is_out(piece, first + at, (u64)limit) ? 0.0f : kept;
    float value = to_float(chunk.values[at]) * factor * of_run;
    put(&chunk.values[at], x ? to_float(of_x.values[at]) + value : value);
  }
  if (is_even) {
    *(Chunk*)(y + first) = chunk;
    return;
  }
  for (int at = 0; at < WIDE && first + at < n; at++) y[first + at] = chunk.values[at];
}

// x times given factors, each for `run` elements in a row.
KERNEL scaled(const T* x, const float* factors, T* y, long long n, int run) {
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) put(y + i, to_float(x[i]) * factors[i / run]);
}
