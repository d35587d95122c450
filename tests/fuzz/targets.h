// What is fuzzed: one function a decoder, given any bytes. It fails by a CHECK, a Fault that escapes, or a sanitizer.
#pragma once

#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace cairn::fuzz {

struct Target {
  std::string_view name;
  void (*run)(ByteSpan bytes);
  std::vector<Bytes> (*examples)();  // inputs that mean something, to start from
};
const std::vector<Target>& targets();

// Of these, each part's own.
std::vector<Target> targets_of_files();
std::vector<Target> targets_of_wires();

}  // namespace cairn::fuzz
