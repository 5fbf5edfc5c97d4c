#include "fibre.hpp"

#include <sys/mman.h>

#ifndef __x86_64__
#error "stacks are switched for x86-64 only"
#endif

// Keeps the registers that a function may not change on one stack, and goes on with those of another.
extern "C" void card_switch(void** from, void* to);
asm(R"(
.pushsection .text
.globl card_switch
.hidden card_switch
.type card_switch, @function
card_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size card_switch, .-card_switch
.popsection
)");

namespace card {
namespace {

constexpr size_t STACK = 256 * 1024, PAGE = 4096, REGISTERS = 6;

}  // namespace

void Fibres::begin(void (*it)()) { work = it; }

void Fibres::reset(Fibre* fibre) {
  // Stacks begin at different lines of the cache.
  size_t shift = (fibre->stack - (char*)nullptr) / STACK * 320 % PAGE / 64 * 64;
  void** top = (void**)(fibre->stack + STACK - PAGE - shift);
  *--top = nullptr;
  *--top = (void*)work;
  fibre->at = top - REGISTERS;
}

Fibre* Fibres::take() {
  if (idle.empty()) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK;
    char* stack = (char*)mmap(nullptr, STACK, PROT_READ | PROT_WRITE, flags, -1, 0);
    mprotect(stack, PAGE, PROT_NONE);
    all.push_back(new Fibre{nullptr, stack});
    reset(all.back());
    idle.push_back(all.back());
  }
  Fibre* fibre = idle.back();
  idle.pop_back();
  return fibre;
}

void Fibres::enter(Fibre* fibre) { card_switch(&outside, fibre->at); }

void Fibres::leave(Fibre* fibre) { card_switch(&fibre->at, outside); }

void Fibres::forget() {
  idle = all;
  for (Fibre* fibre : all) reset(fibre);
}

}  // namespace card
