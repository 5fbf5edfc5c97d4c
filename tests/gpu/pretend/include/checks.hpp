// What the compiler's checks call: of addresses that are not aligned, and of indices beyond an array.
#pragma once

namespace pretend {
struct Where {
  const char* file;
  unsigned line, column;
};
}  // namespace pretend

extern "C" {
__attribute__((used, cold)) void __ubsan_handle_type_mismatch_v1_abort(pretend::Where* at, void*) {
  pretend::hooks.fail("an address that is not aligned for what is accessed there", at->file, at->line);
}

__attribute__((used, cold)) void __ubsan_handle_out_of_bounds_abort(pretend::Where* at, void*) {
  pretend::hooks.fail("an index beyond an array", at->file, at->line);
}
}
