// Embeddings on their way into contrastive terms and back: a warp for each row.
//
// `order` has the item at each position; a sorted row is `view * items + position`.

// Norms at or below this are those of zero vectors.
#define SMALLEST 1e-12f

__device__ __forceinline__ int warp_row() {
  return blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
}

// Where a sorted row begins in the batch.
__device__ __forceinline__ long long in_batch(const u32* order, int row, int items, int width) {
  return (long long)(row / items * items + (int)order[row % items]) * width;
}

// The rows sorted, of length 1 if `unit`; and one over their lengths, where that is asked.
KERNEL sorted(const T* z, const u32* order, float* to, float* inverse, int rows, int items,
              int width, int unit) {
  int row = warp_row(), lane = threadIdx.x & 31;
  if (row >= rows) return;
  const T* from = z + in_batch(order, row, items, width);
  float factor = 1.0f;
  if (inverse) {
    float squares = 0.0f;
    for (int at = lane; at < width; at += 32) squares += to_float(from[at]) * to_float(from[at]);
    float norm = sqrtf(warp_sum(squares));
    float over = norm > SMALLEST ? 1.0f / norm : 0.0f;
    if (lane == 0) inverse[row] = over;
    if (unit) factor = over;
  }
  to += (long long)row * width;
  for (int at = lane; at < width; at += 32) to[at] = to_float(from[at]) * factor;
}

// The gradient by the batch from that by the sorted rows `u`, which are u = z * inverse where there
// is an inverse: (g - (g.u) u) * inverse. Added to what is there if `onto`.
KERNEL back(const float* gradient, const float* u, const float* inverse, const u32* order, float* to,
            int rows, int items, int width, int onto) {
  int row = warp_row(), lane = threadIdx.x & 31;
  if (row >= rows) return;
  gradient += (long long)row * width;
  u += (long long)row * width;
  to += in_batch(order, row, items, width);
  float dot = 0.0f, factor = 1.0f;
  if (inverse) {
    for (int at = lane; at < width; at += 32) dot += gradient[at] * u[at];
    dot = warp_sum(dot);
    factor = inverse[row];
  }
  for (int at = lane; at < width; at += 32) {
    float own = inverse ? (gradient[at] - dot * u[at]) * factor : gradient[at];
    to[at] = onto ? to[at] + own : own;
  }
}

// Columns of an earlier view, divided by the lengths of their items in both views.
KERNEL divided(const float* earlier, const float* of_later, const float* of_earlier, float* to,
               int items, int width) {
  int row = warp_row(), lane = threadIdx.x & 31;
  if (row >= items) return;
  float factor = of_later[row] * of_earlier[row];
  long long first = (long long)row * width;
  for (int at = lane; at < width; at += 32) to[first + at] = earlier[first + at] * factor;
}

// Adds the gradients by both views of that by `divided` columns.
KERNEL divided_back(const float* gradient, const float* earlier, const float* later,
                    const float* of_earlier, const float* of_later, float* by_earlier,
                    float* by_later, int items, int width) {
  int row = warp_row(), lane = threadIdx.x & 31;
  if (row >= items) return;
  float a = of_later[row], b = of_earlier[row], dot = 0.0f;
  long long first = (long long)row * width;
  for (int at = lane; at < width; at += 32) dot += gradient[first + at] * earlier[first + at];
  dot = warp_sum(dot) * a * b;
  for (int at = lane; at < width; at += 32) {
    by_earlier[first + at] += gradient[first + at] * a * b - dot * b * b * earlier[first + at];
    by_later[first + at] -= dot * a * a * later[first + at];
  }
}

// Each number as the sum of two in bf16, h and what is left l: rows of `left` become h h l, those of
// `both` h l h l, each of the four `padded` long with 0 behind `width` numbers.
KERNEL halves(const float* from, bf16* left, bf16* both, int width, int padded, long long n) {
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  long long row = i / padded;
  int at = (int)(i - row * padded);
  float x = at < width ? from[row * width + at] : 0.0f;
  bf16 high = to_bf16(x), low = to_bf16(x - to_float(high));
  left += row * 3 * padded + at;
  both += row * 4 * padded + at;
  left[0] = left[padded] = high, left[2 * padded] = low;
  both[0] = both[2 * padded] = high, both[padded] = both[3 * padded] = low;
}

// to += the sum of `count` parts, one after the other; in each a row has `pieces` that are added, of
// `padded` numbers.
KERNEL add_parts(const float* parts, float* to, int count, int pieces, int width, int padded,
                 long long n) {
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  long long row = i / width, part = n / width * pieces * padded;
  parts += row * pieces * padded + (i - row * width);
  float sum = 0.0f;
  for (int of = 0; of < count; of++)
    for (int piece = 0; piece < pieces; piece++) sum += parts[of * part + piece * padded];
  to[i] += sum;
}

// The gradient of a loss times that by the loss.
KERNEL times(const float* gradient, const float* by_loss, T* to, long long n) {
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) put(to + i, gradient[i] * *by_loss);
}
