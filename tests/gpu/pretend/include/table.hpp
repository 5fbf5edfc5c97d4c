// How the driver calls a kernel whose parameters it does not know.
#pragma once

namespace pretend {

template <class T>
struct Caller;

template <class... A>
struct Caller<void (*)(A...)> {
  static constexpr int count = sizeof...(A);
  static constexpr Parameter parameters[count + 1] = {{(int)sizeof(A), std::is_pointer_v<A>}..., {}};

  template <void (*kernel)(A...), int... at>
  static void unpack(void** arguments, std::integer_sequence<int, at...>) {
    kernel(*(std::remove_const_t<A>*)arguments[at]...);
  }

  template <void (*kernel)(A...)>
  static void call(void** arguments) {
    unpack<kernel>(arguments, std::make_integer_sequence<int, count>());
  }
};

static thread_local char touched;
static void touch() { *(volatile char*)&touched = 0; }

}  // namespace pretend
