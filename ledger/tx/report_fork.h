// Evidence against the producer.
#pragma once

#include "ledger/state.h"

namespace cairn::ledger {

// Two headers of one height, both signed by the producer: whoever can show them stops the chain. The block that holds this
// is the last one; the evidence stays in its state for everybody to see.
// Rejects: invalid  the chain has no producer: CometBFT reports who signs twice
//          what attest::check_double_signing refuses: wrong_chain, bad_signature, proof
struct ReportFork {
  static constexpr uint16_t kTag = 22;
  static constexpr std::string_view kName = "report_fork";
  static constexpr std::array kScopes{Scope::verify};
  attest::SignedHeader one;
  attest::SignedHeader other;
  static constexpr auto fields() { return std::tuple{field("one", &ReportFork::one), field("other", &ReportFork::other)}; }

  Result<> apply(State& state, const TxContext& context) const {
    if (context.block.genesis.engine != attest::Engine::solo)
      return Error{Code::invalid, "this chain has several validators, whose double signing their engine reports", "nothing is to be done"};
    TRY(attest::check_double_signing(context.block.genesis, one, other));
    state.put(Fork{one, other, context.sender});
    context.block.emit("producer.forked", context.sender.as<HashTag>(), {{"height", to_json(one.header.height)}});
    return {};
  }
};

}  // namespace cairn::ledger
