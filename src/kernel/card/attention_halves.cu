// Attention of bf16 numbers on tensor cores: a block for each head of each sample, with all its rows
// in shared memory. A warp takes 16 queries, or 16 tokens, at a time, and passes what they are
// compared with in blocks of 16.

#define NEVER __int_as_float(0xff800000)

// Rows of queries and of keys and values lie `q_row` and `kv_row` elements apart.
#define HEADS const bf16 *q, const bf16 *k, const bf16 *v
#define REST                                                                                    \
  const float *of_queries, float *logs, u8 *kept, long long state, long long limit,              \
      float keeping, int q_row, int kv_row, int queries, int tokens, int heads, float scale
#define GIVEN \
  of_queries, logs, kept, state, limit, keeping, q_row, kv_row, queries, tokens, heads, scale

// Fetches rows into shared memory, 0 behind the last up to a multiple of 16.
template <int W>
INLINE void load(const bf16* from, int row, int rows, bf16* to) {
  const int wide = W / 8, all = (rows + 15) / 16 * 16 * wide;
  for (int i = threadIdx.x; i < all; i += blockDim.x) {
    int r = i / wide, c = i % wide * 8;
    bool is_there = r < rows;
    fetch(to + r * LD + c, from + (is_there ? (long long)r * row + c : 0), is_there);
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
    if (r < rows) *(u32*)(to + (long long)r * row + column) = bf16_pair(low * by, high * by);
  }
}

// Puts a number at the pairs of a block that has fewer tokens, behind its last.
INLINE void put_behind(float (&pairs)[2][4], int tokens, float number) {
  if (tokens >= 16) return;
#pragma unroll
  for (int j = 0; j < 8; j++)
    if (column_at(j / 4, j % 4) >= tokens) pairs[j / 4][j % 4] = number;
}

// The softmax of a lane's two rows so far, to the base 2.
struct Soft {
  float most[2], sums[2];
};

// Turns the products of one more block of tokens into powers of 2; `less` is by what sums before
// are to shrink. Sums are of a lane's own pairs. `tokens` are left from this block on.
INLINE void soften(float (&pairs)[2][4], const float (&factors)[2], int tokens, Soft& soft,
                   float (&less)[2]) {
#pragma unroll
  for (int j = 0; j < 8; j++) pairs[j / 4][j % 4] *= factors[j % 4 >> 1];
  put_behind(pairs, tokens, NEVER);
#pragma unroll
  for (int row = 0; row < 2; row++) {
    float most = NEVER, sum = 0.0f;
#pragma unroll
    for (int j = 0; j < 4; j++) most = fmaxf(most, pairs[j / 2][2 * row + j % 2]);
    most = fmaxf(row_max(most), soft.most[row]);
    less[row] = power(soft.most[row] - most);
#pragma unroll
    for (int j = 0; j < 4; j++) {
      float& x = pairs[j / 2][2 * row + j % 2];
      x = power(x - most);
      sum += x;
    }
    soft.sums[row] = soft.sums[row] * less[row] + sum;
    soft.most[row] = most;
  }
}

// The streams of a lane's two rows of pairs, each row having one of its own.
struct Drawn {
  u64 rows[2];

  INLINE Drawn(u64 state, long long row) {
#pragma unroll
    for (int own = 0; own < 2; own++) rows[own] = stream_at(state, (u64)(row + row_at(2 * own)));
  }

  // Which pairs of a block of tokens are kept, a bit for each of the lane's: two tokens come of one
  // draw. What is behind the last row or token does not matter.
  INLINE u32 kept(int block, int queries, int tokens, u32 most) const {
    u32 bits = 0;
    const u64 ahead = (u64)((block + column_at(0, 0)) / 2 + 1) * GOLDEN;
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const int half = j / 2, row = j % 2;
      if (block + column_at(half, 0) >= tokens || row_at(2 * row) >= queries) continue;
      u64 both = mix(rows[row] + ahead + (u64)(half * 4) * GOLDEN);
      bits |= ((u32)both > most ? 1u : 0u) << (half * 4 + row * 2);
      bits |= ((u32)(both >> 32) > most ? 2u : 0u) << (half * 4 + row * 2);
    }
    return bits;
  }
};

#define LOG2E 1.4426950408889634f

template <int W>
INLINE void forward(HEADS, bf16* y, REST) {
  extern __shared__ uint4 shared[];
  int sample = blockIdx.x / heads, head = blockIdx.x % heads, total = heads * W;
  int upper = (tokens + 15) / 16 * 16, asking = (queries + 15) / 16 * 16, warps = blockDim.x >> 5;
  bf16 *ks = (bf16*)shared, *vs = ks + upper * LD, *qs = vs + upper * LD;
  const long long begin = (long long)sample * queries, at = (long long)sample * tokens * kv_row;
  load<W>(q + begin * q_row + head * W, q_row, queries, qs);
  load<W>(k + at + head * W, kv_row, tokens, ks);
  load<W>(v + at + head * W, kv_row, tokens, vs);
  arrived();
  __syncthreads();
  const u32 most = (u32)(limit - 1);
  const Rows<W> keys(ks), values(vs);
  for (int first = (threadIdx.x >> 5) * 16; first < queries; first += warps * 16) {
    u32 left[W / 16][4];
    left_of<W>(left, Rows<W>(qs), first);
    float to[W / 8][4] = {}, factors[2], less[2];
    Soft soft = {{NEVER, NEVER}, {0.0f, 0.0f}};
#pragma unroll
    for (int row = 0; row < 2; row++) {
      int query = first + row_at(2 * row);
      factors[row] = scale * LOG2E;
      if (of_queries && query < queries) factors[row] *= of_queries[begin + query];
    }
    const Drawn drawn((u64)state, (long long)blockIdx.x * queries + first);
    u8* bytes = kept + ((long long)blockIdx.x * asking + first) * upper / 8 + lane_of();
    for (int block = 0; block < tokens; block += 16) {
      float pairs[2][4];
      compare<W>(pairs, left, keys, block);
      soften(pairs, factors, tokens - block, soft, less);
#pragma unroll
      for (int i = 0; i < 4; i++)
#pragma unroll
        for (int step = 0; step < W / 8; step++) to[step][i] *= less[i >> 1];
      if (limit) {
        u32 bits = drawn.kept(block, queries - first, tokens, most);
        bytes[block * 2] = (u8)bits;
#pragma unroll
        for (int j = 0; j < 8; j++)
          if (!(bits >> j & 1)) pairs[j / 4][j % 4] = 0.0f;
      }
      u32 rounded[4];
      round_pairs(rounded, pairs);
      mix<W>(to, rounded, values, block);
    }
    float sums[2] = {row_sum(soft.sums[0]), row_sum(soft.sums[1])};
    if (lane_of() % 4 == 0) {
      float* log = logs + (long long)blockIdx.x * asking + first;
      for (int row = 0; row < 2; row++) log[row_at(2 * row)] = soft.most[row] + __log2f(sums[row]);
    }
    store<W>(to, keeping * inverse(sums[0]), keeping * inverse(sums[1]),
             y + (begin + first) * total + head * W, total,
             queries - first);
  }
}

// What is known of each query on the way back, in shared memory: the factor on its logits to the base
// 2, the logarithm of the sum of its powers, the product of its output and gradient, and the factor on
// its logits. Rows behind the last are 0 everywhere, so that they add nothing to a sum.
typedef float4 Known;

// The product of 8 numbers with 8 others.
INLINE float product_of(uint4 x, uint4 y) {
  const u32 a[4] = {x.x, x.y, x.z, x.w}, b[4] = {y.x, y.y, y.z, y.w};
  float dot = 0.0f;
#pragma unroll
  for (int at = 0; at < 4; at++) {
    float left[2], right[2];
    read_pair(a[at], left);
    read_pair(b[at], right);
    dot += left[0] * right[0] + left[1] * right[1];
  }
  return dot;
}

// The products of rows of outputs and their gradients, 0 behind the last up to a multiple of 16; a
// thread reads AT_ONCE pieces of them before it adds any up.
template <int W>
INLINE void products(const bf16* x, const bf16* y, int row, int rows, Known* to) {
  const int AT_ONCE = 2, wide = W / 8, all = (rows + 15) / 16 * 16 * wide;
  for (int start = 0; start < all; start += AT_ONCE * blockDim.x) {
    uint4 left[AT_ONCE], right[AT_ONCE];
#pragma unroll
    for (int at = 0; at < AT_ONCE; at++) {
      int i = start + at * blockDim.x + threadIdx.x, r = i / wide, c = i % wide * 8;
      left[at] = right[at] = make_uint4(0, 0, 0, 0);
      if (r < rows) {
        left[at] = *(const uint4*)(x + (long long)r * row + c);
        right[at] = *(const uint4*)(y + (long long)r * row + c);
      }
    }
#pragma unroll
    for (int at = 0; at < AT_ONCE; at++) {
      int i = start + at * blockDim.x + threadIdx.x;
      float dot = product_of(left[at], right[at]);
#pragma unroll
      for (int by = 1; by < wide; by *= 2) dot += __shfl_xor_sync(FULL, dot, by);
      if (i < all && i % wide == 0) to[i / wide].z = dot;
    }
  }
}

// The gradient of 16 queries from `first` on, without the factors on their logits. `bytes` are those
// of the lane for the queries' first block of tokens, if pairs were dropped.
template <int W>
INLINE void back_to_queries(float (&to)[W / 8][4], const Rows<W>& qs, const Rows<W>& ks,
                            const Rows<W>& vs, const Rows<W>& dys, const Known* known,
                            const u8* bytes, float keeping, int first, int tokens) {
  u32 left[W / 16][4], slopes[W / 16][4], rounded[4];
  left_of<W>(left, qs, first);
  left_of<W>(slopes, dys, first);
  float pairs[2][4], back[2][4];
  const Known of[2] = {known[first + row_at(0)], known[first + row_at(2)]};
  for (int block = 0; block < tokens; block += 16) {
    u32 bits = bytes ? bytes[block * 2] : FULL;
    compare<W>(pairs, left, ks, block);
    compare<W>(back, slopes, vs, block);
#pragma unroll
    for (int j = 0; j < 8; j++) {
      int half = j / 4, i = j % 4, row = i >> 1;
      float share = power(fmaf(pairs[half][i], of[row].x, -of[row].y));
      pairs[half][i] = share * fmaf(back[half][i], bits >> j & 1 ? keeping : 0.0f, -of[row].z);
    }
    put_behind(pairs, tokens - block, 0.0f);
    round_pairs(rounded, pairs);
    mix<W>(to, rounded, ks, block);
  }
}

// The gradients of 16 keys and values from `first` on, of values without the factor on what is kept;
// those of the pairs go to `slopes` [tokens, queries + 8], if that is there. `bytes` are the first of
// all queries for these tokens, each `next` behind the one before; a lane's pairs are here the other
// way round, in two of them.
template <int W>
INLINE void back_to_tokens(float (&dk)[W / 8][4], float (&dv)[W / 8][4], const Rows<W>& qs,
                           const Rows<W>& ks, const Rows<W>& vs, const Rows<W>& dys,
                           const Known* known, bf16* slopes, const u8* bytes, int next,
                           float keeping, int first, int queries, int tokens) {
  u32 keys[W / 16][4], values[W / 16][4], rounded[4];
  left_of<W>(keys, ks, first);
  left_of<W>(values, vs, first);
  const int group = lane_of() / 4, pair = 2 * (lane_of() % 4), wide = (queries + 15) / 16 * 16 + 8;
  if (slopes) slopes += (first + group) * wide + pair;
  if (bytes) bytes += pair * 4 + group / 2;
  for (int block = 0; block < queries; block += 16) {
    float pairs[2][4], back[2][4];
    u32 bits[2] = {FULL, FULL};
    if (bytes) {
      bits[0] = bytes[0] >> (group & 1), bits[1] = bytes[4] >> (group & 1);
      bytes += next;
    }
    compare<W>(pairs, keys, qs, block);
    compare<W>(back, values, dys, block);
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const Known* of = known + block + half * 8 + pair;
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const Known at = of[i & 1];
        float share = power(fmaf(pairs[half][i], at.x, -at.y));
        bool is_kept = bits[i & 1] >> ((i >> 1) * 4 + half * 2) & 1;
        float slope = share * fmaf(back[half][i], is_kept ? keeping : 0.0f, -at.z) * at.w;
        // Those behind the last token may be anything, which not even a factor of 0 would mend.
        back[half][i] = tokens - first >= 16 || first + row_at(i) < tokens ? slope : 0.0f;
        pairs[half][i] = is_kept ? share : 0.0f;
      }
    }
    round_pairs(rounded, pairs);
    mix<W>(dv, rounded, dys, block);
    round_pairs(rounded, back);
    mix<W>(dk, rounded, qs, block);
    if (slopes) {
#pragma unroll
      for (int i = 0; i < 4; i++) *(u32*)(slopes + i % 2 * 8 * wide + i / 2 * 8) = rounded[i];
      slopes += 16;
    }
  }
}

// The gradient of 16 queries from `first` on, of `slopes` as `back_to_tokens` leaves them.
template <int W>
INLINE void gather(float (&to)[W / 8][4], const bf16* slopes, const Rows<W>& ks, int first,
                   int queries, int tokens) {
  const int lane = lane_of(), wide = (queries + 15) / 16 * 16 + 8;
  const int own = (lane % 8 + lane / 16 * 8) * wide + first + lane / 8 % 2 * 8;
  const Shared from = further(place_of(slopes), own);
  for (int block = 0; block < tokens; block += 16) {
    u32 pairs[4];
    load4_turned(pairs, further(from, block * wide));
    mix<W>(to, pairs, ks, block);
  }
}

// `keeps` says whether shared memory has room for the gradients of all pairs; where it has not, they
// are computed twice.
template <int W>
INLINE void backward(HEADS, const bf16* y, const bf16* dy, bf16* dq, bf16* dk, bf16* dv, int keeps,
                     REST) {
  extern __shared__ uint4 shared[];
  int sample = blockIdx.x / heads, head = blockIdx.x % heads, total = heads * W;
  int upper = (tokens + 15) / 16 * 16, asking = (queries + 15) / 16 * 16;
  int begin_at = (threadIdx.x >> 5) * 16, step = (blockDim.x >> 5) * 16;
  Known* known = (Known*)shared;
  bf16 *ks = (bf16*)(known + asking), *vs = ks + upper * LD, *qs = vs + upper * LD;
  bf16 *dys = qs + asking * LD, *after = dys + asking * LD;
  // A byte for each lane and each two blocks: one for 8 pairs.
  const int count = asking * upper / 8;
  const u8* bytes = limit ? (const u8*)after : nullptr;
  bf16* slopes = keeps ? after + (limit ? count / 2 : 0) : nullptr;
  const long long begin = (long long)sample * queries, out = begin * total + head * W;
  const long long of_q = begin * q_row + head * W;
  const long long of_kv = (long long)sample * tokens * kv_row + head * W;
  load<W>(q + of_q, q_row, queries, qs);
  load<W>(k + of_kv, kv_row, tokens, ks);
  load<W>(v + of_kv, kv_row, tokens, vs);
  load<W>(dy + out, total, queries, dys);
  if (limit) {
    const bf16* from = (const bf16*)(kept + (long long)blockIdx.x * count);
    for (int i = threadIdx.x * 8; i < count / 2; i += blockDim.x * 8) fetch(after + i, from + i, true);
  }
  products<W>(y + out, dy + out, total, queries, known);
  for (int i = threadIdx.x; i < asking; i += blockDim.x) {
    float factor = of_queries && i < queries ? scale * of_queries[begin + i] : scale;
    known[i].x = factor * LOG2E;
    known[i].y = logs[(long long)blockIdx.x * asking + i];
    known[i].w = factor;
  }
  arrived();
  __syncthreads();
  const Rows<W> of_qs(qs), of_ks(ks), of_vs(vs), of_dys(dys);
  for (int first = begin_at; first < tokens; first += step) {
    float keys[W / 8][4] = {}, values[W / 8][4] = {};
    back_to_tokens<W>(keys, values, of_qs, of_ks, of_vs, of_dys, known, slopes,
                      bytes ? bytes + first * 2 : nullptr, upper * 2, keeping, first, queries,
                      tokens);
    const long long to = of_kv + (long long)first * kv_row;
    store<W>(keys, 1.0f, 1.0f, dk + to, kv_row, tokens - first);
    store<W>(values, keeping, keeping, dv + to, kv_row, tokens - first);
  }
  if (keeps) __syncthreads();
  for (int first = begin_at; first < queries; first += step) {
    float to[W / 8][4] = {}, factors[2] = {1.0f, 1.0f};
    if (keeps) {
      gather<W>(to, slopes, of_ks, first, queries, tokens);
    } else {
      const u8* own = bytes ? bytes + first * upper / 8 + lane_of() : nullptr;
      back_to_queries<W>(to, of_qs, of_ks, of_vs, of_dys, known, own, keeping, first, tokens);
      factors[0] = known[first + row_at(0)].w, factors[1] = known[first + row_at(2)].w;
    }
    store<W>(to, factors[0], factors[1], dq + of_q + (long long)first * q_row, q_row,
             queries - first);
  }
}

// The registers of a thread on the way back: of 96, four blocks of five warps find room at a time.
#define OF(W, REGISTERS)                                                                        \
  KERNEL __launch_bounds__(256) attention_##W(HEADS, bf16* y, REST) {                             \
    forward<W>(q, k, v, y, GIVEN);                                                                \
  }                                                                                               \
  KERNEL __maxnreg__(REGISTERS) attention_back_##W(                                               \
      HEADS, const bf16* y, const bf16* dy, bf16* dq, bf16* dk, bf16* dv, int keeps, REST) {      \
    backward<W>(q, k, v, y, dy, dq, dk, dv, keeps, GIVEN);                                        \
  }

OF(16, 96)
OF(32, 96)
OF(64, 200)
