// libcuda: one card, on which all is done before a call comes back.

#include <dlfcn.h>
#include <signal.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <unordered_map>

#include "card.hpp"
#include "launch.hpp"

#define API extern "C" __attribute__((visibility("default"))) int

using namespace card;

namespace {

thread_local std::string failed;
thread_local void* context = nullptr;
struct sigaction before[NSIG];

int address_of_context;

// A launch that faults is given up; whatever else faults is none of the card's.
void caught(int signal, siginfo_t* info, void*) {
  if (is_launching()) {
    const char* what = signal == SIGFPE ? "a division by zero at" : "an access to";
    fault((uint64_t)info->si_addr, what);
  }
  sigaction(signal, &before[signal], nullptr);
}

void catch_faults() {
  struct sigaction action = {};
  action.sa_sigaction = caught;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE}) sigaction(signal, &action, &before[signal]);
}

const char* name_of(int result) {
  switch (result) {
    case Success: return "CUDA_SUCCESS";
    case InvalidValue: return "CUDA_ERROR_INVALID_VALUE";
    case OutOfMemory: return "CUDA_ERROR_OUT_OF_MEMORY";
    case InvalidDevice: return "CUDA_ERROR_INVALID_DEVICE";
    case InvalidImage: return "CUDA_ERROR_INVALID_IMAGE";
    case NotFound: return "CUDA_ERROR_NOT_FOUND";
    case IllegalAddress: return "CUDA_ERROR_ILLEGAL_ADDRESS";
    default: return "CUDA_ERROR_UNKNOWN";
  }
}

// Attributes of an H100, as far as anybody asks.
int attribute(int which) {
  switch (which) {
    case 1: return 1024;         // threads of a block
    case 2: case 3: return 1024; // of its sides
    case 4: return 64;
    case 5: return 0x7fffffff;   // blocks
    case 6: case 7: return 65535;
    case 8: return 48 * 1024;    // shared memory of a block
    case 10: return 32;          // lanes of a warp
    case 12: return 65536;       // registers of a block
    case 16: return 132;         // multiprocessors
    case 38: return 50 << 20;    // level 2 cache
    case 39: return 2048;        // threads of a multiprocessor
    case 75: return 9;           // compute capability
    case 76: return 0;
    case 81: return 228 * 1024;  // shared memory of a multiprocessor
    case 97: return 227 * 1024;  // of a block that asks for it
    case 115: return 1;          // memory pools
    default: return 0;
  }
}

template <class T>
int set_memory(uint64_t at, T value, size_t count) {
  if (int bad = check_range("filling memory", at, count * sizeof(T))) return bad;
  if (is_idle()) return Success;
  for (size_t index = 0; index < count; index++) ((T*)at)[index] = value;
  return Success;
}

int copy(const char* what, uint64_t to, uint64_t from, size_t bytes, bool is_to_card, bool is_from_card) {
  if (is_to_card)
    if (int bad = check_range(what, to, bytes)) return bad;
  if (is_from_card)
    if (int bad = check_range(what, from, bytes)) return bad;
  if (!is_idle()) memcpy((void*)to, (void*)from, bytes);
  // What was not computed is 0.
  else if (!is_to_card) memset((void*)to, 0, bytes);
  return Success;
}

// Does it now, or notes it.
int queue(void* stream, std::function<int()> work) { return notes(stream, {work}) ? Success : work(); }

}  // namespace

namespace card {

int failure(int result, const std::string& why) {
  failed = why;
  if (getenv("PRETEND_LOUD")) fprintf(stderr, "make-believe card: %s\n", why.c_str());
  return result;
}

const char* last_failure() { return failed.c_str(); }

bool is_idle() {
  static bool is_set = getenv("PRETEND_IDLE") != nullptr;
  return is_set;
}

std::string home() {
  Dl_info info;
  dladdr(&address_of_context, &info);
  return std::filesystem::canonical(info.dli_fname).parent_path();
}

}  // namespace card

API cuInit(unsigned) {
  static std::once_flag once;
  std::call_once(once, catch_faults);
  return Success;
}
API cuDriverGetVersion(int* version) { return *version = 13000, Success; }
API cuDeviceGetCount(int* count) { return *count = 1, Success; }
API cuDeviceGet(int* device, int ordinal) {
  if (ordinal != 0) return failure(InvalidDevice, "there is one make-believe card");
  return *device = 0, Success;
}
API cuDeviceGetName(char* name, int room, int) { return snprintf(name, room, "make-believe card"), Success; }
API cuDeviceGetUuid(unsigned char* id, int) { return memset(id, 7, 16), Success; }
API cuDeviceGetUuid_v2(unsigned char* id, int) { return memset(id, 7, 16), Success; }
API cuDeviceTotalMem_v2(size_t* total, int) {
  size_t unused;
  return memory_sizes(&unused, total), Success;
}
API cuDeviceGetAttribute(int* value, int which, int) { return *value = attribute(which), Success; }
API cuDeviceGetDefaultMemPool(void** pool, int) { return *pool = &address_of_context, Success; }
API cuDeviceGetMemPool(void** pool, int) { return *pool = &address_of_context, Success; }
API cuMemPoolSetAttribute(void*, int, void*) { return Success; }
API cuMemPoolGetAttribute(void*, int, void* value) { return *(uint64_t*)value = 0, Success; }
API cuMemPoolTrimTo(void*, size_t) { return Success; }

API cuDevicePrimaryCtxRetain(void** found, int) { return *found = &address_of_context, Success; }
API cuDevicePrimaryCtxRelease_v2(int) { return Success; }
API cuCtxGetCurrent(void** found) { return *found = context, Success; }
API cuCtxSetCurrent(void* it) { return context = it, Success; }
API cuCtxSynchronize() { return wait_for_all("the card is waited for"); }
API cuCtxSetFlags(unsigned) { return Success; }
API cuCtxGetStreamPriorityRange(int* least, int* most) { return *least = *most = 0, Success; }

API cuGetErrorName(int result, const char** name) { return *name = name_of(result), Success; }
API cuGetErrorString(int result, const char** text) {
  *text = failed.empty() ? name_of(result) : failed.c_str();
  return Success;
}

API cuStreamCreate(void** stream, unsigned) { return *stream = new char, Success; }
API cuStreamCreateWithPriority(void** stream, unsigned, int) { return *stream = new char, Success; }
API cuStreamDestroy_v2(void* stream) { return delete (char*)stream, Success; }
API cuStreamSynchronize(void* stream) {
  return is_noting(stream) ? failure(NotWhileNoting, "a stream that notes is waited for") : Success;
}
API cuStreamWaitEvent(void*, void*, unsigned) { return Success; }

using Time = std::chrono::steady_clock::time_point;
API cuEventCreate(Time** event, unsigned) { return *event = new Time, Success; }
API cuEventDestroy_v2(Time* event) { return delete event, Success; }
API cuEventRecord(Time* event, void*) { return *event = std::chrono::steady_clock::now(), Success; }
API cuEventSynchronize(Time*) { return Success; }
API cuEventQuery(Time*) { return Success; }
API cuEventElapsedTime_v2(float* milliseconds, Time* from, Time* to) {
  *milliseconds = std::chrono::duration<float, std::milli>(*to - *from).count();
  return Success;
}
API cuEventElapsedTime(float* milliseconds, Time* from, Time* to) { return cuEventElapsedTime_v2(milliseconds, from, to); }
API cuLaunchHostFunc(void*, void (*work)(void*), void* data) { return work(data), Success; }

API cuMemAlloc_v2(uint64_t* at, size_t bytes) { return allocate(at, bytes); }
// Asked in the order of a stream, no bytes are nowhere; asked for at once, they are an error.
API cuMemAllocAsync(uint64_t* at, size_t bytes, void* stream) {
  if (is_noting(stream)) return failure(NotWhileNoting, "memory is asked for within a graph");
  if (bytes == 0) return *at = 0, Success;
  return allocate(at, bytes);
}
API cuMemFree_v2(uint64_t at) { return release(at); }
API cuMemFreeAsync(uint64_t at, void* stream) {
  if (is_noting(stream)) return failure(NotWhileNoting, "memory is given back within a graph");
  return release(at);
}
API cuMemHostAlloc(void** at, size_t bytes, unsigned) { return *at = malloc(bytes), Success; }
API cuMemFreeHost(void* at) { return free(at), Success; }
API cuMemGetInfo_v2(size_t* unused, size_t* total) { return memory_sizes(unused, total), Success; }

API cuMemcpyHtoD_v2(uint64_t to, uint64_t from, size_t bytes) {
  return copy("copying to the card", to, from, bytes, true, false);
}
// What a graph would read later may be gone by then.
API cuMemcpyHtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, void* stream) {
  if (is_noting(stream)) return failure(NotWhileNoting, "memory of the host is noted");
  return cuMemcpyHtoD_v2(to, from, bytes);
}
API cuMemcpyDtoH_v2(uint64_t to, uint64_t from, size_t bytes) {
  return copy("copying from the card", to, from, bytes, false, true);
}
API cuMemcpyDtoHAsync_v2(uint64_t to, uint64_t from, size_t bytes, void* stream) {
  if (is_noting(stream)) return failure(NotWhileNoting, "memory of the host is noted");
  return cuMemcpyDtoH_v2(to, from, bytes);
}
API cuMemcpyDtoD_v2(uint64_t to, uint64_t from, size_t bytes) {
  return copy("copying on the card", to, from, bytes, true, true);
}
API cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, void* stream) {
  return queue(stream, [=] { return cuMemcpyDtoD_v2(to, from, bytes); });
}
API cuMemcpyPeerAsync(uint64_t to, void*, uint64_t from, void*, size_t bytes, void*) {
  return cuMemcpyDtoD_v2(to, from, bytes);
}
API cuMemsetD8_v2(uint64_t at, unsigned char value, size_t count) { return set_memory(at, value, count); }
API cuMemsetD8Async(uint64_t at, unsigned char value, size_t count, void* stream) {
  return queue(stream, [=] { return set_memory(at, value, count); });
}
API cuMemsetD16Async(uint64_t at, unsigned short value, size_t count, void* stream) {
  return queue(stream, [=] { return set_memory(at, value, count); });
}
API cuMemsetD32Async(uint64_t at, unsigned value, size_t count, void* stream) {
  return queue(stream, [=] { return set_memory(at, value, count); });
}
