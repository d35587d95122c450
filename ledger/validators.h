// The validator set: who is in it, with how many votes, and what absence and double signing cost.
//
// One vote for each whole CRN of stake. A block's changes are told to the engine when it ends and are in force two blocks
// later; a validator that has left keeps its record until its stake is free, so that its last blocks can be checked and its
// last lies punished. The set of a solo chain is the genesis' one producer and never changes.
#pragma once

#include "ledger/state.h"

namespace cairn::ledger {

// A validator that signed two blocks of one height, as the engine proved.
struct Equivocation {
  attest::ValidatorAddress validator{};
  Height height{};
};

std::optional<Validator> validator_at(const State& state, const attest::ValidatorAddress& address);
std::optional<Validator> validator_by_key(const State& state, const PublicKey& key);

// Of the genesis: stakes are handed out, records made.
Result<> found_validators(State& state, const attest::Genesis& genesis);

// What the engine reports with a block: whose votes its predecessor lacks, and who is proven to have signed twice.
void note_absences(State& state, BlockContext& block, std::span<const attest::ValidatorAddress> absent);
void punish(State& state, BlockContext& block, const Equivocation& equivocation);

// Whose votes have changed, by key; 0: it leaves. Nobody leaves while nobody would remain.
std::vector<attest::CometValidator> update_votes(State& state, BlockContext& block);

// Out of the set; its stake is on its way back, and can be slashed until it is there.
void retire(State& state, BlockContext& block, Validator validator);
// Seats are max_validators. In a full set whoever has the least stake gives way to more; one that equivocated has none that counts.
// Error: limit.
Result<> make_room(State& state, BlockContext& block, Amount stake);

// Due::validator: the stake of one that resigned is free.
void forget_validator(State& state, const AccountId& account);

}  // namespace cairn::ledger
