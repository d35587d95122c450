// A move in a dispute.
#pragma once

#include "ledger/disputes.h"

namespace cairn::ledger {

// Plays one move; the other side's clock begins. A move that decides the game settles it at once. Has a lane of its own in
// every block.
// Rejects: not_found   no such game, or it is over
//          not_party   the sender is neither side
//          and what attest::play refuses: wrong_turn, malformed, invalid, proof, limit; the clock runs on
struct PlayMove {
  static constexpr uint16_t kTag = 18;
  static constexpr std::string_view kName = "play_move";
  static constexpr std::array kScopes{Scope::provide, Scope::verify, Scope::request};
  GameId game;
  attest::Move move;
  static constexpr auto fields() { return std::tuple{field("game", &PlayMove::game), field("move", &PlayMove::move)}; }

  Result<> apply(State& state, const TxContext& context) const {
    return ledger::play_move(state, context, game, move);
  }
};

}  // namespace cairn::ledger
