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

// Factors of rows of `columns`, each with a stream of its own.
KERNEL draw_rows(T* to, long long n, int columns, long long state, long long limit, float kept) {
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  u64 row = stream_at((u64)state, (u64)(i / columns));
  put(to + i, number_of(row, (u32)(i % columns)) < (u64)limit ? 0.0f : kept);
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

// Factors that are drawn for each `run` elements in a row; of the runs that a block meets, where they
// are no shorter than a block, the one it begins in and the next.
struct Runs {
  int run;
  u64 state, limit;
  float kept;
  long long next;
  float here, there;

  __device__ __noinline__ float drawn(long long index) const {
    return is_out(piece_of(state, index), index, limit) ? 0.0f : kept;
  }

  __device__ Runs(long long base, int run, u64 state, u64 limit, float kept)
      : run(run), state(state), limit(limit), kept(kept), next(0), here(kept), there(kept) {
    if (limit == 0) return;
    long long index = over(base, run);
    next = (index + 1) * run;
    here = there = drawn(index);
    if (next < base + SPAN) there = drawn(index + 1);
  }

  // That of an element of a block whose runs are no shorter.
  __device__ float of_long(long long element) const { return element < next ? here : there; }

  __device__ __noinline__ float of(long long element) const {
    return limit ? drawn(element / run) : kept;
  }
};

// x plus a branch times drawn factors, one for each element and one for each `run` in a row, with a
// number for each column added to the branch before, if there are any; or, on the way back, the
// gradient of the branch from that of the outcome. `kept` has a byte for each chunk: which elements
// are, written on the way there. `parts` [blocks, columns], if it is there, gets the sums of columns
// of what is made. Runs are no shorter than a block, or SHORT.
template <bool BACK, bool SHORT>
__device__ __forceinline__ void add_branch(const T* __restrict__ x, const T* __restrict__ branch,
                                           const float* __restrict__ bias, T* __restrict__ y,
                                           u8* __restrict__ kept, float* __restrict__ parts,
                                           long long n, int columns, u64 state, u64 limit,
                                           float factor, int run, u64 run_state, u64 run_limit,
                                           float run_kept) {
  const long long block = (long long)blockIdx.x * SPAN, base = block + threadIdx.x * VECTOR;
  u64 piece = limit && !BACK ? piece_of(state, base) : 0;
  bool is_even = (((u64)x | (u64)branch | (u64)y | (u64)bias) & 15) == 0;
  // Then chunks are within runs too.
  if (is_even && columns % VECTOR == 0 && (!SHORT || run % VECTOR == 0)) {
    // Not unrolled: what is executed once has to be fetched as well. The next chunk is on its way
    // while one is worked on.
    uint4 found, before, after, before_after = make_uint4(0, 0, 0, 0);
    if (base < n) {
      after = *(const uint4*)(branch + base);
      if constexpr (!BACK) before_after = *(const uint4*)(x + base);
    }
    const Runs runs(block, run, run_state, run_limit, run_kept);
    int column = bias ? (int)(base - over(base, columns) * columns) : 0;
    int step = bias ? 256 * VECTOR % columns : 0;
    float sums[VECTOR] = {};
#pragma unroll 1
    for (int chunk = 0; chunk < CHUNKS; chunk++) {
      long long first = base + chunk * 256 * VECTOR, next = first + 256 * VECTOR;
      if (first >= n) break;
      found = after, before = before_after;
      if (next < n && chunk + 1 < CHUNKS) {
        after = *(const uint4*)(branch + next);
        if constexpr (!BACK) before_after = *(const uint4*)(x + next);
      }
      float made[VECTOR], of_x[VECTOR] = {};
      u32 bits = bits_of<BACK>(kept, piece, first, limit);
      unpack(found, made);
      if constexpr (!BACK) unpack(before, of_x);
      if (bias) add_columns(made, bias + column);
      float of_run = SHORT ? runs.drawn(over(first, run)) : runs.of_long(first);
#pragma unroll
      for (int at = 0; at < VECTOR; at++)
        made[at] = made[at] * (bits >> at & 1 ? factor : 0.0f) * of_run + of_x[at];
      write_vector<VECTOR>(y + first, made);
      if constexpr (BACK)
#pragma unroll
        for (int at = 0; at < VECTOR; at++) sums[at] += made[at];
      column += step;
      if (column >= columns) column -= columns;
    }
    if constexpr (BACK)
      if (parts) write_columns(sums, parts + (long long)blockIdx.x * columns, columns);
    return;
  }
  const Runs runs(block, run, run_state, run_limit, run_kept);
#pragma unroll 1
  for (int chunk = 0; chunk < CHUNKS; chunk++) {
    long long first = base + chunk * 256 * VECTOR;
    if (first >= n) break;
    u32 bits = bits_of<BACK>(kept, piece, first, limit);
#pragma unroll 1
    for (int at = 0; at < VECTOR && first + at < n; at++) {
      float made = to_float(branch[first + at]);
      if (bias) made += bias[(first + at) % columns];
      made *= (bits >> at & 1 ? factor : 0.0f) * runs.of(first + at);
      put(y + first + at, BACK ? made : made + to_float(x[first + at]));
    }
  }
}

__device__ __forceinline__ bool is_short(int run, long long run_limit) {
  return run_limit && run < SPAN;
}

#define ADD_BRANCH(BACK, SHORT, x, branch, bias, y, parts)                                      \
  add_branch<BACK, SHORT>(x, branch, bias, y, kept, parts, n, columns, (u64)state, (u64)limit,  \
                          factor, run, (u64)run_state, (u64)run_limit, run_kept)

// With no more registers than runs of a block's length take alone.
KERNEL __launch_bounds__(256, 5)
residual(const T* x, const T* branch, const float* bias, T* y, u8* kept, long long n, int columns,
         int run, long long state, long long limit, float factor, long long run_state,
         long long run_limit, float run_kept) {
  if (is_short(run, run_limit))
    ADD_BRANCH(false, true, x, branch, bias, y, nullptr);
  else
    ADD_BRANCH(false, false, x, branch, bias, y, nullptr);
}

KERNEL residual_back(const T* dy, T* dbranch, u8* kept, float* parts, long long n, int columns,
                     int run, long long state, long long limit, float factor, long long run_state,
                     long long run_limit, float run_kept) {
  if (is_short(run, run_limit))
    ADD_BRANCH(true, true, dy, dy, nullptr, dbranch, parts);
  else
    ADD_BRANCH(true, false, dy, dy, nullptr, dbranch, parts);
}

// x times given factors, each for `run` elements in a row.
KERNEL scaled(const T* x, const float* factors, T* y, long long n, int run) {
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) put(y + i, to_float(x[i]) * factors[i / run]);
}
