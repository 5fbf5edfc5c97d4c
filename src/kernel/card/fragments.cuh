// What every file of kernels begins with, after common.cuh: products of blocks of bf16 numbers on
// tensor cores.

#define INLINE __device__ __forceinline__

// A row of W numbers in shared memory, and what keeps rows that are read together in different banks.
#define LD (W + 8)

INLINE int lane_of() { return threadIdx.x & 31; }

#ifndef PRETEND

// Where something is in shared memory.
typedef u32 Shared;

INLINE Shared place_of(const bf16* shared) {
  Shared at;
  asm("{ .reg .u64 all; cvta.to.shared.u64 all, %1; cvt.u32.u64 %0, all; }" : "=r"(at) : "l"(shared));
  return at;
}

INLINE Shared further(Shared from, int elements) { return from + 2 * elements; }

// Four matrices of 8 x 8; each lane gives where a row begins, those of the first matrix first.
#define LOAD4(HOW)                                                                           \
  asm volatile("ldmatrix.sync.aligned.m8n8.x4" HOW ".shared.b16 {%0, %1, %2, %3}, [%4];"      \
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])                           \
               : "r"(row)                                                                     \
               : "memory")

INLINE void load4(u32 (&to)[4], Shared row) { LOAD4(""); }

// The same, each matrix transposed.
INLINE void load4_turned(u32 (&to)[4], Shared row) { LOAD4(".trans"); }

// sum += a b, of 16 x 16 by 16 x 8.
INLINE void multiply(float (&sum)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Copies 16 bytes to shared memory, or puts 0 there; they are there after `arrived`.
INLINE void fetch(bf16* shared, const bf16* from, bool is_there) {
  int bytes = is_there ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               :
               : "r"(place_of(shared)), "l"(from), "r"(bytes)
               : "memory");
}

// Waits for what this thread has fetched.
INLINE void arrived() { asm volatile("cp.async.wait_all;" : : : "memory"); }

#else

INLINE void fetch(bf16* shared, const bf16* from, bool is_there) {
  *(uint4*)shared = is_there ? *(const uint4*)from : make_uint4(0, 0, 0, 0);
}

INLINE void arrived() {}

typedef const bf16* Shared;

INLINE Shared place_of(const bf16* shared) { return shared; }

INLINE Shared further(Shared from, int elements) { return from + elements; }

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

#endif

// Rows of W numbers in shared memory, as a lane reads them: as left factors or as what is mixed, and
// as what is compared with.
template <int W>
struct Rows {
  Shared own, others;

  INLINE explicit Rows(const bf16* rows) {
    const int lane = lane_of();
    own = further(place_of(rows), lane % 16 * LD + lane / 16 * 8);
    others = further(place_of(rows), (lane % 8 + lane / 16 * 8) * LD + lane / 8 % 2 * 8);
  }
};

// 16 rows from `first` on as left factors: for each step of 16 columns.
template <int W>
INLINE void left_of(u32 (&to)[W / 16][4], const Rows<W>& rows, int first) {
#pragma unroll
  for (int step = 0; step < W / 16; step++)
    load4(to[step], further(rows.own, first * LD + step * 16));
}

// The products of 16 rows with 16 others from `first` on: [half of the others][of a lane].
template <int W>
INLINE void compare(float (&to)[2][4], const u32 (&left)[W / 16][4], const Rows<W>& others,
                    int first) {
#pragma unroll
  for (int i = 0; i < 8; i++) to[i / 4][i % 4] = 0.0f;
#pragma unroll
  for (int step = 0; step < W / 16; step++) {
    u32 right[4];
    load4(right, further(others.others, first * LD + step * 16));
    multiply(to[0], left[step], right[0], right[1]);
    multiply(to[1], left[step], right[2], right[3]);
  }
}

// 16 x 16 pairs, as `compare` gives them, as a left factor.
INLINE void round_pairs(u32 (&to)[4], const float (&pairs)[2][4]) {
#pragma unroll
  for (int i = 0; i < 4; i++) to[i] = bf16_pair(pairs[i / 2][i % 2 * 2], pairs[i / 2][i % 2 * 2 + 1]);
}

// Adds the products of 16 x 16 pairs with 16 rows from `first` on.
template <int W>
INLINE void mix(float (&to)[W / 8][4], const u32 (&pairs)[4], const Rows<W>& rows, int first) {
#pragma unroll
  for (int step = 0; step < W / 16; step++) {
    u32 right[4];
    load4_turned(right, further(rows.own, first * LD + step * 16));
    multiply(to[2 * step], pairs, right[0], right[1]);
    multiply(to[2 * step + 1], pairs, right[2], right[3]);
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
