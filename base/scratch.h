// A folder that is gone with its owner.
#pragma once

#include <filesystem>

namespace cairn {

// Made in the system's place for temporary files (TMPDIR). Fault: io.
struct Scratch {
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  std::filesystem::path path;
};

}  // namespace cairn
