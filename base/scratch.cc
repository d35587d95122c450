#include "base/scratch.h"

#include <stdlib.h>

#include "base/result.h"

namespace cairn {

Scratch::Scratch() {
  const auto place = std::filesystem::temp_directory_path();
  std::string name = place / "cairn-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) throw Fault({Code::io, "cannot make a folder in " + place.string(), "set TMPDIR"});
  path = name;
}

Scratch::~Scratch() {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

}  // namespace cairn
