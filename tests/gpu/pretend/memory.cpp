// Memory of the make-believe card. An allocation ends, but for the bytes that align it, where a page begins that
// nobody may touch; addresses are not used again for long, so that what was freed is nobody's either. What is new
// is filled with ones, which are no numbers as floats.

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "card.hpp"

namespace card {
namespace {

constexpr size_t PAGE = 4096, ALIGNED = 16, RANGE = 1ull << 40;
constexpr int FRESH = 0xff, EDGE = 0xed;

struct Block {
  size_t bytes;
  // The pages it lies in.
  uint64_t first, end;
};

std::mutex guard;
std::map<uint64_t, Block> blocks;
uint64_t range = 0, next = 0;
bool is_second_round = false;
size_t used = 0;

// 8 GiB, or as many MiB as PRETEND_MIB says.
size_t capacity() {
  static const size_t bytes = [] {
    const char* mib = getenv("PRETEND_MIB");
    return (size_t)(mib ? strtoull(mib, nullptr, 10) : 8192) << 20;
  }();
  return bytes;
}

size_t pages(size_t bytes) { return (bytes + PAGE - 1) / PAGE * PAGE; }

// The allocation that an address lies in, or ends at.
std::map<uint64_t, Block>::iterator block_of(uint64_t at) {
  auto after = blocks.upper_bound(at);
  if (after == blocks.begin()) return blocks.end();
  auto found = std::prev(after);
  return at <= found->first + found->second.bytes ? found : blocks.end();
}

// Where `bytes` of pages and one more are nobody's.
uint64_t place(size_t bytes) {
  if (range == 0) {
    void* all = mmap(nullptr, RANGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED) return 0;
    range = next = (uint64_t)all;
  }
  if (next + bytes + PAGE > range + RANGE) {
    next = range;
    is_second_round = true;
  }
  if (is_second_round)
    for (auto& [at, block] : blocks)
      if (block.first < next + bytes + PAGE && next < block.end + PAGE) next = block.end + PAGE;
  uint64_t found = next;
  next += bytes + PAGE;
  return found;
}

void draw_edges(uint64_t at, const Block& block) {
  memset((void*)block.first, EDGE, at - block.first);
  memset((void*)(at + block.bytes), EDGE, block.end - at - block.bytes);
}

bool is_untouched(uint64_t from, uint64_t to) {
  const unsigned char* bytes = (const unsigned char*)from;
  return from == to || (bytes[0] == EDGE && memcmp(bytes, bytes + 1, to - from - 1) == 0);
}

bool are_edges_whole(uint64_t at, const Block& block) {
  return is_untouched(block.first, at) && is_untouched(at + block.bytes, block.end);
}

}  // namespace

int allocate(uint64_t* at, size_t bytes) {
  std::lock_guard lock(guard);
  if (bytes == 0) return failure(InvalidValue, "memory of no bytes is asked for");
  size_t size = pages(bytes);
  if (used + size > capacity()) return failure(OutOfMemory, "the make-believe card has no more memory");
  uint64_t first = place(size);
  if (first == 0 || mprotect((void*)first, size, PROT_READ | PROT_WRITE) != 0)
    return failure(OutOfMemory, "this machine gives the make-believe card no more memory");
  uint64_t begin = first + size - (bytes + ALIGNED - 1) / ALIGNED * ALIGNED;
  memset((void*)begin, FRESH, bytes);
  blocks[begin] = {bytes, first, first + size};
  draw_edges(begin, blocks[begin]);
  used += size;
  *at = begin;
  return Success;
}

int release(uint64_t at) {
  std::lock_guard lock(guard);
  if (at == 0) return Success;
  auto found = blocks.find(at);
  if (found == blocks.end()) return failure(InvalidValue, "what is freed was not allocated, or is freed twice");
  Block block = found->second;
  bool is_whole = are_edges_whole(at, block);
  size_t size = block.end - block.first;
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
  mmap((void*)block.first, size, PROT_NONE, flags, -1, 0);
  blocks.erase(found);
  used -= size;
  return is_whole ? Success : failure(IllegalAddress, "something was written around memory that is freed");
}

void memory_sizes(size_t* unused, size_t* total) {
  std::lock_guard lock(guard);
  *unused = capacity() - used;
  *total = capacity();
}

int check_range(const char* what, uint64_t at, size_t bytes) {
  if (bytes == 0) return Success;
  {
    std::lock_guard lock(guard);
    auto found = block_of(at);
    if (found != blocks.end() && at + bytes <= found->first + found->second.bytes) return Success;
  }
  std::string range = std::to_string(bytes) + " bytes from " + describe(at);
  return failure(IllegalAddress, std::string(what) + " touches " + range);
}

bool is_on_card(uint64_t at) {
  std::lock_guard lock(guard);
  return block_of(at) != blocks.end();
}

int check_edges(uint64_t at) {
  std::lock_guard lock(guard);
  auto found = block_of(at);
  if (found == blocks.end() || are_edges_whole(found->first, found->second)) return Success;
  // It is said once.
  draw_edges(found->first, found->second);
  return IllegalAddress;
}

std::string describe(uint64_t at) {
  std::lock_guard lock(guard);
  char address[32];
  snprintf(address, sizeof address, "0x%llx", (unsigned long long)at);
  auto after = blocks.upper_bound(at);
  if (after != blocks.begin()) {
    auto& [begin, block] = *std::prev(after);
    std::string size = std::to_string(block.bytes) + " bytes";
    if (at < begin + block.bytes) return "byte " + std::to_string(at - begin) + " of " + size;
    if (at < block.end + PAGE) return std::to_string(at - begin - block.bytes) + " bytes after the end of " + size;
  }
  if (after != blocks.end() && at >= after->second.first)
    return std::to_string(after->first - at) + " bytes before " + std::to_string(after->second.bytes) + " bytes";
  if (at >= range && at < next) return std::string(address) + ", which was freed";
  return std::string(address) + ", which is no address on the card";
}

}  // namespace card
