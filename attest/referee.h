// Decides a dispute that has been narrowed to one block of one element, by recomputing that block with the operator's fold.
#pragma once

#include "attest/dispute.h"

namespace cairn::attest {

// The id that a reference names, from what is agreed in the game: inputs by the terms, constants by the plan, state by the
// state root before the step, calls before `before_call` by the step's call tree. Error: proof.
Result<Hash> open_value(const Game& game, const ValueRef& ref, uint32_t before_call, const ValueProof& proof);

// The carry after block `game.first_block` of the contested element, from `game.agreed`, over the opened slices.
//
// Error: proof, when a slice does not open or one that the fold reads is missing. Pure and single-threaded: same bits on
// every node. Cost: at most 10 ms and 1 MiB, by the operators' block rules.
Result<kernels::Carry> referee(const Game& game, const OpenBlock& opening);

}  // namespace cairn::attest
