// Byte strings and 32-byte identifiers.
//
// `Bytes32<Tag>` is a distinct type per tag, so an account id can never be passed where a job id is meant.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cairn {

using Bytes = std::vector<uint8_t>;
using ByteSpan = std::span<const uint8_t>;

inline ByteSpan as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// Lower-case hexadecimal.
std::string to_hex(ByteSpan bytes);
// Accepts exactly 2 digits a byte, either case; nullopt otherwise.
std::optional<Bytes> from_hex(std::string_view hex);

template <class Tag>
struct Bytes32 {
  std::array<uint8_t, 32> v{};

  static constexpr size_t size() { return 32; }
  const uint8_t* data() const { return v.data(); }
  uint8_t* data() { return v.data(); }
  ByteSpan span() const { return {v.data(), v.size()}; }
  bool is_zero() const { return *this == Bytes32{}; }
  std::string hex() const { return to_hex(span()); }

  static std::optional<Bytes32> from(ByteSpan bytes) {
    if (bytes.size() != 32) return std::nullopt;
    Bytes32 out;
    std::memcpy(out.v.data(), bytes.data(), 32);
    return out;
  }
  static std::optional<Bytes32> from_hex(std::string_view hex) {
    auto bytes = cairn::from_hex(hex);
    if (!bytes) return std::nullopt;
    return from(*bytes);
  }
  // The same 32 bytes under another name, e.g. a transaction's hash as the id of the job it opened.
  template <class Other>
  Bytes32<Other> as() const {
    return Bytes32<Other>{v};
  }
  friend auto operator<=>(const Bytes32&, const Bytes32&) = default;
};

using Hash = Bytes32<struct HashTag>;            // BLAKE3
using AccountId = Bytes32<struct AccountIdTag>;  // hash of the first public key; outlives every key
using JobId = Bytes32<struct JobIdTag>;          // id of the OpenJob transaction
using AssetId = Bytes32<struct AssetIdTag>;      // id of the Publish transaction
using OfferId = Bytes32<struct OfferIdTag>;      // id of the PostOffer transaction
using PublicKey = Bytes32<struct PublicKeyTag>;  // ed25519

}  // namespace cairn
