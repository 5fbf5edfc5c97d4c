// libnvrtc: hands programs to compile.py, and keeps what comes of them.

#include "nvrtc.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "card.hpp"

#define API extern "C" __attribute__((visibility("default"))) int

namespace fs = std::filesystem;

namespace {

constexpr int CompilationFailed = 6;

struct Program {
  std::string source, image, log;
};

uint64_t hashed(const std::string& text) {
  uint64_t hash = 14695981039346656037ull;
  for (unsigned char byte : text) hash = (hash ^ byte) * 1099511628211ull;
  return hash;
}

std::string content(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// Where libraries are kept: beside this one, or where PRETEND_CACHE says.
fs::path kept() {
  const char* given = getenv("PRETEND_CACHE");
  fs::path folder = given ? fs::path(given) : fs::path(card::home()) / "cache";
  fs::create_directories(folder);
  return folder;
}

int compile(Program* program, const fs::path& library, const std::string& options) {
  fs::path source = fs::path(library).replace_extension("cu");
  fs::path written = source.string() + "." + std::to_string(getpid());
  std::ofstream(written) << program->source;
  fs::rename(written, source);
  std::string command = "python3 '" + card::home() + "/compile.py' '" + source.string() + "' '" + library.string() + "'";
  FILE* output = popen((command + options + " 2>&1").c_str(), "r");
  char text[4096];
  while (size_t count = fread(text, 1, sizeof text, output)) program->log.append(text, count);
  return pclose(output) == 0 ? 0 : CompilationFailed;
}

}  // namespace

API nvrtcVersion(int* major, int* minor) { return *major = 13, *minor = 0, 0; }
API nvrtcCreateProgram(Program** program, const char* source, const char*, int, const char* const*, const char* const*) {
  return *program = new Program{source, "", ""}, 0;
}
API nvrtcDestroyProgram(Program** program) { return delete *program, *program = nullptr, 0; }

API nvrtcCompileProgram(Program* program, int count, const char* const* given) {
  std::string options;
  for (int at = 0; at < count; at++) options += std::string(" '") + given[at] + "'";
  char name[32];
  uint64_t hash = hashed(content(card::home() + "/version") + options + program->source);
  snprintf(name, sizeof name, "%016llx.so", (unsigned long long)hash);
  fs::path library = kept() / name;
  if (!fs::exists(library))
    if (int bad = compile(program, library, options)) return bad;
  program->image = IMAGE + library.string() + "\n";
  return 0;
}

API nvrtcGetPTXSize(Program* program, size_t* size) { return *size = program->image.size() + 1, 0; }
API nvrtcGetPTX(Program* program, char* to) { return memcpy(to, program->image.c_str(), program->image.size() + 1), 0; }
API nvrtcGetProgramLogSize(Program* program, size_t* size) { return *size = program->log.size() + 1, 0; }
API nvrtcGetProgramLog(Program* program, char* to) { return memcpy(to, program->log.c_str(), program->log.size() + 1), 0; }
API nvrtcGetErrorString(int) { return 0; }
