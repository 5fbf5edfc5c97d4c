// The parts of the make-believe card.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "module.hpp"

namespace card {

// Results of the driver's calls, as cuda.h numbers them.
enum Result {
  Success = 0,
  InvalidValue = 1,
  OutOfMemory = 2,
  InvalidDevice = 101,
  InvalidImage = 200,
  NotFound = 500,
  IllegalAddress = 700,
  NotSupported = 801,
  NotWhileNoting = 900,
};

// An error, and what cuGetErrorString says of it on this thread.
int failure(int result, const std::string& why);
const char* last_failure();

// Memory: allocations end where a page begins that nobody may touch.
int allocate(uint64_t* at, size_t bytes);
int release(uint64_t at);
void memory_sizes(size_t* unused, size_t* total);
// An error unless `bytes` from an address lie in one allocation.
int check_range(const char* what, uint64_t at, size_t bytes);
// Whether an address lies in an allocation or where it ends.
bool is_on_card(uint64_t at);
// An error if what lies around the allocation of an address was written to.
int check_edges(uint64_t at);
// What is known of an address.
std::string describe(uint64_t at);

// Modules and launches.
struct Loaded;
struct Function {
  Loaded* of;
  const pretend::Kernel* kernel;
  size_t most_shared;
};
int load(Loaded** found, const std::string& library);
Function* function(Loaded* of, const std::string& name);
struct Launch {
  pretend::Index blocks, threads;
  size_t shared;
};
int launch(const Function& function, const Launch& launch, void** arguments);

// Nothing is computed: what the host takes alone.
bool is_idle();

// Whether a stream notes what it is given for a graph instead, and does so now.
struct Node {
  std::function<int()> run;
  // Of a launch, what can be told anew.
  const Function* function = nullptr;
  Launch launch = {};
  std::vector<std::vector<char>> arguments = {};
};
bool notes(void* stream, Node node);
bool is_noting(void* stream);
// An error while any stream does: all of the card cannot be waited for then.
int wait_for_all(const char* what);

// The folder of this library.
std::string home();

}  // namespace card
