// Runs kernels: blocks one after the other, the threads of a block as fibres that give way to each other at
// barriers and at operations of warps.

#include "launch.hpp"

#include <link.h>
#include <setjmp.h>
#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "card.hpp"
#include "fibre.hpp"

namespace card {
namespace {

using pretend::Meeting;

constexpr int MOST_THREADS = 1024, LANES = 32;
constexpr size_t MOST_SHARED = 227 * 1024;

enum class State { Unstarted, Ready, AtBarrier, AtMeeting, Returned };

struct Thread {
  State state;
  Fibre* fibre;
  // What it waits for.
  int line;
  bool vote;
  Meeting what;
  unsigned mask;
  int source;
  bool is_signed;
  unsigned long long value;
};

// One launch at a time.
std::mutex guard;
Thread threads[MOST_THREADS];
pretend::Index positions[MOST_THREADS];
int count, current;
unsigned long long turns;
const Function* running = nullptr;
void** given;
pretend::Place* place;
Fibres fibres;
char* shared_end = nullptr;
bool has_failed;
std::string why;
jmp_buf way_out;

std::string position() {
  char text[160];
  auto& [thread, block, sizes, blocks] = *place;
  snprintf(text, sizeof text, "block (%u, %u, %u) of (%u, %u, %u), thread (%u, %u, %u) of (%u, %u, %u)", block.x, block.y,
           block.z, blocks.x, blocks.y, blocks.z, thread.x, thread.y, thread.z, sizes.x, sizes.y, sizes.z);
  return text;
}

void note(const std::string& what) {
  if (!has_failed) why = std::string("kernel ") + running->kernel->name + ", " + position() + ": " + what;
  has_failed = true;
}

void enter(int index) {
  current = index;
  place->thread = positions[index];
}

// What a fibre does each time it is taken: a thread from its beginning to its end.
void run_thread() {
  for (;;) {
    running->kernel->call(given);
    threads[current].state = State::Returned;
    fibres.leave(threads[current].fibre);
  }
}

void wait_as(State state) {
  Thread& thread = threads[current];
  thread.state = state;
  fibres.leave(thread.fibre);
}

// Gives the launch up from within a kernel.
void give_up(const char* what, const char* file, int line) {
  note(std::string(what) + ", " + file + ":" + std::to_string(line));
  wait_as(State::Returned);
}

unsigned barrier(int line, bool vote) {
  threads[current].line = line;
  threads[current].vote = vote;
  wait_as(State::AtBarrier);
  return (unsigned)threads[current].value;
}

unsigned long long meet(Meeting what, unsigned mask, unsigned long long value, int source, bool is_signed) {
  Thread& thread = threads[current];
  thread.what = what;
  thread.mask = mask;
  thread.value = value;
  thread.source = source;
  thread.is_signed = is_signed;
  if (!(mask >> (current % LANES) & 1)) {
    note("a lane is not in the mask of its own warp operation");
    wait_as(State::Returned);
  }
  wait_as(State::AtMeeting);
  return threads[current].value;
}

unsigned alive() {
  unsigned all = 0;
  for (int lane = 0, first = current / LANES * LANES; lane < LANES && first + lane < count; lane++)
    if (threads[first + lane].state != State::Returned) all |= 1u << lane;
  return all;
}

unsigned long long reduced(Meeting what, bool is_signed, unsigned long long a, unsigned long long b) {
  bool is_less = is_signed ? (int)a < (int)b : (unsigned)a < (unsigned)b;
  switch (what) {
    case Meeting::Sum: return (unsigned)(a + b);
    case Meeting::Least: return is_less ? a : b;
    case Meeting::Most: return is_less ? b : a;
    case Meeting::And: return a & b;
    case Meeting::Or: return a | b;
    default: return a ^ b;
  }
}

// What `lane` gets of an operation among `present`. Of a lane that takes no part it gets no number.
unsigned long long outcome(Thread* warp, int lane, unsigned present) {
  const Thread& thread = warp[lane];
  if (thread.what == Meeting::Shuffle)
    return present >> (thread.source & 31) & 1 ? warp[thread.source & 31].value : ~0ull;
  unsigned long long all = 0;
  bool is_first = true;
  for (int other = 0; other < LANES; other++) {
    if (!(present >> other & 1)) continue;
    unsigned long long value = warp[other].value;
    if (thread.what == Meeting::Ballot) all |= value << other;
    else if (thread.what == Meeting::Match) all |= (unsigned long long)(value == thread.value) << other;
    else all = is_first ? value : reduced(thread.what, thread.is_signed, all, value);
    is_first = false;
  }
  return all;
}

// Lets an operation of a warp happen if all lanes it is for are there.
bool complete(Thread* warp, int lanes, int lane) {
  const Thread& thread = warp[lane];
  unsigned present = 0;
  for (int other = 0; other < lanes; other++) {
    const Thread& it = warp[other];
    if (!(thread.mask >> other & 1) || it.state == State::Returned) continue;
    if (it.state != State::AtMeeting || it.what != thread.what || it.mask != thread.mask) return false;
    present |= 1u << other;
  }
  unsigned long long values[LANES];
  for (int other = 0; other < lanes; other++)
    if (present >> other & 1) values[other] = outcome(warp, other, present);
  for (int other = 0; other < lanes; other++)
    if (present >> other & 1) {
      warp[other].value = values[other];
      warp[other].state = State::Ready;
    }
  return true;
}

// Threads run in an order that changes from turn to turn and is the same every time, so that what relies on an
// order without a barrier goes wrong here as well.
struct Order {
  int of, at, by;
  Order(unsigned long long turn, int of) : of(of) {
    unsigned long long bits = turn * 0x9e3779b97f4a7c15ull >> 40;
    at = (int)((bits >> 1) % of);
    by = bits & 1 ? 1 : of - 1;
  }
  int next() {
    int found = at;
    at += by;
    if (at >= of) at -= of;
    return found;
  }
};

void step(int index) {
  Thread& thread = threads[index];
  if (thread.state == State::Unstarted) thread.fibre = fibres.take();
  else if (thread.state != State::Ready) return;
  enter(index);
  fibres.enter(thread.fibre);
  if (thread.state == State::Returned) fibres.give(thread.fibre);
}

// Runs a warp until all its lanes are at a barrier or have returned.
void run_warp(int first) {
  int lanes = count - first < LANES ? count - first : LANES;
  for (bool moves = true; moves && !has_failed;) {
    Order order(++turns, lanes);
    for (int at = 0; at < lanes && !has_failed; at++) step(first + order.next());
    moves = false;
    int waiting = -1;
    for (int lane = 0; lane < lanes && !has_failed; lane++) {
      if (threads[first + lane].state != State::AtMeeting) continue;
      if (complete(threads + first, lanes, lane)) moves = true;
      else waiting = lane;
    }
    if (waiting >= 0 && !moves && !has_failed) {
      enter(first + waiting);
      note("lanes of a warp operation do not come together: others are at a barrier or at another operation");
    }
  }
}

// Lets all threads pass a barrier; false when all have returned.
bool pass_barrier() {
  int waiting = 0, votes = 0, line = 0;
  for (int at = 0; at < count; at++) {
    if (threads[at].state != State::AtBarrier) continue;
    if (waiting++ == 0) line = threads[at].line;
    votes += threads[at].vote;
    if (threads[at].line == line) continue;
    enter(at);
    note("threads are at different barriers, of lines " + std::to_string(line) + " and " +
         std::to_string(threads[at].line));
    return false;
  }
  for (int at = 0; at < count; at++)
    if (threads[at].state == State::AtBarrier) {
      threads[at].state = State::Ready;
      threads[at].value = (unsigned long long)waiting << 16 | votes;
    }
  return waiting > 0;
}

void run_block(pretend::Index block) {
  place->block = block;
  for (int at = 0; at < count; at++) threads[at].state = State::Unstarted;
  int warps = (count + LANES - 1) / LANES;
  do {
    Order order(++turns, warps);
    for (int at = 0; at < warps && !has_failed; at++) run_warp(order.next() * LANES);
  } while (!has_failed && pass_barrier());
}

struct Span {
  const Loaded* of;
  void* at;
  size_t bytes;
};

// The variables that blocks share are this thread's copy of the library's thread-local ones.
int find_variables(dl_phdr_info* info, size_t, void* out) {
  Span* span = (Span*)out;
  if (info->dlpi_addr != span->of->base) return 0;
  for (int at = 0; at < info->dlpi_phnum; at++)
    if (info->dlpi_phdr[at].p_type == PT_TLS) *span = {span->of, info->dlpi_tls_data, info->dlpi_phdr[at].p_memsz};
  return 1;
}

Span variables(const Loaded& of) {
  of.module->touch();
  Span span = {&of, nullptr, 0};
  dl_iterate_phdr(find_variables, &span);
  return span;
}

// The end of the memory that launches ask for; what follows may not be touched.
char* shared_memory(size_t bytes) {
  if (shared_end == nullptr) {
    size_t room = (MOST_SHARED + 4095) / 4096 * 4096;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    char* all = (char*)mmap(nullptr, room + 4096, PROT_READ | PROT_WRITE, flags, -1, 0);
    mprotect(all + room, 4096, PROT_NONE);
    shared_end = all + room;
  }
  return shared_end - (bytes + 15) / 16 * 16;
}

void run_blocks(const Launch& launch, char* shared) {
  Span span = variables(*running->of);
  for (unsigned z = 0; z < launch.blocks.z; z++)
    for (unsigned y = 0; y < launch.blocks.y; y++)
      for (unsigned x = 0; x < launch.blocks.x && !has_failed; x++) {
        memset(shared, 0xff, shared_end - shared);
        if (span.at) memset(span.at, 0xff, span.bytes);
        run_block({x, y, z});
      }
}

int check_sizes(const Function& function, const Launch& it) {
  auto [x, y, z] = it.threads;
  std::string name = std::string("kernel ") + function.kernel->name;
  if (it.blocks.x == 0 || it.blocks.y == 0 || it.blocks.z == 0 || x == 0 || y == 0 || z == 0)
    return failure(InvalidValue, name + " is launched with no blocks or no threads");
  if (it.blocks.x > 0x7fffffff || it.blocks.y > 65535 || it.blocks.z > 65535)
    return failure(InvalidValue, name + " is launched with too many blocks");
  if ((size_t)x * y * z > MOST_THREADS || z > 64)
    return failure(InvalidValue, name + " is launched with too many threads");
  if (it.shared > function.most_shared)
    return failure(InvalidValue, name + " is launched with more shared memory than it may have");
  return Success;
}

int check_arguments(const Function& function, void** arguments) {
  for (int at = 0; at < function.kernel->count; at++) {
    std::string what = "argument " + std::to_string(at) + " of kernel " + function.kernel->name;
    pretend::Parameter parameter = function.kernel->parameters[at];
    if (arguments[at] == nullptr) return failure(InvalidValue, what + " is not given");
    if (parameter.size == 8 && (uint64_t)arguments[at] % 8 != 0)
      return failure(InvalidValue, what + " is given 32 bits and has 64");
    if (!parameter.is_pointer) continue;
    uint64_t address = *(uint64_t*)arguments[at];
    if (address != 0 && !is_on_card(address)) return failure(InvalidValue, what + " is " + describe(address));
  }
  return Success;
}

// With PRETEND_COUNT, what was launched is told at the end, and how often.
struct Counts {
  std::map<std::string, int> of;
  ~Counts() {
    for (auto& [name, count] : of) fprintf(stderr, "%8d %s\n", count, name.c_str());
  }
};

void count_launch(const Function& function, const Launch& it) {
  static bool is_asked = getenv("PRETEND_COUNT") != nullptr;
  static Counts counts;
  std::string blocks = std::to_string((size_t)it.blocks.x * it.blocks.y * it.blocks.z);
  if (is_asked) counts.of[std::string(function.kernel->name) + ", blocks: " + blocks]++;
}

int check_around(const Function& function, void** arguments) {
  for (int at = 0; at < function.kernel->count; at++) {
    if (!function.kernel->parameters[at].is_pointer) continue;
    if (check_edges(*(uint64_t*)arguments[at]) == Success) continue;
    std::string what = "argument " + std::to_string(at) + " of kernel " + function.kernel->name;
    return failure(IllegalAddress, what + ": bytes around its memory were written to");
  }
  return Success;
}

}  // namespace

bool is_launching() { return running != nullptr; }

void fault(uint64_t address, const char* what) {
  bool is_shared = shared_end && address >= (uint64_t)shared_end && address < (uint64_t)shared_end + 4096;
  note(std::string(what) + ": " + (is_shared ? "beyond the shared memory that is asked for" : describe(address)));
  longjmp(way_out, 1);
}

int launch(const Function& function, const Launch& launch, void** arguments) {
  std::lock_guard lock(guard);
  if (int bad = check_sizes(function, launch)) return bad;
  if (int bad = check_arguments(function, arguments)) return bad;
  count_launch(function, launch);
  if (is_idle()) return Success;
  pretend::Hooks* hooks = function.of->module->hooks;
  char* shared = shared_memory(launch.shared);
  *hooks = {barrier, meet, give_up, alive, shared};
  place = function.of->module->place;
  *place = {{}, {}, launch.threads, launch.blocks};
  auto [x, y, z] = launch.threads;
  count = (int)(x * y * z);
  for (unsigned at = 0; at < x * y * z; at++) positions[at] = {at % x, at / x % y, at / (x * y)};
  given = arguments;
  running = &function;
  has_failed = false;
  turns = 0;
  fibres.begin(run_thread);
  if (setjmp(way_out) == 0) run_blocks(launch, shared);
  running = nullptr;
  if (has_failed) {
    fibres.forget();
    return failure(IllegalAddress, why);
  }
  return check_around(function, arguments);
}

}  // namespace card
