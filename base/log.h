// Structured log: an event with a stable name and its facts, one line each on standard error.
//
//   log_info("job.committed", {{"job", job.hex()}, {"steps", steps}, {"elapsed_ms", elapsed_ms}});
//
// Units stand in the keys. Never a secret, never a whole payload.
#pragma once

#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace cairn {

struct Fact {
  std::string key;
  std::string value;

  Fact(std::string_view k, std::string_view v) : key(k), value(v) {}
  Fact(std::string_view k, const char* v) : key(k), value(v) {}
  Fact(std::string_view k, bool v) : key(k), value(v ? "true" : "false") {}
  template <class T>
    requires(std::integral<T> || std::floating_point<T>) && (!std::same_as<T, bool>)
  Fact(std::string_view k, T v) : key(k), value(std::to_string(v)) {}
  template <class Tag>
  Fact(std::string_view k, const Bytes32<Tag>& v) : key(k), value(v.hex().substr(0, 16)) {}
};

enum class LogLevel { debug, info, warning, error };

// What is below `level` is dropped. Default: info.
void set_log_level(LogLevel level);
void log(LogLevel level, std::string_view event, std::initializer_list<Fact> facts);
inline void log_debug(std::string_view event, std::initializer_list<Fact> facts = {}) { log(LogLevel::debug, event, facts); }
inline void log_info(std::string_view event, std::initializer_list<Fact> facts = {}) { log(LogLevel::info, event, facts); }
inline void log_warning(std::string_view event, std::initializer_list<Fact> facts = {}) { log(LogLevel::warning, event, facts); }
inline void log_error(std::string_view event, std::initializer_list<Fact> facts = {}) { log(LogLevel::error, event, facts); }

}  // namespace cairn
