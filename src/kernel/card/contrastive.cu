// Contrastive terms: what an anchor is worth, from its dot products with everything, and the
// derivatives by them. Rows are sorted by class within each view: row `view * items + position`.
//
// `table` has for each position the item, where its class begins and where it ends; 3 x items.

#define NOTHING __uint_as_float(0xff800000u)
#define LOG2E 1.44269504f

#ifdef PRETEND
#define BOUNDED(threads)
#else
#define BOUNDED(threads) __launch_bounds__(threads)
#endif

// Kinds: each positive against the negatives, a mean against one sum, ratios inside the logarithm.
#define EACH 0
#define MEAN 1
// What the exponentials are added over.
#define POSITIVES 1
#define NEGATIVES 2
// Flags.
#define TWINS 1
#define OWN 2
#define TOTAL 4
#define CROSS 8
#define APART 16

// A term as it is uploaded: numbers of 32 bits.
struct Term {
  int kind, mask, flags;
  float inverse, clip;
  // What an anchor's part is multiplied by, in the value and in the gradient.
  float share, weight;
  // Of its value in the total.
  float factor;
  // Where the weights of positions begin in the table, or 0.
  int weights;
  // Its place among all terms, and the first row that is an anchor.
  int index, from;
};

// What the derivatives need to know of a term and the columns of one view.
struct Found {
  float most, scale, level, most_inside, slope;
  int is_there;
};

// What is added for a negative: 2^(dot * inverse - most) * scale.
struct Push {
  float inverse, most, scale;
};

// The greatest similarities of an anchor, and sums of e^(similarity - the greatest) over the columns
// of other classes and of its own.
struct Sums {
  float most_negative, negative, most_positive, positive;
};

// An anchor.
struct Anchor {
  const float* dots;
  int items, row, position, start, end;
};

// As block_sum, or block_max if MOST, of two numbers at once, with fewer reads in a large block.
template <bool MOST>
__device__ __forceinline__ void across(float& a, float& b, float2* room) {
  auto of_warp = [](float x) { return MOST ? warp_max(x) : warp_sum(x); };
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
  a = of_warp(a), b = of_warp(b);
  __syncthreads();
  if (lane == 0) room[warp].x = a, room[warp].y = b;
  __syncthreads();
  a = of_warp(lane < warps ? room[lane].x : MOST ? NOTHING : 0.0f);
  b = of_warp(lane < warps ? room[lane].y : MOST ? NOTHING : 0.0f);
}

__device__ __forceinline__ float softplus(float x) {
  return fmaxf(x, 0.0f) + log1pf(expf(-fabsf(x)));
}

__device__ __forceinline__ float sigmoid(float x) {
  float small = expf(-fabsf(x));
  return (x > 0.0f ? 1.0f : small) / (1.0f + small);
}

// `f` of each column of the anchor's class in some views, shared among the threads of the block.
template <typename F>
__device__ __forceinline__ void positives(const Anchor& at, int first, int end, F f) {
  for (int view = first; view < end; view++)
    for (int place = at.start + threadIdx.x; place < at.end; place += blockDim.x) {
      int column = view * at.items + place;
      if (column != at.row) f(column);
    }
}

// Of each column of other classes.
template <typename F>
__device__ __forceinline__ void negatives(const Anchor& at, int first, int end, F f) {
  int size = at.end - at.start;
  for (int view = first; view < end; view++)
#pragma unroll 4
    for (int other = threadIdx.x; other < at.items - size; other += blockDim.x)
      f(view * at.items + (other < at.start ? other : other + size));
}

// Of each column of the same item.
template <typename F>
__device__ __forceinline__ void twins(const Anchor& at, int first, int end, F f) {
  for (int view = first + threadIdx.x; view < end; view += blockDim.x) {
    int column = view * at.items + at.position;
    if (column != at.row) f(column);
  }
}

// Exponents are of 2, which is what the card computes: a factor of the similarity has ln 2 in it.
__device__ Sums sums_of(const Anchor& at, float inverse, int first, int end, float2* room) {
  float negative = NOTHING, positive = NOTHING;
  negatives(at, first, end, [&](int column) { negative = fmaxf(negative, at.dots[column]); });
  positives(at, first, end, [&](int column) { positive = fmaxf(positive, at.dots[column]); });
  across<true>(negative, positive, room);
  Sums it = {negative * inverse, 0.0f, positive * inverse, 0.0f};
  float factor = inverse * LOG2E, most_negative = it.most_negative * LOG2E;
  float most_positive = it.most_positive * LOG2E;
  negatives(at, first, end, [&](int column) {
    it.negative += exp2f(fmaf(at.dots[column], factor, -most_negative));
  });
  positives(at, first, end, [&](int column) {
    it.positive += exp2f(fmaf(at.dots[column], factor, -most_positive));
  });
  across<false>(it.negative, it.positive, room);
  return it;
}

// Whether an anchor whose class has `size` items is compared with anything.
__device__ __forceinline__ bool counts(const Term& term, int size, int views, int items) {
  bool cross = term.flags & CROSS;
  if (term.flags & TWINS) return cross || views > 1;
  bool has_positive = (cross ? size : views * size - 1) > 0;
  return has_positive && (!(term.flags & APART) || size < items);
}

// ln r of a positive, but for what a clip takes.
__device__ __forceinline__ float ratio(const Term& term, float similarity, float level) {
  float over = fmaxf(similarity - term.clip, 0.0f);
  if (term.flags & OWN) return -over - softplus(level - similarity);
  return similarity - over - level;
}

// Sums over the columns that a mean is taken over: of similarities less `most`, and of what is
// above the clip.
__device__ float mean_part(const Anchor& at, const Term& term, int first, int end, float most,
                           float number, float2* room) {
  float sum = 0.0f, over = 0.0f;
  auto add = [&](int column) {
    float similarity = at.dots[column] * term.inverse;
    sum += similarity - most;
    over += fmaxf(similarity - term.clip, 0.0f);
  };
  if (term.flags & TWINS) twins(at, first, end, add);
  else positives(at, first, end, add);
  across<false>(over, sum, room);
  return (over - sum) / number;
}

// The mean over positives of what each costs against the negatives; `pull` becomes the mean of the
// derivatives by the level.
__device__ float each_part(const Anchor& at, const Term& term, int first, int end, float level,
                           float number, float* pull, float2* room) {
  float cost = 0.0f, by_level = 0.0f;
  positives(at, first, end, [&](int column) {
    float similarity = at.dots[column] * term.inverse;
    cost += softplus(level - similarity) + fmaxf(similarity - term.clip, 0.0f);
    by_level += sigmoid(level - similarity);
  });
  across<false>(cost, by_level, room);
  *pull = by_level / number;
  return cost / number;
}

// -ln of the mean or the total of ratios; `rest` becomes the mean derivative by the level.
__device__ float inside_part(const Anchor& at, const Term& term, int first, int end, float level,
                             float number, Found* found, float* rest, float2* room) {
  float most = NOTHING, none = NOTHING;
  positives(at, first, end, [&](int column) {
    most = fmaxf(most, ratio(term, at.dots[column] * term.inverse, level));
  });
  across<true>(most, none, room);
  float sum = 0.0f, by_level = 0.0f;
  positives(at, first, end, [&](int column) {
    float similarity = at.dots[column] * term.inverse;
    float share = expf(ratio(term, similarity, level) - most);
    sum += share;
    by_level += share * (term.flags & OWN ? sigmoid(level - similarity) : 1.0f);
  });
  across<false>(sum, by_level, room);
  *rest = by_level / sum;
  found->most_inside = most;
  found->slope = 1.0f / sum;
  return (term.flags & TOTAL ? 0.0f : logf(number)) - most - logf(sum);
}

// What a term comes to for an anchor and the columns of some views, and what derivatives need.
__device__ float part(const Anchor& at, const Term& term, const Sums& sums, int first, int end,
                      float weight, Found* found, float2* room) {
  bool with_negatives = term.mask & NEGATIVES && sums.negative != 0.0f;
  bool with_positives = term.mask & POSITIVES && sums.positive != 0.0f;
  float most = fmaxf(with_negatives ? sums.most_negative : NOTHING,
                     with_positives ? sums.most_positive : NOTHING);
  float sum = 0.0f;
  if (with_negatives) sum += sums.negative * expf(sums.most_negative - most);
  if (with_positives) sum += sums.positive * expf(sums.most_positive - most);
  bool is_empty = sum == 0.0f;
  int size = at.end - at.start, views = end - first;
  bool cross = term.flags & CROSS;
  float number = cross ? size : views * size - 1;
  if (term.flags & TWINS) number = cross ? 1 : views - 1;
  found->is_there = 1;
  found->most = is_empty ? 0.0f : most;
  found->level = is_empty ? NOTHING : most + logf(sum);
  found->most_inside = 0.0f;
  found->slope = weight / number;
  float slope = weight, value;
  if (term.kind == MEAN) {
    value = logf(sum) + mean_part(at, term, first, end, most, number, room);
  } else if (term.kind == EACH) {
    float pull;
    value = each_part(at, term, first, end, found->level, number, &pull, room);
    slope *= pull;
  } else {
    float rest;
    value = inside_part(at, term, first, end, found->level, number, found, &rest, room);
    found->slope *= weight;
    slope *= rest;
  }
  found->scale = is_empty ? 0.0f : slope / sum;
  return value;
}

// The derivative by the similarity of a positive.
__device__ __forceinline__ float pulled(const Term& term, const Found& found, float similarity,
                                        bool is_twin) {
  float by = term.mask & POSITIVES ? expf(similarity - found.most) * found.scale : 0.0f;
  bool is_clipped = similarity > term.clip;
  if (term.kind == MEAN) {
    bool is_scored = is_twin || !(term.flags & TWINS);
    return by - (is_scored && !is_clipped ? found.slope : 0.0f);
  }
  if (term.kind == EACH)
    return by + found.slope * ((is_clipped ? 1.0f : 0.0f) - sigmoid(found.level - similarity));
  float share = expf(ratio(term, similarity, found.level) - found.most_inside);
  float above = is_clipped ? 0.0f : 1.0f;
  if (term.flags & OWN) above -= 1.0f - sigmoid(found.level - similarity);
  return by - found.slope * share * above;
}

// Adds what a term gives the negatives of a view; terms of one temperature push together.
__device__ void push(Push* pushes, int* count, const Term& term, const Sums& sums,
                     const Found& found) {
  if (!(term.mask & NEGATIVES) || sums.negative == 0.0f) return;
  float factor = term.inverse * LOG2E, most = sums.most_negative * LOG2E;
  float scale = expf(sums.most_negative - found.most) * found.scale * term.inverse;
  int at = 0;
  while (at < *count && (pushes[at].inverse != factor || pushes[at].most != most)) at++;
  if (at == *count) pushes[(*count)++] = {factor, most, 0.0f};
  pushes[at].scale += scale;
}

// Derivatives in the place of the dot products with the columns of a view.
__device__ void differentiate(const Anchor& at, float* to, const Term* __restrict__ terms, int count,
                              int views, int seen, const Found* found, const Push* pushes,
                              int pushing) {
  Push one = pushing > 0 ? pushes[0] : Push{0.0f, 0.0f, 0.0f};
  negatives(at, seen, seen + 1, [&](int column) {
    float dot = at.dots[column], sum = exp2f(fmaf(dot, one.inverse, -one.most)) * one.scale;
    for (int push = 1; push < pushing; push++) {
      Push it = pushes[push];
      sum += exp2f(fmaf(dot, it.inverse, -it.most)) * it.scale;
    }
    to[column] = sum;
  });
  positives(at, seen, seen + 1, [&](int column) {
    float dot = at.dots[column], sum = 0.0f;
    bool is_twin = column == seen * at.items + at.position;
    for (int index = 0; index < count; index++) {
      const Term& term = terms[index];
      const Found& it = found[index * views + (term.flags & CROSS ? seen : 0)];
      if (it.is_there) sum += pulled(term, it, dot * term.inverse, is_twin) * term.inverse;
    }
    to[column] = sum;
  });
}

// Each of eight numbers as the sum of two in bf16.
__device__ __forceinline__ void split(const float4* from, uint4* high, uint4* low) {
  float4 numbers[2] = {from[0], from[1]};
  const float* it = (const float*)numbers;
  u32 highs[4], lows[4];
#pragma unroll
  for (int pair = 0; pair < 4; pair++) {
    float near[2], a = it[2 * pair], b = it[2 * pair + 1];
    highs[pair] = bf16_pair(a, b);
    read_pair(highs[pair], near);
    lows[pair] = bf16_pair(a - near[0], b - near[1]);
  }
  *high = make_uint4(highs[0], highs[1], highs[2], highs[3]);
  *low = make_uint4(lows[0], lows[1], lows[2], lows[3]);
}

// A block for each anchor, from the row `first` on: the value of each of `count` terms, and if
// `track` the derivatives by the dot products with `views` x items columns, each as the sum of two
// numbers: a row of the first ones, then one of what is left. Rows have `pitch` numbers, a multiple
// of 8. `values` [all terms, rows]; added to what is there if `onto`. Shared: `held` for the dot
// products, if there is room for them, then what was found; only then may `to` be where the dot
// products are.
extern "C" __global__ void BOUNDED(1024)
anchors(float* all_dots, const u32* table, const Term* __restrict__ terms, float* values, bf16* to,
        int rows, int items, int views, int pitch, int first, int count, int track, int onto,
        int held) {
  extern __shared__ float4 chunks[];
  __shared__ float2 room[32];
  float* dots = all_dots + (long long)blockIdx.x * pitch;
  Found* found = (Found*)((float*)chunks + held);
  Push* pushes = (Push*)(found + count * views);
  int* pushing = (int*)(pushes + count * views);
  if (held) {
#pragma unroll 4
    for (int at = threadIdx.x; at < pitch / 4; at += blockDim.x)
      chunks[at] = ((const float4*)dots)[at];
    dots = (float*)chunks;
  }
  int row = first + blockIdx.x, view = row / items, position = row % items;
  Anchor at = {dots, items, row, position, (int)table[items + position],
               (int)table[2 * items + position]};
  for (int slot = threadIdx.x; slot < count * views; slot += blockDim.x) found[slot].is_there = 0;
  for (int slot = threadIdx.x; slot < views; slot += blockDim.x) pushing[slot] = 0;
  __syncthreads();
  int slots = max(1, min(view, views));
  for (int slot = 0; slot < slots; slot++) {
    Sums sums;
    float known = 0.0f;
    int known_end = 0;
    for (int index = 0; index < count; index++) {
      const Term& term = terms[index];
      bool cross = term.flags & CROSS;
      if (!cross && slot > 0) continue;
      float own = term.weights ? __uint_as_float(table[term.weights + position]) : 1.0f;
      float value = 0.0f;
      if (counts(term, at.end - at.start, views, items) && !(cross && view == 0)) {
        int from = cross ? slot : 0, end = cross ? slot + 1 : views;
        if (term.inverse != known || end != known_end) {
          sums = sums_of(at, term.inverse, from, end, room);
          known = term.inverse, known_end = end;
        }
        Found it;
        value = part(at, term, sums, from, end, term.weight * own, &it, room);
        if (threadIdx.x == 0) found[index * views + slot] = it;
        for (int seen = from + threadIdx.x; seen < end; seen += blockDim.x)
          push(pushes + seen * count, pushing + seen, term, sums, it);
      }
      if (threadIdx.x != 0) continue;
      float* sum = values + (long long)term.index * rows + row;
      *sum = (onto || slot > 0 ? *sum : 0.0f) + value * term.share * own;
    }
  }
  if (!track) return;
  __syncthreads();
  for (int seen = 0; seen < views; seen++) {
    differentiate(at, dots, terms, count, views, seen, found, pushes + seen * count, pushing[seen]);
    if (threadIdx.x == 0 && row == seen * items + position) dots[row] = 0.0f;
  }
  __syncthreads();
  uint4* high = (uint4*)(to + (long long)blockIdx.x * 2 * pitch);
  for (int chunk = threadIdx.x; chunk < pitch / 8; chunk += blockDim.x)
    split((const float4*)dots + 2 * chunk, high + chunk, high + pitch / 8 + chunk);
}

// The mean over anchors of each of `count` terms, and their weighted sum: one block.
KERNEL totals(const float* values, const Term* terms, float* means, float* total, int rows,
              int count) {
  __shared__ double sums[1024];
  double weighted = 0.0;
  for (int index = 0; index < count; index++) {
    const Term& term = terms[index];
    const float* own = values + (long long)term.index * rows;
    __syncthreads();
    double sum = 0.0;
    for (int row = term.from + threadIdx.x; row < rows; row += blockDim.x) sum += own[row];
    sums[threadIdx.x] = sum;
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
      __syncthreads();
      if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    }
    if (threadIdx.x != 0) continue;
    means[term.index] = (float)sums[0];
    weighted += term.factor * sums[0];
  }
  if (threadIdx.x == 0) *total = (float)weighted;
}
