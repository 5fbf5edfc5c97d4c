// Threads that give way to each other where they say so, each with a stack of its own.
#pragma once

#include <cstdint>
#include <vector>

namespace card {

struct Fibre {
  void* at;
  char* stack;
};

class Fibres {
 public:
  // Of what fibres that are taken from now on run; it never returns.
  void begin(void (*work)());
  Fibre* take();
  void give(Fibre* fibre) { idle.push_back(fibre); }
  // Goes on where a fibre is, until it leaves.
  void enter(Fibre* fibre);
  void leave(Fibre* fibre);
  // Starts all fibres anew, wherever they are.
  void forget();

 private:
  void (*work)() = nullptr;
  void* outside = nullptr;
  std::vector<Fibre*> all, idle;
  void reset(Fibre* fibre);
};

}  // namespace card
