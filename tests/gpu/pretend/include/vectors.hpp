// Short vectors.
#pragma once

#define PRETEND_VECTORS(type, name, two, four)                                                 \
  struct name##1 {                                                                             \
    type x;                                                                                    \
  };                                                                                           \
  struct alignas(two) name##2 {                                                                \
    type x, y;                                                                                 \
  };                                                                                           \
  struct name##3 {                                                                             \
    type x, y, z;                                                                              \
  };                                                                                           \
  struct alignas(four) name##4 {                                                               \
    type x, y, z, w;                                                                           \
  };                                                                                           \
  static inline name##1 make_##name##1(type x) { return {x}; }                                 \
  static inline name##2 make_##name##2(type x, type y) { return {x, y}; }                      \
  static inline name##3 make_##name##3(type x, type y, type z) { return {x, y, z}; }           \
  static inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }

PRETEND_VECTORS(signed char, char, 2, 4)
PRETEND_VECTORS(unsigned char, uchar, 2, 4)
PRETEND_VECTORS(short, short, 4, 8)
PRETEND_VECTORS(unsigned short, ushort, 4, 8)
PRETEND_VECTORS(int, int, 8, 16)
PRETEND_VECTORS(unsigned, uint, 8, 16)
PRETEND_VECTORS(long, long, 16, 16)
PRETEND_VECTORS(unsigned long, ulong, 16, 16)
PRETEND_VECTORS(long long, longlong, 16, 16)
PRETEND_VECTORS(unsigned long long, ulonglong, 16, 16)
PRETEND_VECTORS(float, float, 8, 16)
PRETEND_VECTORS(double, double, 16, 16)
#undef PRETEND_VECTORS

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
  constexpr dim3(uint3 it) : x(it.x), y(it.y), z(it.z) {}
};
