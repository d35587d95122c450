// A provider offers its machine.
#pragma once

#include "ledger/context.h"
#include "ledger/records.h"

namespace cairn::ledger {

// Puts an offer on the book, under this transaction's id, and tries the oldest open jobs against it.
// Rejects: invalid       no policy, policies not ascending, price or jobs_max 0, or a text too long
//          expired       `expiry` has passed
//          insufficient  the deposit is more than the balance
// Keeps:   the deposit moves to deposit(offer), and back when the offer goes
struct PostOffer {
  static constexpr uint16_t kTag = 3;
  static constexpr std::string_view kName = "post_offer";
  attest::OfferClass klass;  // cpu | cuda, and numeric class
  Amount price;  // pebbles per 10^9 reference seconds
  AccountId payee;  // is paid; zero: the sender
  std::string endpoint;  // where the provider serves checkpoints and outputs
  uint64_t memory_bytes = 0;  // largest plan it takes
  uint32_t jobs_max = 0;  // at one time
  std::vector<attest::Policy> policies;  // audit policies it takes, ascending
  ChainTime expiry{};  // off the book from here on
  static constexpr auto fields() {
    return std::tuple{field("class", &PostOffer::klass),
                      field("price", &PostOffer::price),
                      field("payee", &PostOffer::payee),
                      field("endpoint", &PostOffer::endpoint),
                      field("memory_bytes", &PostOffer::memory_bytes),
                      field("jobs_max", &PostOffer::jobs_max),
                      field("policies", &PostOffer::policies),
                      field("expiry", &PostOffer::expiry)};
  }
  Result<> apply(State& state, const TxContext& context) const;
};

}  // namespace cairn::ledger
