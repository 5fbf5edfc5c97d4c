// Modules of the make-believe driver: libraries that compile.py made.

#include <dlfcn.h>
#include <link.h>

#include <cstring>
#include <map>
#include <mutex>

#include "card.hpp"
#include "launch.hpp"
#include "nvrtc.hpp"

#define API extern "C" __attribute__((visibility("default"))) int

using namespace card;

namespace {

constexpr size_t SHARED = 48 * 1024, MOST_SHARED = 227 * 1024;
constexpr int MAX_DYNAMIC_SHARED = 8;

// A kernel of each of candle's files: its modules are known by them.
const char* const CANDLE[][2] = {
    {"affine_f32", "affine"},     {"badd_f32", "binary"},       {"cast_f32_f32", "cast"}, {"im2col_f32", "conv"},
    {"fill_u8", "fill"},          {"is_u32_f32", "indexing"},   {"fast_sum_f32", "reduce"}, {"asort_asc_f32", "sort"},
    {"where_u8_f32", "ternary"}, {"uneg_f32", "unary"},
};

std::mutex guard;
std::map<std::string, Loaded*> known;
// A kernel is the same function whenever it is asked for.
std::map<const pretend::Kernel*, Function*> functions;

int load_library(Loaded** found, const std::string& library) {
  std::lock_guard lock(guard);
  auto& loaded = known[library];
  if (!loaded) {
    void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle) return failure(InvalidImage, dlerror());
    link_map* map = nullptr;
    dlinfo(handle, RTLD_DI_LINKMAP, &map);
    loaded = new Loaded{map->l_addr, (const pretend::Module*)dlsym(handle, "pretend_module")};
  }
  *found = loaded;
  return Success;
}

}  // namespace

API cuModuleLoadData(Loaded** module, const char* image) {
  if (strncmp(image, IMAGE, strlen(IMAGE)) == 0) {
    std::string library = image + strlen(IMAGE);
    return load_library(module, library.substr(0, library.find('\n')));
  }
  for (auto& [kernel, file] : CANDLE)
    if (strstr(image, (std::string(".entry ") + kernel + "(").c_str()))
      return load_library(module, home() + "/candle-" + file + ".so");
  return failure(InvalidImage, "a module that neither NVRTC nor candle made");
}
API cuModuleLoadDataEx(Loaded** module, const char* image, unsigned, void*, void*) {
  return cuModuleLoadData(module, image);
}
API cuModuleUnload(Loaded*) { return Success; }

API cuModuleGetFunction(Function** found, Loaded* module, const char* name) {
  for (int at = 0; at < module->module->count; at++) {
    const pretend::Kernel* kernel = module->module->kernels + at;
    if (strcmp(kernel->name, name) != 0) continue;
    std::lock_guard lock(guard);
    Function*& function = functions[kernel];
    if (!function) function = new Function{module, kernel, SHARED};
    *found = function;
    return Success;
  }
  return failure(NotFound, std::string("there is no kernel ") + name);
}

API cuFuncSetAttribute(Function* function, int which, int value) {
  if (which != MAX_DYNAMIC_SHARED) return Success;
  if (value < 0 || (size_t)value > MOST_SHARED)
    return failure(InvalidValue, std::string("no block may have the shared memory of ") + function->kernel->name);
  function->most_shared = (size_t)value > SHARED ? value : SHARED;
  return Success;
}
API cuFuncGetAttribute(int* value, int which, Function* function) {
  *value = which == 0 ? 1024 : which == MAX_DYNAMIC_SHARED ? (int)function->most_shared : 0;
  return Success;
}
API cuFuncSetCacheConfig(Function*, int) { return Success; }
API cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, Function*, int threads, size_t) {
  return *blocks = 2048 / threads, Success;
}

API cuLaunchKernel(Function* function, unsigned x, unsigned y, unsigned z, unsigned a, unsigned b, unsigned c,
                   unsigned shared, void* stream, void** arguments, void**) {
  Launch it = {{x, y, z}, {a, b, c}, shared};
  if (!is_noting(stream)) return launch(*function, it, arguments);
  Node node = {{}, function, it, {}};
  for (int at = 0; at < function->kernel->count; at++) {
    const char* from = (const char*)arguments[at];
    node.arguments.emplace_back(from, from + function->kernel->parameters[at].size);
  }
  notes(stream, node);
  return Success;
}
API cuFuncGetParamInfo(Function* function, size_t at, size_t* offset, size_t* size) {
  if (at >= (size_t)function->kernel->count) return failure(InvalidValue, "a kernel has fewer arguments");
  *offset = 8 * at;
  *size = function->kernel->parameters[at].size;
  return Success;
}
