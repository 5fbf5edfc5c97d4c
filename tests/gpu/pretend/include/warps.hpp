// Barriers, operations between the lanes of a warp, and atomic operations. Blocks run one after the other
// and threads give way only here, so that an atomic operation is a plain one.
#pragma once

#define __syncthreads() ((void)::pretend::hooks.barrier(__LINE__, false))
#define __syncthreads_count(vote) ((int)(::pretend::hooks.barrier(__LINE__, vote) & 0xffff))
#define __syncthreads_or(vote) ((int)((::pretend::hooks.barrier(__LINE__, vote) & 0xffff) != 0))
#define __syncthreads_and(vote) (::pretend::all(::pretend::hooks.barrier(__LINE__, vote)))

namespace pretend {

static inline int all(unsigned votes) { return (votes & 0xffff) == votes >> 16; }

static inline int lane() {
  return (place.thread.x + place.threads.x * (place.thread.y + place.threads.y * place.thread.z)) & 31;
}

template <class T>
static inline T shuffle(unsigned mask, T value, int source) {
  static_assert(sizeof(T) <= 8, "a shuffle takes eight bytes at most");
  unsigned long long bits = 0;
  memcpy(&bits, &value, sizeof(T));
  bits = hooks.meet(Meeting::Shuffle, mask, bits, source, false);
  memcpy(&value, &bits, sizeof(T));
  return value;
}

static inline unsigned meet(Meeting what, unsigned mask, unsigned value, bool is_signed = false) {
  return (unsigned)hooks.meet(what, mask, value, 0, is_signed);
}

}  // namespace pretend

template <class T>
static inline T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  return pretend::shuffle(mask, value, (pretend::lane() & ~(width - 1)) | (source & (width - 1)));
}

template <class T>
static inline T __shfl_xor_sync(unsigned mask, T value, int by, int width = 32) {
  int lane = pretend::lane(), source = lane ^ by;
  return pretend::shuffle(mask, value, source > (lane | (width - 1)) ? lane : source);
}

template <class T>
static inline T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32) {
  int lane = pretend::lane(), source = lane - (int)by;
  return pretend::shuffle(mask, value, source < (lane & ~(width - 1)) ? lane : source);
}

template <class T>
static inline T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32) {
  int lane = pretend::lane(), source = lane + (int)by;
  return pretend::shuffle(mask, value, source > (lane | (width - 1)) ? lane : source);
}

static inline void __syncwarp(unsigned mask = 0xffffffffu) {
  pretend::meet(pretend::Meeting::Sync, mask, 0);
}

static inline unsigned __ballot_sync(unsigned mask, int vote) {
  return pretend::meet(pretend::Meeting::Ballot, mask, vote != 0);
}

static inline int __any_sync(unsigned mask, int vote) { return __ballot_sync(mask, vote) != 0; }
static inline int __all_sync(unsigned mask, int vote) { return __ballot_sync(mask, !vote) == 0; }

template <class T>
static inline unsigned __match_any_sync(unsigned mask, T value) {
  unsigned long long bits = 0;
  memcpy(&bits, &value, sizeof(T));
  return (unsigned)pretend::hooks.meet(pretend::Meeting::Match, mask, bits, 0, false);
}

#define PRETEND_REDUCE(name, what)                                                        \
  static inline unsigned __reduce_##name##_sync(unsigned mask, unsigned value) {          \
    return pretend::meet(pretend::Meeting::what, mask, value);                            \
  }                                                                                       \
  static inline int __reduce_##name##_sync(unsigned mask, int value) {                    \
    return (int)pretend::meet(pretend::Meeting::what, mask, (unsigned)value, true);       \
  }
PRETEND_REDUCE(add, Sum)
PRETEND_REDUCE(min, Least)
PRETEND_REDUCE(max, Most)
PRETEND_REDUCE(and, And)
PRETEND_REDUCE(or, Or)
PRETEND_REDUCE(xor, Xor)
#undef PRETEND_REDUCE

static inline unsigned __activemask() { return pretend::hooks.alive(); }
static inline void __threadfence() {}
static inline void __threadfence_block() {}
static inline void __threadfence_system() {}
static inline void __nanosleep(unsigned) {}

#define PRETEND_ATOMIC(name, next)                                      \
  template <class T>                                                    \
  static inline T atomic##name(T* at, std::common_type_t<T> value) {    \
    T old = *at;                                                        \
    *at = (T)(next);                                                    \
    return old;                                                         \
  }
PRETEND_ATOMIC(Add, old + value)
PRETEND_ATOMIC(Sub, old - value)
PRETEND_ATOMIC(Exch, value)
PRETEND_ATOMIC(Min, value < old ? value : old)
PRETEND_ATOMIC(Max, value > old ? value : old)
PRETEND_ATOMIC(And, old & value)
PRETEND_ATOMIC(Or, old | value)
PRETEND_ATOMIC(Xor, old ^ value)
PRETEND_ATOMIC(Inc, old >= value ? 0 : old + 1)
PRETEND_ATOMIC(Dec, old == 0 || old > value ? value : old - 1)
#undef PRETEND_ATOMIC

template <class T>
static inline T atomicCAS(T* at, std::common_type_t<T> expected, std::common_type_t<T> value) {
  T old = *at;
  if (old == expected) *at = value;
  return old;
}
