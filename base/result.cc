#include "base/result.h"

#include <cstdio>
#include <cstdlib>

namespace cairn {

std::string_view name(Code code) {
  switch (code) {
#define CODE(number, name, exit) \
  case Code::name:               \
    return #name;
#include "base/codes.def"
#undef CODE
  }
  return "unknown";
}

int exit_status(Code code) {
  switch (code) {
#define CODE(number, name, exit) \
  case Code::name:               \
    return exit;
#include "base/codes.def"
#undef CODE
  }
  return 1;
}

bool is_valid(Code code) { return name(code) != "unknown"; }

std::string Error::message() const {
  std::string out = std::string(name(code)) + ": " + text;
  if (!next.empty()) out += "\n  next: " + next;
  return out;
}

void check_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "bug: CHECK(%s) failed at %s:%d\n", expression, file, line);
  std::abort();
}

}  // namespace cairn
