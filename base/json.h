// JSON text of any codec'd value, derived from its fields(): the one way in which the node and the tools show state.
//
// Amounts, 64-bit and 128-bit integers above 2^53 become strings; ids and bytes become hexadecimal; a variant becomes
// {"<kName>": {...}}; an enum becomes its name when `std::string_view name(E)` exists, else its number.
#pragma once

#include <string>

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

template <class T>
std::string to_json(const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::is_same_v<T, Amount>) {
    return json_quote(std::to_string(value.pebbles));
  } else if constexpr (std::is_same_v<T, u128>) {
    return json_quote(decimal(value));
  } else if constexpr (std::is_integral_v<T>) {
    const bool wide = value > static_cast<T>(INT32_MAX) && static_cast<uint64_t>(value) > (uint64_t{1} << 53);
    return wide ? json_quote(std::to_string(value)) : std::to_string(value);
  } else if constexpr (std::is_enum_v<T>) {
    if constexpr (requires { { name(value) } -> std::convertible_to<std::string_view>; }) {
      return json_quote(name(value));
    } else {
      return to_json(static_cast<std::underlying_type_t<T>>(value));
    }
  } else if constexpr (is_bytes32_v<T>) {
    return json_quote(value.hex());
  } else if constexpr (std::is_same_v<T, std::string>) {
    return json_quote(value);
  } else if constexpr (std::is_same_v<T, Bytes>) {
    return json_quote(to_hex(value));
  } else if constexpr (is_byte_array_v<T>) {
    return json_quote(to_hex(value));
  } else if constexpr (is_vector_v<T> || is_array_v<T>) {
    std::string out = "[";
    for (const auto& element : value) out += (out.size() > 1 ? "," : "") + to_json(element);
    return out + "]";
  } else if constexpr (is_optional_v<T>) {
    return value ? to_json(*value) : "null";
  } else if constexpr (is_variant_v<T>) {
    return std::visit(
        [](const auto& alternative) {
          using A = std::remove_cvref_t<decltype(alternative)>;
          return "{" + json_quote(A::kName) + ":" + to_json(alternative) + "}";
        },
        value);
  } else {
    static_assert(HasFields<T>, "a struct needs fields()");
    std::string out = "{";
    for_each_field(value, [&](const char* key, const auto& member) {
      out += (out.size() > 1 ? "," : "") + json_quote(key) + ":" + to_json(member);
    });
    return out + "}";
  }
}

}  // namespace cairn
