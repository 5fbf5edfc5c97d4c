// What the make-believe driver and a module of kernels know of each other.
#pragma once

namespace pretend {

struct Index {
  unsigned x, y, z;
};

// Which thread of which block runs, and how many there are.
struct Place {
  Index thread, block, threads, blocks;
};

enum class Meeting : int { Sync, Shuffle, Ballot, Match, Sum, Least, Most, And, Or, Xor };

// What kernels ask of the driver.
struct Hooks {
  // Waits for all threads of the block: how many of them said `vote`, and 2^16 times how many there are.
  unsigned (*barrier)(int line, bool vote);
  // Waits for the lanes of `mask`, and gives back what the operation makes of their values.
  unsigned long long (*meet)(Meeting, unsigned mask, unsigned long long value, int source, bool is_signed);
  // Gives the launch up.
  void (*fail)(const char* why, const char* file, int line);
  // Lanes of the warp that have not returned.
  unsigned (*alive)();
  // The memory that a launch asks for.
  void* shared;
};

struct Parameter {
  int size;
  bool is_pointer;
};

struct Kernel {
  const char* name;
  void (*call)(void** arguments);
  const Parameter* parameters;
  int count;
};

struct Module {
  Place* place;
  Hooks* hooks;
  // Makes this thread's copy of the variables that blocks share.
  void (*touch)();
  const Kernel* kernels;
  int count;
};

}  // namespace pretend
