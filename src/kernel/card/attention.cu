// Attention in tiles of queries by tiles of tokens, for any sizes: 16 x 16 threads, each with
// PER x PER pairs of a tile. Blocks are samples and heads by tiles. Nothing is kept of all pairs; the
// way back computes logits anew.

#define PER 5
#define TILE (16 * PER)

#define NEVER __int_as_float(0xff800000)

// Rows of queries and of keys and values lie `q_row` and `kv_row` elements apart.
#define SIZES int q_row, int kv_row, int queries, int tokens, int heads, int width, float scale

__device__ __forceinline__ int across() { return threadIdx.x & 15; }

__device__ __forceinline__ int down() { return threadIdx.x >> 4; }

// Some rows in shared memory, 0 behind the last.
__device__ __forceinline__ void load(const T* from, int row, int first, int end, int width,
                                     float* to) {
  for (int i = threadIdx.x; i < TILE * width; i += blockDim.x) {
    int r = i / width, c = i % width;
    to[r * (width + 1) + c] = first + r < end ? to_float(from[(long long)(first + r) * row + c]) : 0.0f;
  }
}

// The products of rows of `a`, down, with rows of `b`, across.
__device__ __forceinline__ void compare(const float* a, const float* b, int width,
                                        float (&to)[PER][PER]) {
#pragma unroll
  for (int i = 0; i < PER; i++)
#pragma unroll
    for (int j = 0; j < PER; j++) to[i][j] = 0.0f;
  a += down() * (width + 1);
  b += across() * (width + 1);
  for (int w = 0; w < width; w++) {
    float left[PER], right[PER];
#pragma unroll
    for (int i = 0; i < PER; i++) left[i] = a[i * 16 * (width + 1) + w];
#pragma unroll
    for (int j = 0; j < PER; j++) right[j] = b[j * 16 * (width + 1) + w];
#pragma unroll
    for (int i = 0; i < PER; i++)
#pragma unroll
      for (int j = 0; j < PER; j++) to[i][j] += left[i] * right[j];
  }
}

// Adds to what a thread has of each row, down, and of columns 16 apart: sums over `inner` of pairs
// times rows of `b`. Pair (row, at) is `pairs[row * by + at * step]`.
template <int COLUMNS>
__device__ __forceinline__ void mix(const float* pairs, int by, int step, const float* b, int width,
                                    float (&to)[PER][COLUMNS]) {
  pairs += down() * by;
  b += across();
  for (int at = 0; at < TILE; at++) {
    float left[PER];
#pragma unroll
    for (int i = 0; i < PER; i++) left[i] = pairs[i * 16 * by + at * step];
#pragma unroll
    for (int j = 0; j < COLUMNS; j++) {
      float right = across() + 16 * j < width ? b[at * (width + 1) + 16 * j] : 0.0f;
#pragma unroll
      for (int i = 0; i < PER; i++) to[i][j] += left[i] * right;
    }
  }
}

template <int COLUMNS>
__device__ __forceinline__ void store(const float (&from)[PER][COLUMNS], const float* factors, T* to,
                                      int row, int first, int end, int width) {
#pragma unroll
  for (int i = 0; i < PER; i++) {
    int r = down() + 16 * i;
    if (first + r >= end) continue;
    float factor = factors ? factors[r] : 1.0f;
#pragma unroll
    for (int j = 0; j < COLUMNS; j++) {
      int c = across() + 16 * j;
      if (c < width) put(to + (long long)(first + r) * row + c, from[i][j] * factor);
    }
  }
}

// What logits of a tile's queries are multiplied by.
__device__ __forceinline__ void factors_of(const float* of_queries, float scale, int first, int end,
                                           float* to) {
  for (int r = threadIdx.x; r < TILE; r += blockDim.x)
    to[r] = first + r < end && of_queries ? scale * of_queries[first + r] : scale;
}

// Where pairs of a tile have their logits: rows TILE + 1 apart, never chosen behind the last token.
__device__ __forceinline__ void put_logits(const float (&dots)[PER][PER], const float* factors,
                                           int tokens, float* to) {
#pragma unroll
  for (int i = 0; i < PER; i++)
#pragma unroll
    for (int j = 0; j < PER; j++) {
      int r = down() + 16 * i, c = across() + 16 * j;
      to[r * (TILE + 1) + c] = c < tokens ? dots[i][j] * factors[r] : NEVER;
    }
}

// The softmax of rows so far: turns logits of one more tile into exponentials, and keeps the
// largest logit, the sum, and by what sums before are to shrink. A warp for a row at a time.
__device__ __forceinline__ void soften(float* logits, float* most, float* sums, float* shrink,
                                       bool is_first) {
  int lane = threadIdx.x & 31, warps = blockDim.x >> 5;
  for (int r = threadIdx.x >> 5; r < TILE; r += warps) {
    float* row = logits + r * (TILE + 1);
    float largest = NEVER, sum = 0.0f;
    for (int c = lane; c < TILE; c += 32) largest = fmaxf(largest, row[c]);
    float before = is_first ? NEVER : most[r];
    largest = fmaxf(warp_max(largest), before);
    for (int c = lane; c < TILE; c += 32) {
      row[c] = expf(row[c] - largest);
      sum += row[c];
    }
    sum = warp_sum(sum);
    if (lane == 0) {
      float less = expf(before - largest);
      shrink[r] = less;
      sums[r] = (is_first ? 0.0f : sums[r] * less) + sum;
      most[r] = largest;
    }
    __syncwarp();
  }
}

__device__ __forceinline__ void invert(float* sums) {
  for (int r = threadIdx.x; r < TILE; r += blockDim.x) sums[r] = 1.0f / sums[r];
}

template <int COLUMNS>
__device__ __forceinline__ void forward(const T* q, const T* k, const T* v, T* y,
                                        const float* of_queries, const T* of_pairs, SIZES) {
  extern __shared__ float shared[];
  int sample = blockIdx.x / heads, head = blockIdx.x % heads, first = blockIdx.y * TILE;
  float *qs = shared, *ks = qs + TILE * (width + 1), *vs = ks + TILE * (width + 1);
  float *pairs = vs + TILE * (width + 1), *factors = pairs + TILE * (TILE + 1);
  float *most = factors + TILE, *sums = most + TILE, *shrink = sums + TILE;
  load(q + (long long)sample * queries * q_row + head * width, q_row, first, queries, width, qs);
  factors_of(of_queries ? of_queries + (long long)sample * queries : 0, scale, first, queries,
             factors);
  const long long rows = (long long)sample * tokens * kv_row + head * width;
  float to[PER][COLUMNS] = {};
  for (int start = 0; start < tokens; start += TILE) {
    __syncthreads();
    load(k + rows, kv_row, start, tokens, width, ks);
    load(v + rows, kv_row, start, tokens, width, vs);
    __syncthreads();
    float dots[PER][PER];
    compare(qs, ks, width, dots);
    put_logits(dots, factors, tokens - start, pairs);
    __syncthreads();
    soften(pairs, most, sums, shrink, start == 0);
    __syncthreads();
    if (of_pairs) {
      for (int i = threadIdx.x; i < TILE * TILE; i += blockDim.x) {
        int r = i / TILE, c = i % TILE;
        if (first + r < queries && start + c < tokens)
          pairs[r * (TILE + 1) + c] *= to_float(
              of_pairs[((long long)blockIdx.x * queries + first + r) * tokens + start + c]);
      }
      __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < PER; i++)
#pragma unroll
      for (int j = 0; j < COLUMNS; j++) to[i][j] *= shrink[down() + 16 * i];
    mix(pairs, TILE + 1, 1, vs, width, to);
  }
  __syncthreads();
  invert(sums);
  __syncthreads();
  int total = heads * width;
  store(to, sums, y + (long long)sample * queries * total + head * width, total, first, queries,
        width);
}

#define OF(COLUMNS)                                                                              \
  KERNEL attention_##COLUMNS(const T* q, const T* k, const T* v, T* y, const float* of_queries,   \
                             const T* of_pairs, SIZES) {                                          \
    forward<COLUMNS>(q, k, v, y, of_queries, of_pairs, q_row, kv_row, queries, tokens, heads,     \
                     width, scale);                                                               \
  }

OF(2)
OF(4)
OF(8)
#undef OF

// Of each pair of a tile its share of the output, `kept`, where that is asked, and the gradient of
// its logit, `slopes`; both 0 behind the last query and token. `of_rows` has the largest logit, the
// inverse of the sum, and the product of output and gradient of each query.
__device__ __forceinline__ void slopes_of(const float* qs, const float* ks, const float* dys,
                                          const float* vs, int width, const float* factors,
                                          const float* of_rows, const T* of_pairs, int tokens,
                                          int rows, int columns, float* kept, float* slopes) {
  float dots[PER][PER], back[PER][PER];
  compare(qs, ks, width, dots);
  compare(dys, vs, width, back);
#pragma unroll
  for (int i = 0; i < PER; i++)
#pragma unroll
    for (int j = 0; j < PER; j++) {
      int r = down() + 16 * i, c = across() + 16 * j;
      bool is_inside = r < rows && c < columns;
      const float* row = of_rows + 3 * r;
      float share = is_inside ? expf(dots[i][j] * factors[r] - row[0]) * row[1] : 0.0f;
      float by = is_inside && of_pairs ? to_float(of_pairs[(long long)r * tokens + c]) : 1.0f;
      if (kept) kept[r * (TILE + 1) + c] = share * by;
      slopes[r * (TILE + 1) + c] = is_inside ? share * (back[i][j] * by - row[2]) * factors[r] : 0.0f;
    }
}

// The gradient of queries; `of_rows` [samples, heads, queries, 3] is left for that of the others.
template <int COLUMNS>
__device__ __forceinline__ void back_to_queries(const T* q, const T* k, const T* v, const T* y,
                                                const T* dy, T* dq, float* of_rows,
                                                const float* of_queries, const T* of_pairs, SIZES) {
  extern __shared__ float shared[];
  int sample = blockIdx.x / heads, head = blockIdx.x % heads, first = blockIdx.y * TILE;
  float *qs = shared, *ks = qs + TILE * (width + 1), *vs = ks + TILE * (width + 1);
  float *dys = vs + TILE * (width + 1), *pairs = dys + TILE * (width + 1);
  float *factors = pairs + TILE * (TILE + 1), *most = factors + TILE, *sums = most + TILE;
  float *shrink = sums + TILE, *rows = shrink + TILE;
  int total = heads * width, lane = threadIdx.x & 31;
  const long long begin = (long long)sample * queries, out = begin * total + head * width;
  load(q + begin * q_row + head * width, q_row, first, queries, width, qs);
  load(dy + out, total, first, queries, width, dys);
  factors_of(of_queries ? of_queries + begin : 0, scale, first, queries, factors);
  const long long at = (long long)sample * tokens * kv_row + head * width;
  for (int start = 0; start < tokens; start += TILE) {
    __syncthreads();
    load(k + at, kv_row, start, tokens, width, ks);
    __syncthreads();
    float dots[PER][PER];
    compare(qs, ks, width, dots);
    put_logits(dots, factors, tokens - start, pairs);
    __syncthreads();
    soften(pairs, most, sums, shrink, start == 0);
  }
  __syncthreads();
  for (int r = threadIdx.x >> 5; r < TILE; r += blockDim.x >> 5) {
    float dot = 0.0f;
    for (int c = lane; c < width && first + r < queries; c += 32)
      dot += to_float(y[out + (long long)(first + r) * total + c]) * dys[r * (width + 1) + c];
    dot = warp_sum(dot);
    if (lane != 0) continue;
    rows[3 * r] = most[r];
    rows[3 * r + 1] = 1.0f / sums[r];
    rows[3 * r + 2] = dot;
  }
  __syncthreads();
  const long long base = (long long)blockIdx.x * queries + first;
  for (int i = threadIdx.x; i < 3 * TILE && i / 3 + first < queries; i += blockDim.x)
    of_rows[3 * base + i] = rows[i];
  float to[PER][COLUMNS] = {};
  for (int start = 0; start < tokens; start += TILE) {
    __syncthreads();
    load(k + at, kv_row, start, tokens, width, ks);
    load(v + at, kv_row, start, tokens, width, vs);
    __syncthreads();
    slopes_of(qs, ks, dys, vs, width, factors, rows, of_pairs ? of_pairs + base * tokens + start : 0,
              tokens, queries - first, tokens - start, 0, pairs);
    __syncthreads();
    mix(pairs, TILE + 1, 1, ks, width, to);
  }
  store(to, (const float*)0, dq + begin * q_row + head * width, q_row, first, queries, width);
}

// The gradients of keys and values; blocks are samples and heads by tiles of tokens.
template <int COLUMNS>
__device__ __forceinline__ void back_to_tokens(const T* q, const T* k, const T* v, const T* dy,
                                               T* dk, T* dv, const float* of_rows,
                                               const float* of_queries, const T* of_pairs, SIZES) {
  extern __shared__ float shared[];
  int sample = blockIdx.x / heads, head = blockIdx.x % heads, start = blockIdx.y * TILE;
  float *qs = shared, *ks = qs + TILE * (width + 1), *vs = ks + TILE * (width + 1);
  float *dys = vs + TILE * (width + 1), *kept = dys + TILE * (width + 1);
  float *slopes = kept + TILE * (TILE + 1), *factors = slopes + TILE * (TILE + 1);
  float* rows = factors + TILE;
  int total = heads * width;
  const long long begin = (long long)sample * queries;
  const long long at = (long long)sample * tokens * kv_row + head * width;
  load(k + at, kv_row, start, tokens, width, ks);
  load(v + at, kv_row, start, tokens, width, vs);
  float dks[PER][COLUMNS] = {}, dvs[PER][COLUMNS] = {};
  for (int first = 0; first < queries; first += TILE) {
    __syncthreads();
    load(q + begin * q_row + head * width, q_row, first, queries, width, qs);
    load(dy + begin * total + head * width, total, first, queries, width, dys);
    factors_of(of_queries ? of_queries + begin : 0, scale, first, queries, factors);
    const long long base = (long long)blockIdx.x * queries + first;
    for (int i = threadIdx.x; i < 3 * TILE; i += blockDim.x)
      rows[i] = i / 3 + first < queries ? of_rows[3 * base + i] : 0.0f;
    __syncthreads();
    slopes_of(qs, ks, dys, vs, width, factors, rows, of_pairs ? of_pairs + base * tokens + start : 0,
              tokens, queries - first, tokens - start, kept, slopes);
    __syncthreads();
    mix(slopes, 1, TILE + 1, qs, width, dks);
    mix(kept, 1, TILE + 1, dys, width, dvs);
  }
  store(dks, (const float*)0, dk + at, kv_row, start, tokens, width);
  store(dvs, (const float*)0, dv + at, kv_row, start, tokens, width);
}

#define OF(COLUMNS)                                                                              \
  KERNEL attention_to_queries_##COLUMNS(const T* q, const T* k, const T* v, const T* y,           \
                                        const T* dy, T* dq, float* of_rows,                       \
                                        const float* of_queries, const T* of_pairs, SIZES) {      \
    back_to_queries<COLUMNS>(q, k, v, y, dy, dq, of_rows, of_queries, of_pairs, q_row, kv_row,    \
                             queries, tokens, heads, width, scale);                               \
  }                                                                                               \
  KERNEL attention_to_tokens_##COLUMNS(const T* q, const T* k, const T* v, const T* dy, T* dk,    \
                                       T* dv, const float* of_rows, const float* of_queries,      \
                                       const T* of_pairs, SIZES) {                                \
    back_to_tokens<COLUMNS>(q, k, v, dy, dk, dv, of_rows, of_queries, of_pairs, q_row, kv_row,    \
                            queries, tokens, heads, width, scale);                                \
  }

OF(2)
OF(4)
OF(8)
