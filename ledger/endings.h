// How an attempt at a job ends: the money moves, the receipt is written, and the job is over or open again.
#pragma once

#include "ledger/state.h"

namespace cairn::ledger {

// Pays by what the checks found.
void settle(State& state, BlockContext& block, Job& job);
// That, if the window is over and no game is open.
void settle_if_done(State& state, BlockContext& block, Job& job);
// Pays verifiers that agreed, and of a native job every judge that spoke. Returns what it moved.
std::vector<attest::SettlementLine> pay_checkers(State& state, Job& job);

// The requester cancels what nobody has accepted.
void take_back(State& state, BlockContext& block, Job& job);
// The matched provider did not accept in time.
void lapse(State& state, BlockContext& block, Job& job);
// It accepted, and did not commit in time: it owes the requester a part of R.
void end_late(State& state, BlockContext& block, Job& job);
// The provider has lost: its stake is split, the job is open again with its escrow. `winner` takes the challenger's part.
void slash(State& state, BlockContext& block, Job& job, const AccountId& winner, Code code, std::string sentence);
// Ends a job without pay: the escrow goes back, and the stake. `lines`: what was moved before.
void void_job(State& state, BlockContext& block, Job& job, Code code, attest::Blame fault, std::string sentence,
              std::vector<attest::SettlementLine> lines = {});

// An ended job leaves the state; its deposit goes back.
void prune_job(State& state, BlockContext& block, const Job& job);

}  // namespace cairn::ledger
