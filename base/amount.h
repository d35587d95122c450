// Money in pebbles; 1 CRN = 1,000,000 pebbles. There is no operator+: overflow is a decision, not an accident.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/codec.h"

namespace cairn {

struct Amount {
  uint64_t pebbles = 0;

  static constexpr uint64_t kPerCrn = 1'000'000;
  static constexpr Amount of_pebbles(uint64_t pebbles) { return {pebbles}; }
  friend constexpr auto operator<=>(Amount, Amount) = default;
  static constexpr auto fields() { return std::tuple{field("pebbles", &Amount::pebbles)}; }
};

constexpr std::optional<Amount> add(Amount a, Amount b) {
  uint64_t sum = 0;
  if (__builtin_add_overflow(a.pebbles, b.pebbles, &sum)) return std::nullopt;
  return Amount{sum};
}
constexpr std::optional<Amount> subtract(Amount a, Amount b) {
  if (b.pebbles > a.pebbles) return std::nullopt;
  return Amount{a.pebbles - b.pebbles};
}
// floor(a * numerator / denominator); nullopt if it does not fit or the denominator is 0.
constexpr std::optional<Amount> scale(Amount a, uint64_t numerator, uint64_t denominator) {
  if (denominator == 0) return std::nullopt;
  const u128 wide = static_cast<u128>(a.pebbles) * numerator / denominator;
  if (wide > UINT64_MAX) return std::nullopt;
  return Amount{static_cast<uint64_t>(wide)};
}

// "12.5 CRN", without trailing zeros.
std::string pretty(Amount amount);
// "12.5", "12.5 CRN" or "7 pebbles"; nullopt for anything else or more than 6 decimals.
std::optional<Amount> parse_amount(std::string_view text);

static_assert(!add(Amount::of_pebbles(UINT64_MAX), Amount::of_pebbles(1)));

// Chain time: milliseconds that the chain has counted since its genesis. Not wall time: a halt stops it.
enum class ChainTime : uint64_t {};
enum class Height : uint64_t {};
constexpr bool is_valid(ChainTime) { return true; }
constexpr bool is_valid(Height) { return true; }
constexpr uint64_t ms(ChainTime t) { return static_cast<uint64_t>(t); }
constexpr uint64_t number(Height h) { return static_cast<uint64_t>(h); }
constexpr ChainTime after(ChainTime t, uint64_t delta_ms) {
  const uint64_t now = ms(t);
  return ChainTime{delta_ms > UINT64_MAX - now ? UINT64_MAX : now + delta_ms};
}

}  // namespace cairn
