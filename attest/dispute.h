// A dispute: two parties narrow a segment to one block of one element's fold, and the ledger recomputes that block.
//
// A pure state machine over the accused provider's claims. The provider always *answers* (shows children of what it
// claimed), the challenger always *picks* the first thing that it holds to be false and says what it holds instead;
// everything left of a pick is agreed. A party that is silent loses by its clock (the ledger's business), a move that does
// not prove what it must is refused (`proof`) and leaves the clock running.
//
//   steps    tree over the segment's state roots -> the first step whose root is disputed
//   calls    tree over the step's call ids       -> the first call; or a link: "no call, but state slot i is not what its
//            `next` says", which the provider must open or lose
//   outputs  the call's output ids               -> the first output
//   tile     BLAKE3's own tree of that output    -> one chunk, then the first element in it that differs
//   blocks   carries of the element's fold       -> one block, walked 16 at a time
//   opening  plan leaf, input slices with proofs against agreed ids; the referee recomputes; decided
//
// Source: refereed delegation, Canetti, Riva & Rothblum 2011.
#pragma once

#include <optional>
#include <variant>

#include "attest/plan.h"
#include "attest/records.h"
#include "attest/tree.h"

namespace cairn::attest {

enum class Party : uint8_t { provider = 1, challenger = 2 };
constexpr bool is_valid(Party p) { return p == Party::provider || p == Party::challenger; }
constexpr std::string_view name(Party p) { return p == Party::provider ? "provider" : "challenger"; }

// What both sides agree on when a game opens.
struct GameTerms {
  JobId job;
  Hash plan_root;
  uint32_t calls = 0;
  uint32_t state_slots = 0;
  std::vector<Hash> input_ids;   // plan inputs in order (without `given` slots)
  uint64_t seed = 0;
  uint64_t segment = 0;
  uint64_t start_step = 0;
  uint64_t end_step = 0;
  Hash start_root;               // state root before the segment: agreed
  Hash end_root;                 // the provider's claim
  Hash challenger_end_root;      // what the challenger holds instead
  static constexpr auto fields() {
    return std::tuple{field("job", &GameTerms::job),
                      field("plan_root", &GameTerms::plan_root),
                      field("calls", &GameTerms::calls),
                      field("state_slots", &GameTerms::state_slots),
                      field("input_ids", &GameTerms::input_ids),
                      field("seed", &GameTerms::seed),
                      field("segment", &GameTerms::segment),
                      field("start_step", &GameTerms::start_step),
                      field("end_step", &GameTerms::end_step),
                      field("start_root", &GameTerms::start_root),
                      field("end_root", &GameTerms::end_root),
                      field("challenger_end_root", &GameTerms::challenger_end_root)};
  }
};

}  // namespace cairn::attest
