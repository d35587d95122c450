// The chain's next rules.
#pragma once

#include "ledger/rules.h"

namespace cairn::ledger {

// Announces the rules that hold from a height on, or takes an announcement back. Matches, and all that follows from them,
// end under the rules of their match. A node whose program does not know the protocol stops before that height.
// Rejects: not_party    the sender is not the genesis's governor
//          too_late     the height is nearer than the notice, or what was announced is in force
//          wrong_state  another upgrade is announced: take it back first; or none is there to be taken back
//          invalid      an older protocol than the present one, parameters that no chain could live by, or another
//                       table of work, which plans bought before are quoted by
struct Upgrade {
  static constexpr uint16_t kTag = 25;
  static constexpr std::string_view kName = "upgrade";
  Height from{};               // the first block under the new rules; 0 takes an announcement back
  uint32_t protocol = 0;
  attest::ChainParams params;
  static constexpr auto fields() {
    return std::tuple{field("from", &Upgrade::from), field("protocol", &Upgrade::protocol), field("params", &Upgrade::params)};
  }

  Result<> apply(State& state, const TxContext& context) const { return announce(state, context, from, protocol, params); }
};

}  // namespace cairn::ledger
