// libFuzzer's side: FUZZ=NAME says which target, EXAMPLES=FOLDER where its examples go first. Built by the preset clang alone; scripts/fuzz runs it.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "base/blake3.h"
#include "base/log.h"
#include "tests/fuzz/targets.h"

namespace {
const cairn::fuzz::Target* target = nullptr;
}

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  cairn::set_log_level(cairn::LogLevel::error);
  const char* name = std::getenv("FUZZ");
  for (const auto& one : cairn::fuzz::targets())
    if (name && one.name == name) target = &one;
  if (target) {
    if (const char* folder = std::getenv("EXAMPLES"))
      for (const auto& bytes : target->examples()) {
        const std::string file = cairn::blake3(bytes).hex().substr(0, 16);
        std::ofstream(std::string(folder) + "/" + file, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
      }
    return 0;
  }
  std::fprintf(stderr, "usage: FUZZ=NAME fuzzer ...\n");
  for (const auto& one : cairn::fuzz::targets()) std::fprintf(stderr, "  %.*s\n", static_cast<int>(one.name.size()), one.name.data());
  std::exit(2);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  target->run({data, size});
  return 0;
}
