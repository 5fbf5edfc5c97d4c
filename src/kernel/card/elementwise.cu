// Maps of single elements.

// to = x + y; a thread for each 16 bytes.
KERNEL add(const T* x, const T* y, T* to, long long n) {
  long long first = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * VECTOR;
  if ((((u64)x | (u64)y | (u64)to) & 15) == 0 && first + VECTOR <= n) {
    float sum[VECTOR], other[VECTOR];
    read_vector<VECTOR>(x + first, sum);
    read_vector<VECTOR>(y + first, other);
#pragma unroll
    for (int at = 0; at < VECTOR; at++) sum[at] += other[at];
    write_vector<VECTOR>(to + first, sum);
    return;
  }
  for (int at = 0; at < VECTOR && first + at < n; at++)
    put(to + first + at, to_float(x[first + at]) + to_float(y[first + at]));
}
