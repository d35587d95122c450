// What a provider may put into jobs.
#pragma once

#include "ledger/market.h"

namespace cairn::ledger {

// Moves CRN from the sender's balance to its free stake, and tries the oldest open jobs against its offers.
// Rejects: invalid       an amount of 0
//          insufficient
// Keeps:   the sender's sum
struct Stake {
  static constexpr uint16_t kTag = 5;
  static constexpr std::string_view kName = "stake";
  Amount amount;
  static constexpr auto fields() {
    return std::tuple{field("amount", &Stake::amount)};
  }

  Result<> apply(State& state, const TxContext& context) const {
    if (amount.pebbles == 0) return Error{Code::invalid, "an amount of 0 changes nothing", "name an amount"};
    TRY(state.move(Holder::account(context.sender), Holder::stake(context.sender), amount));
    for (const auto device : {attest::Device::cpu, attest::Device::cuda})
      match_waiting(state, context.block, {device, attest::NumericClass::f32});
    return {};
  }
};

}  // namespace cairn::ledger
