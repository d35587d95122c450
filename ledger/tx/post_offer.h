// A provider offers its machine.
#pragma once

#include <algorithm>
#include <functional>

#include "ledger/market.h"

namespace cairn::ledger {

// Puts an offer on the book, under this transaction's id, and lets it seek jobs.
// Rejects: invalid       no policy, policies not ascending, price or jobs_max 0, or a text too long
//          unauthorised  a hot key names somebody else as payee
//          expired       `expiry` has passed
//          insufficient  the deposit is more than the balance
// Keeps:   the deposit moves to deposit(offer), and back when the offer goes
struct PostOffer {
  static constexpr uint16_t kTag = 3;
  static constexpr std::string_view kName = "post_offer";
  static constexpr std::array kScopes{Scope::provide};
  attest::OfferClass klass;  // cpu | cuda, and numeric class
  Amount price;  // pebbles per 10^9 reference seconds
  AccountId payee;  // is paid; zero: the sender
  std::string endpoint;  // where the provider serves checkpoints and outputs
  uint64_t memory_bytes = 0;  // largest plan it takes
  uint32_t jobs_max = 0;  // at one time
  std::vector<attest::Policy> policies;  // audit policies it takes, ascending
  ChainTime expiry{};  // off the book from here on
  bool native = false;  // takes native jobs too: their judges decide about pay
  static constexpr auto fields() {
    return std::tuple{field("class", &PostOffer::klass),
                      field("price", &PostOffer::price),
                      field("payee", &PostOffer::payee),
                      field("endpoint", &PostOffer::endpoint),
                      field("memory_bytes", &PostOffer::memory_bytes),
                      field("jobs_max", &PostOffer::jobs_max),
                      field("policies", &PostOffer::policies),
                      field("expiry", &PostOffer::expiry),
                      field("native", &PostOffer::native)};
  }

  Result<> apply(State& state, const TxContext& context) const {
    if (price.pebbles == 0 || jobs_max == 0 || endpoint.size() > kMaxTextBytes || policies.empty() ||
        std::adjacent_find(policies.begin(), policies.end(), std::greater_equal<>()) != policies.end())
      return Error{Code::invalid, "an offer needs a price, a slot, ascending policies and a short endpoint", "check the offer"};
    if (context.by_hot_key && !payee.is_zero() && payee != context.sender)
      return Error{Code::unauthorised, "a hot key offers for its own account alone", "leave the payee out, or sign with the account's own keys"};
    if (ms(expiry) <= ms(context.block.now)) return Error{Code::expired, "the offer's expiry has passed", "choose a later one"};
    TRY(lock_deposit(state, context, context.id, context.size_bytes));
    Offer offer;
    offer.id = context.id.as<OfferIdTag>();
    offer.owner = context.sender;
    offer.payee = payee.is_zero() ? context.sender : payee;
    offer.klass = klass;
    offer.price = price;
    offer.endpoint = endpoint;
    offer.memory_bytes = memory_bytes;
    offer.jobs_max = jobs_max;
    offer.policies = policies;
    offer.native = native;
    offer.seq = context.seq;
    offer.expiry = state.arm(Due::offer, context.id, expiry, context.block.next_seq());
    context.block.emit("offer.posted", context.id,
                       {{"owner", to_json(offer.owner)}, {"class", to_json(klass)}, {"price", to_json(price)}});
    list_offer(state, context.block, offer);
    return {};
  }
};

}  // namespace cairn::ledger
