#include "ledger/comet/grammar.h"

namespace cairn::ledger::comet {

std::string_view name(Call call) {
  constexpr std::string_view kNames[] = {"InitChain", "OfferSnapshot", "ApplySnapshotChunk", "PrepareProposal", "ProcessProposal", "FinalizeBlock", "Commit"};
  return kNames[static_cast<uint8_t>(call)];
}

Result<> Grammar::check(Call call, Height height) {
  const Height next{number(committed_) + 1};
  const auto allowed = [&]() -> bool {
    switch (call) {
      case Call::init_chain: return number(committed_) == 0 && stage_ != Stage::finalized;
      case Call::offer_snapshot: return stage_ == Stage::start || stage_ == Stage::syncing;
      case Call::apply_chunk: return stage_ == Stage::syncing;
      case Call::prepare:
      case Call::process: return height == next && stage_ != Stage::finalized;
      case Call::finalize: return height == next;
      case Call::commit: return stage_ == Stage::finalized;
    }
    return false;
  }();
  if (!allowed)
    return Error{Code::invalid, std::string(name(call)) + " of height " + std::to_string(number(height)) + " may not come now: height " +
                                    std::to_string(number(committed_)) + " is committed",
                 "report this with both logs, CometBFT's and the node's"};
  switch (call) {
    case Call::init_chain: stage_ = Stage::idle; break;
    case Call::offer_snapshot:
    case Call::apply_chunk: stage_ = Stage::syncing; break;
    case Call::prepare:
    case Call::process: stage_ = Stage::proposed; break;
    case Call::finalize:
      stage_ = Stage::finalized;
      finalized_ = height;
      break;
    case Call::commit:
      stage_ = Stage::idle;
      committed_ = finalized_;
      break;
  }
  return {};
}

void Grammar::restored(Height height) {
  committed_ = height;
  stage_ = Stage::idle;
}

}  // namespace cairn::ledger::comet
