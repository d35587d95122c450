#include "base/amount.h"

#include <charconv>

namespace cairn {

std::string pretty(Amount amount) {
  std::string out = std::to_string(amount.pebbles / Amount::kPerCrn);
  if (uint64_t rest = amount.pebbles % Amount::kPerCrn) {
    std::string digits = std::to_string(rest);
    digits.insert(0, 6 - digits.size(), '0');
    while (digits.back() == '0') digits.pop_back();
    out += "." + digits;
  }
  return out + " CRN";
}

std::optional<Amount> parse_amount(std::string_view text) {
  const auto number = [](std::string_view digits) -> std::optional<uint64_t> {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    return value;
  };
  const auto ends = [&](std::string_view suffix) {
    if (text.size() <= suffix.size() || !text.ends_with(suffix)) return false;
    text.remove_suffix(suffix.size());
    return true;
  };
  if (ends(" pebbles") || ends(" pebble")) {
    auto value = number(text);
    return value ? std::optional(Amount{*value}) : std::nullopt;
  }
  ends(" CRN");
  const size_t dot = text.find('.');
  auto whole = number(text.substr(0, dot));
  if (!whole || *whole > UINT64_MAX / Amount::kPerCrn) return std::nullopt;
  uint64_t fraction = 0;
  if (dot != std::string_view::npos) {
    std::string digits(text.substr(dot + 1));
    if (digits.empty() || digits.size() > 6) return std::nullopt;
    digits.append(6 - digits.size(), '0');
    auto value = number(digits);
    if (!value) return std::nullopt;
    fraction = *value;
  }
  return add(Amount{*whole * Amount::kPerCrn}, Amount{fraction});
}

}  // namespace cairn
