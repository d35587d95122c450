// In which order CometBFT may call: a bug of ours or of the engine's shows at once, and not as a wrong state later.
//
//   start     := clean | recovery | state_sync block*
//   clean     := init_chain block*
//   recovery  := block*
//   block     := round* decide        round := [prepare] [process]       decide := finalize [finalize...] commit
//   state_sync := (offer_snapshot apply_chunk*)+
//
// Kept over the calls that change or propose state; the others may come at any time.
// Source: CometBFT spec/abci/abci++_comet_expected_behavior.md, v0.38.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/amount.h"
#include "base/result.h"

namespace cairn::ledger::comet {

enum class Call : uint8_t { init_chain, offer_snapshot, apply_chunk, prepare, process, finalize, commit };
std::string_view name(Call call);

class Grammar {
 public:
  // `committed`: the height that the application has.
  explicit Grammar(Height committed) : committed_(committed) {}
  // The next call, and the height it names, if it names one. Error: invalid (the call may not come now).
  Result<> check(Call call, Height height = {});
  void restored(Height height);  // by a snapshot

 private:
  enum class Stage : uint8_t { start, idle, syncing, proposed, finalized };
  Height committed_;
  Height finalized_{};
  Stage stage_ = Stage::start;
};

}  // namespace cairn::ledger::comet
