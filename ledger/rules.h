// The rules that a chain is under from each height on, and how they change (see attest::Rules).
//
// State holds every one there has been, by number, and the announced next. A job pins the number of its match: its clocks,
// draws, fines and disputes end under those, while new matches are made under the present ones.
#pragma once

#include "ledger/state.h"

namespace cairn::ledger {

// As many as CometBFT names in one answer, of which a node makes its seals.
inline constexpr uint32_t kMaxValidators = 100;

// Rules that no chain could live by. Error: invalid.
Result<> check(const attest::ChainParams& params);

// See tx/upgrade.h.
Result<> announce(State& state, const TxContext& context, Height from, uint32_t protocol, const attest::ChainParams& params);

}  // namespace cairn::ledger
