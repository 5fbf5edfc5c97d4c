// Maps of single elements, and columns of rows.

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

// Numbers in the other type of activations; a thread for each VECTOR of them.
template <typename From, typename To>
__device__ __forceinline__ void in_type(const From* x, To* to, long long n) {
  struct alignas(16) Some { float four[4]; };
  long long first = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * VECTOR;
  bool is_even = (((u64)x | (u64)to) & 15) == 0 && first + VECTOR <= n;
  if (!is_even) {
    for (long long at = first; at < min(first + VECTOR, n); at++) put(to + at, to_float(x[at]));
    return;
  }
  float found[VECTOR];
  if constexpr (sizeof(From) == sizeof(T)) {
    read_vector<VECTOR>((const T*)x + first, found);
#pragma unroll
    for (int at = 0; at < VECTOR; at += 4) {
      Some some = {found[at], found[at + 1], found[at + 2], found[at + 3]};
      *(Some*)(to + first + at) = some;
    }
  } else {
#pragma unroll
    for (int at = 0; at < VECTOR; at += 4) {
      Some some = *(const Some*)(x + first + at);
#pragma unroll
      for (int i = 0; i < 4; i++) found[at + i] = some.four[i];
    }
    write_vector<VECTOR>((T*)to + first, found);
  }
}

KERNEL widened(const T* x, float* to, long long n) { in_type<T, float>(x, to, n); }

KERNEL narrowed(const float* x, T* to, long long n) { in_type<float, T>(x, to, n); }

// The first `columns` of rows of `all`; a thread for each of `n` elements of what is made.
KERNEL first_columns(const T* x, T* to, long long n, int columns, int all) {
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  long long row = over(i, columns);
  to[i] = x[row * all + (i - row * columns)];
}

// And the way back: 0 where nothing was taken.
KERNEL first_columns_back(const T* dy, T* dx, long long n, int columns, int all) {
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  long long row = over(i, all);
  int column = (int)(i - row * all);
  dx[i] = column < columns ? dy[row * columns + column] : (T)0;
}

// `len` elements from `first` on, of `n` that are 0 elsewhere; a thread for each.
KERNEL within(const T* part, T* to, long long n, long long first, long long len) {
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) to[i] = i >= first && i < first + len ? part[i - first] : (T)0;
}
