#include "agent/settings.h"

#include <cstdlib>

namespace cairn::agent {

namespace fs = std::filesystem;

fs::path expand_home(const fs::path& path) {
  const char* home = std::getenv("HOME");
  if (home && path.string().starts_with("~/")) return fs::path(home) / path.string().substr(2);
  return path;
}

fs::path find_program(const fs::path& name) {
  if (name.has_parent_path()) return name;
  std::error_code fault;
  const fs::path beside = fs::read_symlink("/proc/self/exe", fault).parent_path() / name;
  if (!fault && fs::exists(beside)) return beside;
  if (const char* path = std::getenv("PATH")) {
    std::string_view rest = path;
    while (!rest.empty()) {
      const size_t end = rest.find(':');
      const fs::path candidate = fs::path(rest.substr(0, end)) / name;
      if (fs::exists(candidate, fault)) return candidate;
      rest = end == std::string_view::npos ? "" : rest.substr(end + 1);
    }
  }
  return name;
}

}  // namespace cairn::agent
