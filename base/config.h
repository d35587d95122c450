// Configuration: a YAML file fills a struct by its fields(); the struct is the manual.
//
//   struct NodeConfig {
//     std::string listen = "127.0.0.1:7700";      // HTTP, loopback only
//     Within<uint32_t, 1, 64> threads{4};         // the range is part of the type
//     static constexpr auto fields() { return std::tuple{field("listen", ...), field("threads", ...)}; }
//   };
//   TRY_LET(config, read_config<NodeConfig>("configs/node.yaml"));
//
// What the file leaves out keeps its default. A key that is no field, a key given twice, a value of another type or out of
// its range is the error `config`, and its text begins with FILE:LINE:COLUMN. A struct that defines `Result<> check() const`
// (for rules over several fields) is asked once, after the last field.
//
// Values: bool (true, false), integers, floating point, text, paths, amounts ("0.5 CRN", "7 pebbles"), enums by their
// name(), `std::optional` and lists of these, structs, and maps from text to any of these.
#pragma once

#include <algorithm>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/amount.h"
#include "base/codec.h"

namespace cairn {

// A number that must lie in [Low, High].
template <class T, T Low, T High>
struct Within {
  T value;
  static constexpr T low = Low;
  static constexpr T high = High;
  constexpr Within(T v = Low) : value(v) {}
  constexpr operator T() const { return value; }
  static constexpr auto fields() { return std::tuple{field("value", &Within::value)}; }
};
template <class T>
inline constexpr bool is_within_v = false;
template <class T, T Low, T High>
inline constexpr bool is_within_v<Within<T, Low, High>> = true;
template <class T>
inline constexpr bool is_text_map_v = false;
template <class T>
inline constexpr bool is_text_map_v<std::map<std::string, T>> = true;

// One value of a YAML file, with its place in it.
struct ConfigValue {
  enum class Kind { null, scalar, list, map };
  struct Entry;
  Kind kind = Kind::null;
  std::string text;              // of a scalar
  std::vector<ConfigValue> items;  // of a list
  std::vector<Entry> entries;      // of a map, in the file's order
  int line = 1;                    // from 1
  int column = 1;
  std::shared_ptr<const std::string> file;

  const ConfigValue* find(std::string_view key) const;
  // `config`, at this value's place: "FILE:LINE:COLUMN: TEXT".
  Error error(std::string text, std::string next) const;
};
struct ConfigValue::Entry {
  ConfigValue key;
  ConfigValue value;
};

// Errors: not_found, io, config (syntax, duplicate keys, nesting).
Result<ConfigValue> parse_config(std::string_view text, std::string_view file);

namespace config_detail {
Result<> read(const ConfigValue& from, bool& to);
Result<> read(const ConfigValue& from, std::string& to);
Result<> read(const ConfigValue& from, std::filesystem::path& to);
Result<> read(const ConfigValue& from, Amount& to);
Result<> read(const ConfigValue& from, double& to);
Result<> read_integer(const ConfigValue& from, int64_t low, uint64_t high, uint64_t& bits);
Result<> unknown_key(const ConfigValue& key, const std::vector<std::string_view>& known);
Result<> not_a_map(const ConfigValue& value);
Result<> not_a_list(const ConfigValue& value);
Result<> no_such_name(const ConfigValue& value, const std::string& known);
}  // namespace config_detail

template <class T>
Result<> read_value(const ConfigValue& from, T& to) {
  namespace d = config_detail;
  using Kind = ConfigValue::Kind;
  if constexpr (is_within_v<T>) {
    using V = decltype(T::value);
    if constexpr (std::is_floating_point_v<V>) {
      double value = 0;
      TRY(d::read(from, value));
      if (!(value >= T::low && value <= T::high))
        return from.error(from.text + " is not between " + std::to_string(T::low) + " and " + std::to_string(T::high),
                          "write a value of that range");
      to.value = static_cast<V>(value);
    } else {
      uint64_t bits = 0;
      TRY(d::read_integer(from, static_cast<int64_t>(T::low), static_cast<uint64_t>(T::high), bits));
      to.value = static_cast<V>(bits);
    }
  } else if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, std::string> || std::is_same_v<T, double> ||
                       std::is_same_v<T, std::filesystem::path> || std::is_same_v<T, Amount>) {
    TRY(d::read(from, to));
  } else if constexpr (std::is_integral_v<T>) {
    uint64_t bits = 0;
    int64_t low = 0;
    if constexpr (std::is_signed_v<T>) low = std::numeric_limits<T>::min();
    TRY(d::read_integer(from, low, static_cast<uint64_t>(std::numeric_limits<T>::max()), bits));
    to = static_cast<T>(bits);
  } else if constexpr (std::is_enum_v<T>) {
    std::string known;
    for (unsigned n = 0; n < 256; n++) {
      const T value = static_cast<T>(n);
      if (!is_valid(value)) continue;
      if (from.kind == Kind::scalar && from.text == name(value)) {
        to = value;
        return {};
      }
      known += (known.empty() ? "" : " | ") + std::string(name(value));
    }
    TRY(d::no_such_name(from, known));
  } else if constexpr (is_optional_v<T>) {
    to.reset();
    if (from.kind == Kind::null) return {};
    TRY(read_value(from, to.emplace()));
  } else if constexpr (is_vector_v<T>) {
    if (from.kind != Kind::list) return d::not_a_list(from);
    to.clear();
    for (const auto& item : from.items) TRY(read_value(item, to.emplace_back()));
  } else if constexpr (is_text_map_v<T>) {
    if (from.kind == Kind::null) return {};
    if (from.kind != Kind::map) return d::not_a_map(from);
    to.clear();
    for (const auto& entry : from.entries) TRY(read_value(entry.value, to[entry.key.text]));
  } else {
    static_assert(HasFields<T>, "a struct needs fields()");
    if (from.kind != Kind::map) return d::not_a_map(from);
    std::vector<std::string_view> known;
    for_each_field(to, [&](const char* key, const auto&) { known.push_back(key); });
    for (const auto& entry : from.entries)
      if (std::find(known.begin(), known.end(), entry.key.text) == known.end()) return d::unknown_key(entry.key, known);
    Result<> result;
    for_each_field(to, [&](const char* key, auto& member) {
      const ConfigValue* value = from.find(key);
      if (result && value) result = read_value(*value, member);
    });
    TRY(result);
    if constexpr (requires { to.check(); })
      if (auto checked = to.check(); !checked) return from.error(checked.error().text, checked.error().next);
  }
  return {};
}

template <class T>
Result<T> read_config_text(std::string_view text, std::string_view file) {
  TRY_LET(tree, parse_config(text, file));
  T config{};
  if (tree.kind != ConfigValue::Kind::null) TRY(read_value(tree, config));
  return config;
}
// Errors: not_found, io, config.
Result<std::string> read_config_file(const std::filesystem::path& path);
template <class T>
Result<T> read_config(const std::filesystem::path& path) {
  TRY_LET(text, read_config_file(path));
  return read_config_text<T>(text, path.string());
}

}  // namespace cairn
