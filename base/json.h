// JSON text of any codec'd value, derived from its fields(): the one way in which the node and the tools show state.
//
// Amounts, 64-bit and 128-bit integers above 2^53 become strings; ids and bytes become hexadecimal; a variant becomes
// {"<kName>": {...}}; an enum becomes its name when `std::string_view name(E)` exists, else its number.
#pragma once

#include <string>
#include <utility>

#include "base/amount.h"
#include "base/codec.h"

namespace cairn {

template <class T>
inline constexpr bool is_byte_array_v = false;
template <size_t N>
inline constexpr bool is_byte_array_v<std::array<uint8_t, N>> = true;

// Bytes that are no UTF-8 are written as \u00xx each, so the text is JSON whatever it is given.
std::string json_quote(std::string_view text);
std::string decimal(u128 value);
void append_json_key(std::string& out, char before, std::string_view key);  // before it, and ':' after it

// The text of `value` after what `out` holds.
template <class T>
void append_json(std::string& out, const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    out += value ? "true" : "false";
  } else if constexpr (std::is_same_v<T, Amount>) {
    out += json_quote(std::to_string(value.pebbles));
  } else if constexpr (std::is_same_v<T, u128>) {
    out += json_quote(decimal(value));
  } else if constexpr (std::is_integral_v<T>) {
    const bool wide = value > static_cast<T>(INT32_MAX) && static_cast<uint64_t>(value) > (uint64_t{1} << 53);
    out += wide ? json_quote(std::to_string(value)) : std::to_string(value);
  } else if constexpr (std::is_enum_v<T>) {
    if constexpr (requires { { name(value) } -> std::convertible_to<std::string_view>; }) {
      out += json_quote(name(value));
    } else {
      append_json(out, static_cast<std::underlying_type_t<T>>(value));
    }
  } else if constexpr (is_bytes32_v<T>) {
    out += json_quote(value.hex());
  } else if constexpr (std::is_same_v<T, std::string>) {
    out += json_quote(value);
  } else if constexpr (std::is_same_v<T, Bytes> || is_byte_array_v<T>) {
    out += json_quote(to_hex(value));
  } else if constexpr (is_vector_v<T> || is_array_v<T>) {
    char before = '[';
    for (const auto& element : value) {
      out += std::exchange(before, ',');
      append_json(out, element);
    }
    out += before == '[' ? "[]" : "]";
  } else if constexpr (is_optional_v<T>) {
    if (value) append_json(out, *value);
    else out += "null";
  } else if constexpr (is_variant_v<T>) {
    std::visit(
        [&](const auto& alternative) {
          out += '{' + json_quote(std::remove_cvref_t<decltype(alternative)>::kName) + ':';
          append_json(out, alternative);
          out += '}';
        },
        value);
  } else {
    static_assert(HasFields<T>, "a struct needs fields()");
    char before = '{';
    for_each_field(value, [&](const char* key, const auto& member) {
      append_json_key(out, std::exchange(before, ','), key);
      append_json(out, member);
    });
    out += before == '{' ? "{}" : "}";
  }
}
template <class T>
std::string to_json(const T& value) {
  std::string out;
  append_json(out, value);
  return out;
}

}  // namespace cairn
