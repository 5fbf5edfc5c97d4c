// Contrastive terms: what an anchor is worth, from its dot products with everything, and the
// derivatives by them. Rows are sorted by class within each view: row `view * items + position`.
//
// `table` has for each position the item, where its class begins and where it ends; 3 x items.

#define NOTHING __uint_as_float(0xff800000u)

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

// What is added for a negative: e^(dot * inverse - most) * scale.
struct Push {
  float inverse, most, scale;
};

// An anchor.
struct Anchor {
  const float* dots;
  int items, row, position, start, end;
};

// As block_sum and block_max, with fewer reads where a block is large.
__device__ __forceinline__ float all_sum(float x, float* room) {
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
  x = warp_sum(x);
  __syncthreads();
  if (lane == 0) room[warp] = x;
  __syncthreads();
  return warp_sum(lane < warps ? room[lane] : 0.0f);
}

__device__ __forceinline__ float all_max(float x, float* room) {
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
  x = warp_max(x);
  __syncthreads();
  if (lane == 0) room[warp] = x;
  __syncthreads();
  return warp_max(room[lane < warps ? lane : 0]);
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

template <typename F>
__device__ __forceinline__ void masked(const Anchor& at, int mask, int first, int end, F f) {
  if (mask & POSITIVES) positives(at, first, end, f);
  if (mask & NEGATIVES) negatives(at, first, end, f);
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
                           float number, float* room) {
  float sum = 0.0f, over = 0.0f;
  auto add = [&](int column) {
    float similarity = at.dots[column] * term.inverse;
    sum += similarity - most;
    over += fmaxf(similarity - term.clip, 0.0f);
  };
  if (term.flags & TWINS) twins(at, first, end, add);
  else positives(at, first, end, add);
  return all_sum(over - sum, room) / number;
}

// The mean over positives of what each costs against the negatives; `pull` becomes the mean of the
// derivatives by the level.
__device__ float each_part(const Anchor& at, const Term& term, int first, int end, float level,
                           float number, float* pull, float* room) {
  float cost = 0.0f, by_level = 0.0f;
  positives(at, first, end, [&](int column) {
    float similarity = at.dots[column] * term.inverse;
    cost += softplus(level - similarity) + fmaxf(similarity - term.clip, 0.0f);
    by_level += sigmoid(level - similarity);
  });
  *pull = all_sum(by_level, room) / number;
  return all_sum(cost, room) / number;
}

// -ln of the mean or the total of ratios; `rest` becomes the mean derivative by the level.
__device__ float inside_part(const Anchor& at, const Term& term, int first, int end, float level,
                             float number, Found* found, float* rest, float* room) {
  float most = NOTHING;
  positives(at, first, end, [&](int column) {
    most = fmaxf(most, ratio(term, at.dots[column] * term.inverse, level));
  });
  most = all_max(most, room);
  float sum = 0.0f, by_level = 0.0f;
  positives(at, first, end, [&](int column) {
    float similarity = at.dots[column] * term.inverse;
    float share = expf(ratio(term, similarity, level) - most);
    sum += share;
    by_level += share * (term.flags & OWN ? sigmoid(level - similarity) : 1.0f);
  });
  sum = all_sum(sum, room);
  *rest = all_sum(by_level, room) / sum;
  found->most_inside = most;
  found->slope = 1.0f / sum;
  return (term.flags & TOTAL ? 0.0f : logf(number)) - most - logf(sum);
}

// What a term comes to for an anchor and the columns of some views, and what derivatives need.
__device__ float part(const Anchor& at, const Term& term, int first, int end, float weight,
                      Found* found, float* room) {
  float most = NOTHING, sum = 0.0f;
  masked(at, term.mask, first, end, [&](int column) { most = fmaxf(most, at.dots[column]); });
  most = all_max(most, room) * term.inverse;
  masked(at, term.mask, first, end,
         [&](int column) { sum += expf(at.dots[column] * term.inverse - most); });
  sum = all_sum(sum, room);
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

// A block for each anchor, from the row `first` on: the value of each of `count` terms, and if
// `track` the derivatives in the place of the dot products with `views` x items columns. `values`
// [all terms, rows]; added to what is there if `onto`. Shared: `held` for the dot products, if
// there is room for them, then what was found.
extern "C" __global__ void BOUNDED(1024)
anchors(float* all_dots, const u32* table, const Term* __restrict__ terms, float* values, int rows,
        int items, int views, int first, int count, int track, int onto, int held) {
  extern __shared__ float4 chunks[];
  float* memory = (float*)chunks;
  __shared__ float room[32];
  int columns = views * items;
  float* dots = all_dots + (long long)blockIdx.x * columns;
  Found* found = (Found*)(memory + held);
  Push* pushes = (Push*)(found + count * views);
  int* pushing = (int*)(pushes + count * views);
  if (held) {
    if (columns % 4 == 0)
      for (int at = threadIdx.x; at < columns / 4; at += blockDim.x)
        chunks[at] = ((const float4*)dots)[at];
    else
      for (int at = threadIdx.x; at < columns; at += blockDim.x) memory[at] = dots[at];
  }
  int row = first + blockIdx.x, view = row / items, position = row % items;
  Anchor at = {held ? memory : dots, items, row, position, (int)table[items + position],
               (int)table[2 * items + position]};
  for (int slot = threadIdx.x; slot < count * views; slot += blockDim.x) found[slot].is_there = 0;
  for (int slot = threadIdx.x; slot < views; slot += blockDim.x) pushing[slot] = 0;
  __syncthreads();
  for (int index = 0; index < count; index++) {
    Term term = terms[index];
    bool cross = term.flags & CROSS;
    float own = term.weights ? __uint_as_float(table[term.weights + position]) : 1.0f;
    float value = 0.0f;
    bool is_counted = counts(term, at.end - at.start, views, items);
    int slots = !is_counted ? 0 : cross ? min(view, views) : 1;
    for (int slot = 0; slot < slots; slot++) {
      int from = cross ? slot : 0, to = cross ? slot + 1 : views;
      Found it;
      value += part(at, term, from, to, term.weight * own, &it, room);
      if (threadIdx.x != 0) continue;
      found[index * views + slot] = it;
      if (term.mask & NEGATIVES)
        for (int seen = from; seen < to; seen++)
          pushes[seen * count + pushing[seen]++] = {term.inverse, it.most,
                                                    it.scale * term.inverse};
    }
    if (threadIdx.x == 0) {
      float* to = values + (long long)term.index * rows + row;
      *to = (onto ? *to : 0.0f) + value * term.share * own;
    }
  }
  if (!track) return;
  __syncthreads();
  for (int seen = 0; seen < views; seen++) {
    negatives(at, seen, seen + 1, [&](int column) {
      float dot = at.dots[column], sum = 0.0f;
      for (int push = 0; push < pushing[seen]; push++) {
        Push it = pushes[seen * count + push];
        sum += expf(dot * it.inverse - it.most) * it.scale;
      }
      dots[column] = sum;
    });
    positives(at, seen, seen + 1, [&](int column) {
      float dot = at.dots[column], sum = 0.0f;
      for (int index = 0; index < count; index++) {
        const Term& term = terms[index];
        const Found& it = found[index * views + (term.flags & CROSS ? seen : 0)];
        if (!it.is_there) continue;
        sum += pulled(term, it, dot * term.inverse, column % items == position) * term.inverse;
      }
      dots[column] = sum;
    });
    if (threadIdx.x == 0 && row == seen * items + position) dots[row] = 0.0f;
  }
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
