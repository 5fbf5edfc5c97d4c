// Work on many tensors of f32 at once. A block takes SHARE elements of one of them: `blocks` has
// which tensor and which share; `places` has where the values, gradients and moments of each tensor
// begin, how many elements it has, and whether its rate is its own.

#define SHARE 4096
#define PLACES 6

struct Part {
  float *value, *first_moment, *second_moment;
  const float* grad;
  long long begin, end;
  int tensor;
  bool adapts;
};

__device__ __forceinline__ Part part_of(const long long* places, const int* blocks) {
  int tensor = blocks[2 * blockIdx.x];
  const long long* at = places + (long long)tensor * PLACES;
  long long begin = (long long)blocks[2 * blockIdx.x + 1] * SHARE, end = begin + SHARE;
  return {(float*)at[0], (float*)at[2], (float*)at[3],          (const float*)at[1],
          begin,         end < at[4] ? end : at[4], tensor, at[5] != 0};
}

// Four elements, of which `left` are there; at once where they lie well.
__device__ __forceinline__ void load(const float* from, long long left, float (&to)[4]) {
  if (left >= 4 && ((unsigned long long)from & 15) == 0) {
    float4 all = *(const float4*)from;
    to[0] = all.x, to[1] = all.y, to[2] = all.z, to[3] = all.w;
    return;
  }
#pragma unroll
  for (int at = 0; at < 4; at++) to[at] = at < left ? from[at] : 0.0f;
}

__device__ __forceinline__ void store(float* to, long long left, const float (&from)[4]) {
  if (left >= 4 && ((unsigned long long)to & 15) == 0) {
    *(float4*)to = make_float4(from[0], from[1], from[2], from[3]);
    return;
  }
#pragma unroll
  for (int at = 0; at < 4; at++)
    if (at < left) to[at] = from[at];
}

// Moves a part's values by `rule(value, first moment, second moment, gradient)`.
template <bool TWO, typename Rule>
__device__ __forceinline__ void move(const Part& part, Rule rule) {
  for (long long i = part.begin + 4 * threadIdx.x; i < part.end; i += 4 * blockDim.x) {
    long long left = part.end - i;
    float value[4], first[4], second[4] = {}, grad[4];
    load(part.value + i, left, value);
    load(part.grad + i, left, grad);
    load(part.first_moment + i, left, first);
    if (TWO) load(part.second_moment + i, left, second);
#pragma unroll
    for (int at = 0; at < 4; at++) rule(value[at], first[at], second[at], grad[at]);
    store(part.value + i, left, value);
    store(part.first_moment + i, left, first);
    if (TWO) store(part.second_moment + i, left, second);
  }
}

KERNEL adamw(const long long* places, const int* blocks, const float* squares, float kept,
             float fresh1, float kept2, float fresh2, float rate, float root, float eps) {
  move<true>(part_of(places, blocks), [=](float& value, float& m, float& v, float grad) {
    m += (grad - m) * fresh1;
    v = v * kept2 + grad * grad * fresh2;
    value = value * kept - rate * m / (sqrtf(v) / root + eps);
  });
}

KERNEL sgd(const long long* places, const int* blocks, const float* squares, float rate,
           float momentum, float decay, float nesterov) {
  bool ahead = nesterov != 0.0f;
  move<false>(part_of(places, blocks), [=](float& value, float& u, float&, float grad) {
    grad = grad + decay * value;
    u = momentum * u + grad;
    value -= rate * (ahead ? grad + momentum * u : u);
  });
}

// `squares` [tensors, 2] of values and of gradients.
KERNEL lars(const long long* places, const int* blocks, const float* squares, float rate,
            float momentum, float decay, float trust) {
  Part part = part_of(places, blocks);
  float length = sqrtf(squares[2 * part.tensor]), slope = sqrtf(squares[2 * part.tensor + 1]);
  float whole = slope + decay * length, by = 1.0f;
  if (part.adapts && length != 0.0f && whole != 0.0f) by = trust * length / whole;
  float less = part.adapts ? decay : 0.0f;
  move<false>(part, [=](float& value, float& u, float&, float grad) {
    u = momentum * u + by * (grad + less * value);
    value -= rate * u;
  });
}

// The sums of squares of a part's values, where they are there, and gradients: `sums` [blocks, 2].
KERNEL squares_of(const long long* places, const int* blocks, float* sums) {
  __shared__ float room[32];
  Part part = part_of(places, blocks);
  float values = 0.0f, grads = 0.0f, x[4];
  for (long long i = part.begin + 4 * threadIdx.x; i < part.end; i += 4 * blockDim.x) {
    long long left = part.end - i;
    load(part.grad + i, left, x);
    grads += x[0] * x[0] + x[1] * x[1] + x[2] * x[2] + x[3] * x[3];
    if (!part.value) continue;
    load(part.value + i, left, x);
    values += x[0] * x[0] + x[1] * x[1] + x[2] * x[2] + x[3] * x[3];
  }
  values = block_sum(values, room);
  grads = block_sum(grads, room);
  if (threadIdx.x != 0) return;
  sums[2 * blockIdx.x] = values;
  sums[2 * blockIdx.x + 1] = grads;
}

// The sums of `count` pairs of numbers from `first` on, by 256 threads.
__device__ __forceinline__ double2 sum_of(const float* pairs, int first, int end) {
  __shared__ double sums[2][256];
  double one = 0.0, other = 0.0;
  for (int at = first + threadIdx.x; at < end; at += 256) {
    one += pairs[2 * at];
    other += pairs[2 * at + 1];
  }
  sums[0][threadIdx.x] = one;
  sums[1][threadIdx.x] = other;
  for (int by = 128; by > 0; by >>= 1) {
    __syncthreads();
    if ((int)threadIdx.x >= by) continue;
    sums[0][threadIdx.x] += sums[0][threadIdx.x + by];
    sums[1][threadIdx.x] += sums[1][threadIdx.x + by];
  }
  __syncthreads();
  return make_double2(sums[0][0], sums[1][0]);
}

// The sums of each tensor's blocks, which begin at `firsts` [tensors + 1]; a block for each tensor.
KERNEL squares_of_tensors(const float* sums, const int* firsts, float* to) {
  double2 all = sum_of(sums, firsts[blockIdx.x], firsts[blockIdx.x + 1]);
  if (threadIdx.x != 0) return;
  to[2 * blockIdx.x] = (float)all.x;
  to[2 * blockIdx.x + 1] = (float)all.y;
}

// The length of all gradients together; one block.
KERNEL length_of_all(const float* sums, int blocks, float* to) {
  double2 all = sum_of(sums, 0, blocks);
  if (threadIdx.x == 0) *to = (float)sqrt(all.y);
}

// Gradients scaled down to the length `most` of all together, where they are longer; they go where
// first moments are.
KERNEL bounded(const long long* places, const int* blocks, const float* length, float most) {
  Part part = part_of(places, blocks);
  float by = most / (*length + 1e-6f), x[4];
  // What is not a number stays so.
  by = by >= 1.0f ? 1.0f : by;
  for (long long i = part.begin + 4 * threadIdx.x; i < part.end; i += 4 * blockDim.x) {
    load(part.grad + i, part.end - i, x);
#pragma unroll
    for (int at = 0; at < 4; at++) x[at] *= by;
    store(part.first_moment + i, part.end - i, x);
  }
}
