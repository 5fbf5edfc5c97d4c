// What the rest of the driver knows of modules and of the launch that runs.
#pragma once

#include <cstdint>
#include <string>

#include "module.hpp"

namespace card {

struct Loaded {
  // Where its library lies.
  uint64_t base;
  const pretend::Module* module;
};

bool is_launching();
// Gives the launch up that touched an address it may not.
[[noreturn]] void fault(uint64_t address, const char* what);

}  // namespace card
