// Attention of bf16 numbers on tensor cores: a block for each head of each sample, with all its rows
// in shared memory. A warp takes 16 queries, or 16 tokens, at a time, and passes what they are
// compared with in blocks of 16.

// A row of W numbers and what keeps rows that are read together in different banks.
#define LD (W + 8)

#define NEVER __int_as_float(0xff800000)

// Rows of queries and of keys and values lie `q_row` and `kv_row` elements apart.
#define INLINE __device__ __forceinline__

#define HEADS const bf16 *q, const bf16 *k, const bf16 *v
#define REST                                                                                    \
  const float *of_queries, const bf16 *of_pairs, int q_row, int kv_row, int queries, int tokens, \
      int heads, float scale
#define GIVEN of_queries, of_pairs, q_row, kv_row, queries, tokens, heads, scale

INLINE int lane_of() { return threadIdx.x & 31; }

#ifndef PRETEND

INLINE u32 place_of(const bf16* shared) {
  u32 at;
  asm("{ .reg .u64 all; cvta.to.shared.u64 all, %1; cvt.u32.u64 %0, all; }" : "=r"(at) : "l"(shared));
  return at;
}

// Four matrices of 8 x 8; each lane gives where a row begins, those of the first matrix first.
#define LOAD4(HOW)                                                                           \
  asm volatile("ldmatrix.sync.aligned.m8n8.x4" HOW ".shared.b16 {%0, %1, %2, %3}, [%4];"      \
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])                           \
               : "r"(place_of(row))                                                           \
               : "memory")

INLINE void load4(u32 (&to)[4], const bf16* row) { LOAD4(""); }

// The same, each matrix transposed.
INLINE void load4_turned(u32 (&to)[4], const bf16* row) { LOAD4(".trans"); }

// sum += a b, of 16 x 16 by 16 x 8.
INLINE void multiply(float (&sum)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Two numbers rounded, the first in the lower bits.
INLINE u32 pair_of(float low, float high) {
  u32 both;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
  return both;
}

#else

INLINE const bf16* row_of(const bf16* own, int lane) {
  unsigned long long at = (unsigned long long)own;
  u32 low = __shfl_sync(FULL, (u32)at, lane), high = __shfl_sync(FULL, (u32)(at >> 32), lane);
  return (const bf16*)((unsigned long long)high << 32 | low);
}

INLINE void load4(u32 (&to)[4], const bf16* row) {
  int group = lane_of() / 4, at = 2 * (lane_of() % 4);
  for (int i = 0; i < 4; i++) to[i] = *(const u32*)(row_of(row, 8 * i + group) + at);
}

INLINE void load4_turned(u32 (&to)[4], const bf16* row) {
  int group = lane_of() / 4, at = 2 * (lane_of() % 4);
  for (int i = 0; i < 4; i++) {
    const bf16 *low = row_of(row, 8 * i + at), *high = row_of(row, 8 * i + at + 1);
    to[i] = (u32)low[group] | (u32)high[group] << 16;
  }
}

INLINE void multiply(float (&sum)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  int group = lane_of() / 4, column = 2 * (lane_of() % 4);
  for (int k = 0; k < 8; k++) {
    u32 top = __shfl_sync(FULL, a[k / 4 * 2], group * 4 + k % 4), b = k / 4 ? b1 : b0;
    u32 bottom = __shfl_sync(FULL, a[k / 4 * 2 + 1], group * 4 + k % 4);
    u32 left = __shfl_sync(FULL, b, column * 4 + k % 4);
    u32 right = __shfl_sync(FULL, b, (column + 1) * 4 + k % 4);
    for (int half = 0; half < 2; half++) {
      float l = to_float((bf16)(left >> 16 * half)), r = to_float((bf16)(right >> 16 * half));
      float x = to_float((bf16)(top >> 16 * half)), y = to_float((bf16)(bottom >> 16 * half));
      sum[0] += x * l, sum[1] += x * r, sum[2] += y * l, sum[3] += y * r;
    }
  }
}

INLINE u32 pair_of(float low, float high) {
  return (u32)to_bf16(low) | (u32)to_bf16(high) << 16;
}

#endif

// 16 rows as left factors: for each step of 16 columns.
template <int W>
INLINE void left_of(u32 (&to)[W / 16][4], const bf16* rows) {
#pragma unroll
  for (int step = 0; step < W / 16; step++)
    load4(to[step], rows + (lane_of() % 16) * LD + step * 16 + lane_of() / 16 * 8);
}

// The products of 16 rows with 16 others: [half of the others][of a lane].
template <int W>
INLINE void compare(float (&to)[2][4], const u32 (&left)[W / 16][4], const bf16* others) {
  const bf16* row = others + (lane_of() % 8 + lane_of() / 16 * 8) * LD + lane_of() / 8 % 2 * 8;
#pragma unroll
  for (int i = 0; i < 8; i++) to[i / 4][i % 4] = 0.0f;
#pragma unroll
  for (int step = 0; step < W / 16; step++) {
    u32 right[4];
    load4(right, row + step * 16);
    multiply(to[0], left[step], right[0], right[1]);
    multiply(to[1], left[step], right[2], right[3]);
  }
}

// Adds the products of 16 x 16 pairs, as `compare` gives them, with 16 rows.
template <int W>
INLINE void mix(float (&to)[W / 8][4], const float (&pairs)[2][4], const bf16* rows) {
  u32 left[4] = {pair_of(pairs[0][0], pairs[0][1]), pair_of(pairs[0][2], pairs[0][3]),
                 pair_of(pairs[1][0], pairs[1][1]), pair_of(pairs[1][2], pairs[1][3])};
  const bf16* row = rows + (lane_of() % 16) * LD + lane_of() / 16 * 8;
#pragma unroll
  for (int step = 0; step < W / 16; step++) {
    u32 right[4];
    load4_turned(right, row + step * 16);
    multiply(to[2 * step], left, right[0], right[1]);
    multiply(to[2 * step + 1], left, right[2], right[3]);
  }
}

// The row of a lane's pair `i` among 16, and its column, in half `half`.
INLINE int row_at(int i) { return lane_of() / 4 + (i >> 1) * 8; }

INLINE int column_at(int half, int i) {
  return half * 8 + 2 * (lane_of() % 4) + (i & 1);
}

// Sums, or largest numbers, of rows: over the four lanes that have one.
INLINE float row_sum(float x) {
  x += __shfl_xor_sync(FULL, x, 1);
  return x + __shfl_xor_sync(FULL, x, 2);
}

INLINE float row_max(float x) {
  x = fmaxf(x, __shfl_xor_sync(FULL, x, 1));
  return fmaxf(x, __shfl_xor_sync(FULL, x, 2));
}

// Rows in shared memory, 0 behind the last up to a multiple of 16.
template <int W>
INLINE void load(const bf16* from, int row, int rows, bf16* to) {
  const int wide = W / 8, all = (rows + 15) / 16 * 16 * wide;
  for (int i = threadIdx.x; i < all; i += blockDim.x) {
    int r = i / wide, c = i % wide * 8;
    uint4 chunk = make_uint4(0, 0, 0, 0);
    if (r < rows) chunk = *(const uint4*)(from + (long long)r * row + c);
    *(uint4*)(to + r * LD + c) = chunk;
  }
}

// 16 rows of a lane's sums, each times a factor, where there are that many.
template <int W>
INLINE void store(const float (&from)[W / 8][4], float top, float bottom, bf16* to, int row,
                  int rows) {
#pragma unroll
  for (int i = 0; i < W / 4; i++) {
    int at = i / 2, half = i % 2, r = row_at(2 * half), column = at * 8 + 2 * (lane_of() % 4);
    float by = half ? bottom : top, low = from[at][2 * half], high = from[at][2 * half + 1];
    if (r < rows) *(u32*)(to + (long long)r * row + column) = pair_of(low * by, high * by);
  }
}

// The softmax of a lane's two rows so far.
struct Soft {
  float most[2], sums[2];
};

// Turns the products of one more block of tokens into exponentials; `less` is by what sums before
// are to shrink. Sums are of a lane's own pairs. `tokens` are left from this block on.
INLINE void soften(float (&pairs)[2][4], const float (&factors)[2], int tokens, Soft& soft,
                   float (&less)[2]) {
#pragma unroll
  for (int row = 0; row < 2; row++) {
    float most = NEVER, sum = 0.0f;
#pragma unroll
    for (int j = 0; j < 4; j++) {
      float& x = pairs[j / 2][2 * row + j % 2];
      x = column_at(j / 2, j % 2) < tokens ? x * factors[row] : NEVER;
      most = fmaxf(most, x);
    }
    most = fmaxf(row_max(most), soft.most[row]);
    less[row] = __expf(soft.most[row] - most);
#pragma unroll
    for (int j = 0; j < 4; j++) {
      float& x = pairs[j / 2][2 * row + j % 2];
      x = __expf(x - most);
      sum += x;
    }
    soft.sums[row] = soft.sums[row] * less[row] + sum;
    soft.most[row] = most;
  }
}

template <int W>
INLINE void forward(HEADS, bf16* y, REST) {
  extern __shared__ uint4 shared[];
  int sample = blockIdx.x / heads, head = blockIdx.x % heads, total = heads * W;
  int upper = (tokens + 15) / 16 * 16, warps = blockDim.x >> 5;
  bf16 *ks = (bf16*)shared, *vs = ks + upper * LD, *qs = vs + upper * LD;
  const long long begin = (long long)sample * queries, at = (long long)sample * tokens * kv_row;
  load<W>(q + begin * q_row + head * W, q_row, queries, qs);
  load<W>(k + at + head * W, kv_row, tokens, ks);
  load<W>(v + at + head * W, kv_row, tokens, vs);
  __syncthreads();
  for (int first = (threadIdx.x >> 5) * 16; first < queries; first += warps * 16) {
    u32 left[W / 16][4];
    left_of<W>(left, qs + first * LD);
    float to[W / 8][4] = {}, factors[2], less[2];
    Soft soft = {{NEVER, NEVER}, {0.0f, 0.0f}};
    bool is_there[2];
#pragma unroll
    for (int row = 0; row < 2; row++) {
      int query = first + row_at(2 * row);
      is_there[row] = query < queries;
      factors[row] = of_queries && is_there[row] ? scale * of_queries[begin + query] : scale;
    }
    const bf16* by = of_pairs + ((long long)blockIdx.x * queries + first) * tokens;
    for (int block = 0; block < tokens; block += 16) {
      float pairs[2][4];
      compare<W>(pairs, left, ks + block * LD);
      soften(pairs, factors, tokens - block, soft, less);
#pragma unroll
      for (int i = 0; i < 4; i++)
#pragma unroll
        for (int step = 0; step < W / 8; step++) to[step][i] *= less[i >> 1];
      if (of_pairs) {
#pragma unroll
        for (int j = 0; j < 8; j++) {
          int i = j % 4, token = block + column_at(j / 4, i);
          if (is_there[i >> 1] && token < tokens)
            pairs[j / 4][i] *= to_float(by[(long long)row_at(i) * tokens + token]);
        }
      }
      mix<W>(to, pairs, vs + block * LD);
    }
    float top = 1.0f / row_sum(soft.sums[0]), bottom = 1.0f / row_sum(soft.sums[1]);
    store<W>(to, top, bottom, y + (begin + first) * total + head * W, total, queries - first);
  }
}

// What is known of each query on the way back, in shared memory: the logarithm of the sum of its
// exponentials, the product of its output and gradient, and the factor on its logits.
struct Known {
  float *log, *dot, *factor;
};

// Loads the output's gradient beside `load`, and its product with the output.
template <int W>
INLINE void load_back(const bf16* y, const bf16* dy, int row, int rows, bf16* to, float* dots) {
  const int wide = W / 8, all = (rows + 15) / 16 * 16 * wide;
  for (int start = 0; start < all; start += blockDim.x) {
    int i = start + threadIdx.x, r = i / wide, c = i % wide * 8;
    uint4 chunk = make_uint4(0, 0, 0, 0), other = chunk;
    if (r < rows) {
      chunk = *(const uint4*)(dy + (long long)r * row + c);
      other = *(const uint4*)(y + (long long)r * row + c);
    }
    u32 a[4] = {chunk.x, chunk.y, chunk.z, chunk.w}, b[4] = {other.x, other.y, other.z, other.w};
    float dot = 0.0f;
#pragma unroll
    for (int at = 0; at < 4; at++)
      dot += to_float((bf16)a[at]) * to_float((bf16)b[at]) +
             to_float((bf16)(a[at] >> 16)) * to_float((bf16)(b[at] >> 16));
#pragma unroll
    for (int by = 1; by < wide; by *= 2) dot += __shfl_xor_sync(FULL, dot, by);
    if (i >= all) continue;
    *(uint4*)(to + r * LD + c) = chunk;
    if (c == 0) dots[r] = dot;
  }
}

// The gradient of 16 queries from `first` on, of which `log` becomes known.
template <int W>
INLINE void back_to_queries(float (&to)[W / 8][4], const bf16* qs, const bf16* ks, const bf16* vs,
                            const bf16* dys, const Known& known, const bf16* by, int first,
                            int queries, int tokens) {
  u32 left[W / 16][4], slopes[W / 16][4];
  left_of<W>(left, qs + first * LD);
  left_of<W>(slopes, dys + first * LD);
  float factors[2], dots[2], logs[2], less[2], pairs[2][4], back[2][4];
  Soft soft = {{NEVER, NEVER}, {0.0f, 0.0f}};
#pragma unroll
  for (int row = 0; row < 2; row++) {
    factors[row] = known.factor[first + row_at(2 * row)];
    dots[row] = known.dot[first + row_at(2 * row)];
  }
  for (int block = 0; block < tokens; block += 16) {
    compare<W>(pairs, left, ks + block * LD);
    soften(pairs, factors, tokens - block, soft, less);
  }
#pragma unroll
  for (int row = 0; row < 2; row++) {
    logs[row] = soft.most[row] + __logf(row_sum(soft.sums[row]));
    if (lane_of() % 4 == 0) known.log[first + row_at(2 * row)] = logs[row];
  }
  for (int block = 0; block < tokens; block += 16) {
    compare<W>(pairs, left, ks + block * LD);
    compare<W>(back, slopes, vs + block * LD);
#pragma unroll
    for (int j = 0; j < 8; j++) {
      int half = j / 4, i = j % 4, row = i >> 1, token = block + column_at(half, i);
      bool is_there = token < tokens && first + row_at(i) < queries;
      float share = is_there ? __expf(pairs[half][i] * factors[row] - logs[row]) : 0.0f;
      float factor = by && is_there ? to_float(by[(long long)(first + row_at(i)) * tokens + token]) : 1.0f;
      pairs[half][i] = share * (back[half][i] * factor - dots[row]) * factors[row];
    }
    mix<W>(to, pairs, ks + block * LD);
  }
}

// The gradients of 16 keys and values from `first` on.
template <int W>
INLINE void back_to_tokens(float (&dk)[W / 8][4], float (&dv)[W / 8][4], const bf16* qs,
                           const bf16* ks, const bf16* vs, const bf16* dys, const Known& known,
                           const bf16* by, int first, int queries, int tokens) {
  u32 keys[W / 16][4], values[W / 16][4];
  left_of<W>(keys, ks + first * LD);
  left_of<W>(values, vs + first * LD);
  for (int block = 0; block < queries; block += 16) {
    float pairs[2][4], back[2][4];
    compare<W>(pairs, keys, qs + block * LD);
    compare<W>(back, values, dys + block * LD);
#pragma unroll
    for (int j = 0; j < 8; j++) {
      int half = j / 4, i = j % 4, query = block + column_at(half, i), token = first + row_at(i);
      bool is_there = token < tokens && query < queries;
      float by_logit = known.factor[query];
      float share = is_there ? __expf(pairs[half][i] * by_logit - known.log[query]) : 0.0f;
      float factor = by && is_there ? to_float(by[(long long)query * tokens + token]) : 1.0f;
      back[half][i] = share * (back[half][i] * factor - known.dot[query]) * by_logit;
      pairs[half][i] = share * factor;
    }
    mix<W>(dv, pairs, dys + block * LD);
    mix<W>(dk, back, qs + block * LD);
  }
}

template <int W>
INLINE void backward(HEADS, const bf16* y, const bf16* dy, bf16* dq, bf16* dk, bf16* dv, REST) {
  extern __shared__ uint4 shared[];
  int sample = blockIdx.x / heads, head = blockIdx.x % heads, total = heads * W;
  int upper = (tokens + 15) / 16 * 16, asking = (queries + 15) / 16 * 16;
  int begin_at = (threadIdx.x >> 5) * 16, step = (blockDim.x >> 5) * 16;
  bf16 *ks = (bf16*)shared, *vs = ks + upper * LD, *qs = vs + upper * LD, *dys = qs + asking * LD;
  float* numbers = (float*)(dys + asking * LD);
  Known known = {numbers, numbers + asking, numbers + 2 * asking};
  const long long begin = (long long)sample * queries, out = begin * total + head * W;
  const long long of_q = begin * q_row + head * W;
  const long long of_kv = (long long)sample * tokens * kv_row + head * W;
  load<W>(q + of_q, q_row, queries, qs);
  load<W>(k + of_kv, kv_row, tokens, ks);
  load<W>(v + of_kv, kv_row, tokens, vs);
  load_back<W>(y + out, dy + out, total, queries, dys, known.dot);
  for (int i = threadIdx.x; i < asking; i += blockDim.x)
    known.factor[i] = of_queries && i < queries ? scale * of_queries[begin + i] : scale;
  __syncthreads();
  const bf16* by = of_pairs ? of_pairs + (long long)blockIdx.x * queries * tokens : of_pairs;
  for (int first = begin_at; first < queries; first += step) {
    float to[W / 8][4] = {};
    back_to_queries<W>(to, qs, ks, vs, dys, known, by, first, queries, tokens);
    store<W>(to, 1.0f, 1.0f, dq + of_q + (long long)first * q_row, q_row, queries - first);
  }
  __syncthreads();
  for (int first = begin_at; first < tokens; first += step) {
    float keys[W / 8][4] = {}, values[W / 8][4] = {};
    back_to_tokens<W>(keys, values, qs, ks, vs, dys, known, by, first, queries, tokens);
    const long long to = of_kv + (long long)first * kv_row;
    store<W>(keys, 1.0f, 1.0f, dk + to, kv_row, tokens - first);
    store<W>(values, 1.0f, 1.0f, dv + to, kv_row, tokens - first);
  }
}

#define OF(W)                                                                                   \
  KERNEL __launch_bounds__(256) attention_##W(HEADS, bf16* y, REST) {                             \
    forward<W>(q, k, v, y, GIVEN);                                                                \
  }                                                                                               \
  KERNEL __launch_bounds__(256) attention_back_##W(HEADS, const bf16* y, const bf16* dy, bf16* dq, \
                                                   bf16* dk, bf16* dv, REST) {                    \
    backward<W>(q, k, v, y, dy, dq, dk, dv, GIVEN);                                               \
  }

OF(16)
OF(32)
OF(64)
