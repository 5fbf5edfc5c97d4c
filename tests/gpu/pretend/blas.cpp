// libcublas: products of matrices in f32, or of bf16 numbers added up in f32.

#include <cstdio>
#include <cstring>
#include <vector>

#include "card.hpp"

#define API extern "C" __attribute__((visibility("default"))) int

namespace {

constexpr int F32 = 0, BF16 = 14, NotInitialized = 1, NotSupported = 15, Invalid = 7;
// Tiles of the result, and the terms that are added up before they go to a total: the sums of long rows stay exact.
constexpr int ROWS = 16, COLUMNS = 4, TERMS = 256;

typedef float Row __attribute__((vector_size(32)));

struct Matrix {
  uint64_t at;
  int type, step;
  long long stride;
  bool is_transposed;
  // As it lies: rows of a column, and columns.
  int rows, columns;
};

size_t width(int type) { return type == BF16 ? 2 : 4; }

float number(const void* at, int type, size_t index) {
  if (type == F32) return ((const float*)at)[index];
  uint32_t bits = (uint32_t)((const uint16_t*)at)[index] << 16;
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

void put(void* at, int type, size_t index, float value) {
  if (type == F32) {
    ((float*)at)[index] = value;
    return;
  }
  uint32_t bits;
  memcpy(&bits, &value, 4);
  bool is_number = (bits & 0x7fffffff) <= 0x7f800000;
  ((uint16_t*)at)[index] = (uint16_t)(is_number ? (bits + 0x7fff + (bits >> 16 & 1)) >> 16 : bits >> 16 | 0x40);
}

// Strips of `wide` rows (of a left factor) or columns (of a right one), term after term, filled up with zeros.
std::vector<float> packed(const Matrix& it, const void* at, bool is_left, int count, int terms, int wide) {
  std::vector<float> all((size_t)(count + wide - 1) / wide * wide * terms);
  bool is_along = is_left != it.is_transposed;
  for (int first = 0; first < count; first += wide) {
    float* strip = all.data() + (size_t)first * terms;
    for (int term = 0; term < terms; term++)
      for (int lane = 0; lane < wide && first + lane < count; lane++) {
        size_t index = is_along ? (size_t)term * it.step + first + lane : (size_t)(first + lane) * it.step + term;
        strip[(size_t)term * wide + lane] = number(at, it.type, index);
      }
  }
  return all;
}

// The sums of a tile.
void tile(const float* left, const float* right, int terms, float (*to)[ROWS]) {
  Row totals[COLUMNS][2] = {};
  for (int from = 0; from < terms; from += TERMS) {
    int end = from + TERMS < terms ? from + TERMS : terms;
    Row sums[COLUMNS][2] = {};
    for (int term = from; term < end; term++) {
      Row rows[2];
      memcpy(rows, left + (size_t)term * ROWS, sizeof rows);
      for (int column = 0; column < COLUMNS; column++)
        for (int half = 0; half < 2; half++) sums[column][half] += rows[half] * right[(size_t)term * COLUMNS + column];
    }
    for (int column = 0; column < COLUMNS; column++)
      for (int half = 0; half < 2; half++) totals[column][half] += sums[column][half];
  }
  memcpy(to, totals, sizeof totals);
}

struct Product {
  Matrix left, right, to;
  int rows, columns, terms, batch;
  float scale, onto;
};

void multiply(const Product& it, int index) {
  auto at = [&](const Matrix& of) { return (void*)(of.at + (size_t)(index * of.stride) * width(of.type)); };
  auto left = packed(it.left, at(it.left), true, it.rows, it.terms, ROWS);
  auto right = packed(it.right, at(it.right), false, it.columns, it.terms, COLUMNS);
  void* to = at(it.to);
  float sums[COLUMNS][ROWS];
  for (int column = 0; column < it.columns; column += COLUMNS)
    for (int row = 0; row < it.rows; row += ROWS) {
      tile(left.data() + (size_t)row * it.terms, right.data() + (size_t)column * it.terms, it.terms, sums);
      for (int j = 0; j < COLUMNS && column + j < it.columns; j++)
        for (int i = 0; i < ROWS && row + i < it.rows; i++) {
          size_t index = (size_t)(column + j) * it.to.step + row + i;
          float value = it.scale * sums[j][i];
          // What is not added to is not read.
          if (it.onto != 0) value += it.onto * number(to, it.to.type, index);
          put(to, it.to.type, index, value);
        }
    }
}

int refused(int status, const std::string& why) {
  fprintf(stderr, "make-believe cuBLAS: %s\n", why.c_str());
  card::failure(card::InvalidValue, why);
  return status;
}

int check(const char* what, const Matrix& it, int batch) {
  std::string name = what;
  if (it.step < it.rows || it.step < 1)
    return refused(Invalid, name + " has rows of " + std::to_string(it.rows) + ", " + std::to_string(it.step) + " apart");
  size_t elements = (size_t)(it.columns - 1) * it.step + it.rows;
  for (int at = 0; at < batch; at += batch > 1 ? batch - 1 : 1) {
    uint64_t from = it.at + at * it.stride * (long long)width(it.type);
    if (card::check_range(what, from, elements * width(it.type))) return refused(Invalid, card::last_failure());
    if (from % width(it.type)) return refused(Invalid, name + " is not aligned");
  }
  return 0;
}

int multiply_all(const Product& it) {
  if (it.rows < 0 || it.columns < 0 || it.terms < 0 || it.batch < 0) return refused(Invalid, "a size is negative");
  if (it.rows == 0 || it.columns == 0 || it.batch == 0) return 0;
  bool are_same = it.left.type == it.right.type && (it.left.type == F32 || it.left.type == BF16);
  if (!are_same || !(it.to.type == F32 || (it.to.type == BF16 && it.left.type == BF16)))
    return refused(NotSupported, "these types of factors and result do not go together");
  if (it.terms > 0) {
    if (int bad = check("the left factor", it.left, it.batch)) return bad;
    if (int bad = check("the right factor", it.right, it.batch)) return bad;
  }
  if (int bad = check("the result", it.to, it.batch)) return bad;
  if (card::is_idle()) return 0;
  for (int index = 0; index < it.batch; index++) multiply(it, index);
  return 0;
}

Matrix matrix(const void* at, int type, int step, long long stride, int transposed, int rows, int columns) {
  if (transposed) return {(uint64_t)at, type, step, stride, true, columns, rows};
  return {(uint64_t)at, type, step, stride, false, rows, columns};
}

}  // namespace

struct Handle {
  void* stream;
};

API cublasCreate_v2(Handle** handle) { return *handle = new Handle{}, 0; }
API cublasDestroy_v2(Handle* handle) {
  if (card::wait_for_all("a handle of cuBLAS ends")) return Invalid;
  return delete handle, 0;
}
API cublasSetStream_v2(Handle* handle, void* stream) { return handle->stream = stream, 0; }
API cublasSetMathMode(void*, int) { return 0; }
API cublasSetWorkspace_v2(void*, void*, size_t) { return 0; }
API cublasSetPointerMode_v2(void*, int mode) { return mode == 0 ? 0 : NotSupported; }
API cublasGetPointerMode_v2(void*, int* mode) { return *mode = 0, 0; }

API cublasGemmStridedBatchedEx(Handle* handle, int left_as, int right_as, int m, int n, int k, const float* scale,
                               const void* left, int left_type, int lda, long long left_stride, const void* right,
                               int right_type, int ldb, long long right_stride, const float* onto, void* to, int type,
                               int ldc, long long stride, int batch, int compute, int) {
  if (!handle) return refused(NotInitialized, "there is no handle");
  // In f32, whether or not the card may round factors: 68 to 77 without 72 and 73, which are of integers.
  if (compute < 68 || compute > 77 || compute == 72 || compute == 73)
    return refused(NotSupported, "sums are in f32 only");
  Product product = {matrix(left, left_type, lda, left_stride, left_as, m, k),
                     matrix(right, right_type, ldb, right_stride, right_as, k, n),
                     matrix(to, type, ldc, stride, 0, m, n), m, n, k, batch, *scale, *onto};
  if (card::notes(handle->stream, {[=] { return multiply_all(product); }})) return 0;
  return multiply_all(product);
}

API cublasGemmEx(Handle* handle, int left_as, int right_as, int m, int n, int k, const float* scale, const void* left,
                 int left_type, int lda, const void* right, int right_type, int ldb, const float* onto, void* to,
                 int type, int ldc, int compute, int how) {
  return cublasGemmStridedBatchedEx(handle, left_as, right_as, m, n, k, scale, left, left_type, lda, 0, right,
                                    right_type, ldb, 0, onto, to, type, ldc, 0, 1, compute, how);
}

API cublasSgemmStridedBatched(Handle* handle, int left_as, int right_as, int m, int n, int k, const float* scale,
                              const float* left, int lda, long long left_stride, const float* right, int ldb,
                              long long right_stride, const float* onto, float* to, int ldc, long long stride,
                              int batch) {
  return cublasGemmStridedBatchedEx(handle, left_as, right_as, m, n, k, scale, left, F32, lda, left_stride, right, F32,
                                    ldb, right_stride, onto, to, F32, ldc, stride, batch, 68, 0);
}

API cublasSgemm_v2(Handle* handle, int left_as, int right_as, int m, int n, int k, const float* scale, const float* left,
                   int lda, const float* right, int ldb, const float* onto, float* to, int ldc) {
  return cublasSgemmStridedBatched(handle, left_as, right_as, m, n, k, scale, left, lda, 0, right, ldb, 0, onto, to, ldc,
                                   0, 1);
}
