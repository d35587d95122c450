// Games inside the ledger: their fees, their clocks, and what follows from their end (R1: losing punishes the accuser and
// acquits nobody).
#pragma once

#include "ledger/state.h"

namespace cairn::ledger {

// A drawn verifier's revealed verdict differs: it becomes the challenger. Which call was drawn is known when the end roots are equal.
void open_from_check(State& state, BlockContext& block, Job& job, size_t check);
// Anybody's challenge; see tx/challenge.h.
Result<> open_challenge(State& state, const TxContext& context, const JobId& id, uint64_t segment, const Hash& end_root,
                        const SegmentRoots& roots);
Result<> play_move(State& state, const TxContext& context, const GameId& id, const attest::Move& move);

// The clock of the side to move has run out; or, for a game that is over, its record goes.
void game_due(State& state, BlockContext& block, Dispute dispute);
// Ends the games that their job has outlived, nobody winning: the fees go back.
void drop_games(State& state, BlockContext& block, Job& job);

// Whether an open game waits for a move of this account: then, and only then, the move has a place in a block that others cannot fill.
bool awaits_move(const State& state, const GameId& game, const AccountId& from);

}  // namespace cairn::ledger
