// What every decoder's target begins with.
#pragma once

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/codec.h"
#include "tests/fuzz/targets.h"

namespace cairn::fuzz {

// What decodes has this encoding and no other.
template <class T>
std::optional<T> round_trip(ByteSpan bytes) {
  auto value = decode<T>(bytes);
  if (!value) return std::nullopt;
  const Bytes again = encode(*value);
  CHECK(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()));
  return *std::move(value);
}
inline std::string_view text_of(ByteSpan bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
inline Bytes bytes_of(std::string_view text) { return Bytes(text.begin(), text.end()); }

}  // namespace cairn::fuzz
