#include "ledger/comet/bench_nothing.h"

#include "base/result.h"
#include "tendermint/abci/types.pb.h"

namespace cairn::ledger::comet {

namespace abci = tendermint::abci;

void do_nothing(const abci::Request& request, abci::Response& response) {
  switch (request.value_case()) {
    case abci::Request::kInfo: response.mutable_info(); return;
    case abci::Request::kInitChain: response.mutable_init_chain(); return;
    case abci::Request::kQuery: response.mutable_query(); return;
    case abci::Request::kCheckTx: response.mutable_check_tx(); return;
    case abci::Request::kPrepareProposal: *response.mutable_prepare_proposal()->mutable_txs() = request.prepare_proposal().txs(); return;
    case abci::Request::kProcessProposal: response.mutable_process_proposal()->set_status(abci::ResponseProcessProposal::ACCEPT); return;
    case abci::Request::kFinalizeBlock:
      for (int i = 0; i < request.finalize_block().txs_size(); i++) response.mutable_finalize_block()->add_tx_results();
      response.mutable_finalize_block()->set_app_hash(std::string(32, '0'));
      return;
    case abci::Request::kCommit: response.mutable_commit(); return;
    default: throw Fault({Code::malformed, "an unexpected request", "use CometBFT v0.38"});
  }
}

}  // namespace cairn::ledger::comet
