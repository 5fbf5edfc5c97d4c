// Cross-entropy of class scores, a warp for each row; and sums of losses.
//
// `labels` [parts, rows] has the class of each part of a row, `shares` how much of the row each part
// is; `weights` has how much a class counts, where classes do not count alike.

struct Targets {
  const u32* labels;
  const float* shares;
  const float* weights;
  int parts, rows;
};

__device__ __forceinline__ int label_of(const Targets& of, int part, int row) {
  return (int)of.labels[part * of.rows + row];
}

__device__ __forceinline__ float weight_of(const Targets& of, int part, int label) {
  return of.shares[part] * (of.weights ? of.weights[label] : 1.0f);
}

__device__ __forceinline__ float largest(const T* row, int classes, int lane) {
  float most = __uint_as_float(0xff800000u);
  for (int at = lane; at < classes; at += 32) most = fmaxf(most, to_float(row[at]));
  return warp_max(most);
}

// What each row adds to the weighted sum.
KERNEL cross_entropy(const T* logits, const u32* labels, const float* shares, const float* weights,
                     float* to, int rows, int classes, int parts, float smoothing) {
  int row = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5), lane = threadIdx.x & 31;
  if (row >= rows) return;
  Targets of = {labels, shares, weights, parts, rows};
  const T* scores = logits + (long long)row * classes;
  float most = largest(scores, classes, lane), sum = 0.0f, mean = 0.0f;
  for (int at = lane; at < classes; at += 32) {
    float less = to_float(scores[at]) - most;
    sum += expf(less);
    mean += less;
  }
  sum = warp_sum(sum);
  mean = warp_sum(mean) / classes;
  if (lane != 0) return;
  float value = 0.0f;
  for (int part = 0; part < parts; part++) {
    int label = label_of(of, part, row);
    float own = to_float(scores[label]) - most;
    float cost = logf(sum) - ((1.0f - smoothing) * own + smoothing * mean);
    value += weight_of(of, part, label) * cost;
  }
  to[row] = value;
}

// The sum of `n` numbers times `factor`: one block, in an order that depends on sizes alone.
KERNEL scaled_sum(const float* x, float* to, int n, float factor) {
  __shared__ double sums[1024];
  double sum = 0.0;
  for (int at = threadIdx.x; at < n; at += blockDim.x) sum += x[at];
  sums[threadIdx.x] = sum;
  for (int half = blockDim.x / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
  }
  if (threadIdx.x == 0) *to = (float)(sums[0] * factor);
}

// (softmax - target) times what the row counts, `factor` and the gradient by the loss.
KERNEL cross_entropy_back(const T* logits, const u32* labels, const float* shares,
                          const float* weights, const float* by_loss, T* to, int rows, int classes,
                          int parts, float smoothing, float factor) {
  int row = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5), lane = threadIdx.x & 31;
  if (row >= rows) return;
  Targets of = {labels, shares, weights, parts, rows};
  const T* scores = logits + (long long)row * classes;
  float most = largest(scores, classes, lane), sum = 0.0f, counted = 0.0f;
  for (int at = lane; at < classes; at += 32) sum += expf(to_float(scores[at]) - most);
  sum = warp_sum(sum);
  for (int part = 0; part < parts; part++)
    counted += weight_of(of, part, label_of(of, part, row));
  float scale = *by_loss * factor, everywhere = smoothing / classes;
  to += (long long)row * classes;
  for (int at = lane; at < classes; at += 32) {
    float by = (expf(to_float(scores[at]) - most) / sum - everywhere) * counted;
    for (int part = 0; part < parts; part++) {
      int label = label_of(of, part, row);
      if (label == at) by -= (1.0f - smoothing) * weight_of(of, part, label);
    }
    put(to + at, by * scale);
  }
}

#define SHARE 4096

// The sums of squared differences of SHARE numbers each.
KERNEL squared_errors(const float* x, const float* target, float* to, long long n) {
  __shared__ float room[32];
  long long first = (long long)blockIdx.x * SHARE, end = first + SHARE < n ? first + SHARE : n;
  float sum = 0.0f;
  for (long long i = first + threadIdx.x; i < end; i += blockDim.x) {
    float apart = x[i] - target[i];
    sum += apart * apart;
  }
  sum = block_sum(sum, room);
  if (threadIdx.x == 0) to[blockIdx.x] = sum;
}

// The differences times `factor` and the gradient by the loss.
KERNEL squared_errors_back(const float* x, const float* target, const float* by_loss, float* to,
                           long long n, float factor) {
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) to[i] = (x[i] - target[i]) * (*by_loss * factor);
}

// sum + weight * value, of single numbers; a sum that is not there is 0.
KERNEL plus_weighted(const float* sum, const float* value, float* to, float weight) {
  if (threadIdx.x == 0) *to = (sum ? *sum : 0.0f) + weight * *value;
}

// Numbers at places `first` on of the next row of `rows` [most, width]; with the last of the row it is
// counted as written.
KERNEL note(float* rows, u32* written, const float* a, const float* b, const float* c,
            const float* d, const float* e, const float* f, const float* g, const float* h,
            int first, int count, int width, int most) {
  const float* const from[] = {a, b, c, d, e, f, g, h};
  u32 row = *written;
  for (int place = 0; place < 8; place++)
    if (place == (int)threadIdx.x && place < count)
      rows[(long long)(row % (u32)most) * width + first + place] = *from[place];
  __syncwarp();
  if (threadIdx.x == 0 && first + count == width) *written = row + 1;
}
