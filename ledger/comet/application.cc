#include "ledger/comet/application.h"

#include "base/log.h"
#include "tendermint/abci/types.pb.h"

namespace cairn::ledger::comet {
namespace {

namespace abci = tendermint::abci;

constexpr size_t kSeenMax = 200'000;  // of each of two generations: more than any mempool and the blocks under way

ByteSpan span_of(const std::string& text) { return as_bytes(text); }
std::string string_of(ByteSpan bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

attest::ValidatorAddress address_of(const std::string& bytes) {
  attest::ValidatorAddress out{};
  if (bytes.size() != out.size()) throw Fault({Code::malformed, "an address of " + std::to_string(bytes.size()) + " bytes", "use CometBFT v0.38"});
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

uint64_t wall_ms_of(const google::protobuf::Timestamp& time) {
  return static_cast<uint64_t>(time.seconds()) * 1000 + static_cast<uint64_t>(time.nanos()) / 1'000'000;
}

Height height_of(int64_t height) { return Height{static_cast<uint64_t>(height)}; }

// A transaction's field in protobuf: its key, its length, itself.
size_t field_overhead(size_t size) {
  size_t out = 2;
  for (; size >= 0x80; size >>= 7) out++;
  return out;
}

}  // namespace

// ---- signatures ----

size_t SeenSignatures::Spread::operator()(const TransactionId& id) const {
  size_t out = 0;
  std::memcpy(&out, id.data(), sizeof out);
  return out;
}

bool SeenSignatures::has(const TransactionId& id) const {
  std::lock_guard lock(mutex_);
  return young_.contains(id) || old_.contains(id);
}

void SeenSignatures::add(const TransactionId& id) {
  std::lock_guard lock(mutex_);
  if (young_.size() >= kSeenMax) {
    old_ = std::move(young_);
    young_.clear();
  }
  young_.insert(id);
}

// ---- calls ----

Application::Application(Chain& chain, ApplicationConfig config)
    : chain_(chain), config_(std::move(config)), grammar_(chain.store().head()) {}

App::Known Application::known() const {
  if (config_.stub_signatures) return [](const TransactionId&) { return true; };
  return [this](const TransactionId& id) { return seen_.has(id); };
}

Result<> Application::check_new(ByteSpan bytes) {
  const TransactionId id = transaction_id(bytes);
  if (bytes.size() > kMaxTransactionBytes)
    return Error{Code::limit, "a transaction may have " + std::to_string(kMaxTransactionBytes) + " bytes", "make it smaller"};
  if (!config_.stub_signatures && !seen_.has(id)) {
    TRY_LET(transaction, decode<Transaction>(bytes));
    TRY(check_signature(transaction, chain_.id()));
    seen_.add(id);
  }
  return chain_.read([&](const App& app) -> Result<> {
    TRY(app.check(bytes, true));
    return {};
  });
}

// Outside the chain's lock, so that nobody waits for it.
template <class Entries>
void Application::see_signatures(const Entries& entries) {
  if (config_.stub_signatures) return;
  for (int i = 1; i < entries.size(); i++) {
    const ByteSpan bytes = span_of(entries[i]);
    const TransactionId id = transaction_id(bytes);
    if (seen_.has(id)) continue;
    const auto transaction = decode<Transaction>(bytes);
    if (transaction && check_signature(*transaction, chain_.id())) seen_.add(id);
  }
}

template <class Request, class Commit>
Proposal Application::proposal_of(const Request& request, const Commit& last_commit) {
  Proposal out;
  out.height = height_of(request.height());
  out.wall_ms = wall_ms_of(request.time());
  out.proposer = address_of(request.proposer_address());
  for (const auto& vote : last_commit.votes())
    if (vote.block_id_flag() == tendermint::types::BLOCK_ID_FLAG_ABSENT) out.absent.push_back(address_of(vote.validator().address()));
  for (const auto& one : request.misbehavior())
    out.equivocations.push_back({address_of(one.validator().address()), height_of(one.height())});
  for (const auto& entry : request.txs()) out.entries.emplace_back(entry.begin(), entry.end());
  return out;
}

void Application::handle(const abci::Request& request, abci::Response& response) {
  switch (request.value_case()) {
    case abci::Request::kInfo: {
      std::lock_guard lock(consensus_);
      grammar_ = Grammar(chain_.store().head());  // the engine starts anew
      auto* info = response.mutable_info();
      info->set_data("cairn");
      info->set_app_version(1);
      chain_.read([&](const App& app) {
        const attest::Header& head = app.head().header;
        info->set_last_block_height(static_cast<int64_t>(number(head.height)));
        if (number(head.height) > 0) info->set_last_block_app_hash(string_of(attest::header_id(head).span()));
      });
      return;
    }
    case abci::Request::kInitChain: {
      std::lock_guard lock(consensus_);
      must(grammar_.check(Call::init_chain));
      if (request.init_chain().chain_id() != attest::comet_chain_id(chain_.id()))
        throw Fault({Code::wrong_chain, "CometBFT's genesis is of " + request.init_chain().chain_id(), "make its folder anew from this chain's genesis"});
      response.mutable_init_chain()->set_app_hash(string_of(chain_.id().span()));
      return;
    }
    case abci::Request::kQuery: {
      auto* query = response.mutable_query();
      const auto key = Hash::from(span_of(request.query().data()));
      if (request.query().path() != "prove" || !key) {
        query->set_code(static_cast<uint32_t>(Code::not_found));
        query->set_log("ask `prove` for 32 bytes; all else is at the node's HTTP address");
        return;
      }
      const auto last = chain_.last();
      if (!last) {
        query->set_code(static_cast<uint32_t>(last.error().code));
        query->set_log(last.error().text);
        return;
      }
      query->set_height(static_cast<int64_t>(number(last->header.header.height)));
      query->set_value(string_of(encode(Proven{last->header.header, last->prove(*key)})));
      return;
    }
    case abci::Request::kCheckTx: {
      auto* check = response.mutable_check_tx();
      const auto checked = check_new(span_of(request.check_tx().tx()));
      if (checked) return;
      check->set_code(static_cast<uint32_t>(checked.error().code));
      check->set_log(checked.error().text);
      check->set_info(checked.error().next);
      return;
    }
    case abci::Request::kPrepareProposal: {
      std::lock_guard lock(consensus_);
      const auto& prepare = request.prepare_proposal();
      must(grammar_.check(Call::prepare, height_of(prepare.height())));
      std::vector<Bytes> offered;
      for (const auto& tx : prepare.txs()) offered.emplace_back(tx.begin(), tx.end());
      const auto entries = chain_.read([&](const App& app) {
        return app.prepare(wall_ms_of(prepare.time()), config_.producer, config_.vrf, offered, static_cast<size_t>(prepare.max_tx_bytes()),
                           field_overhead, known());
      });
      auto* out = response.mutable_prepare_proposal();
      for (const Bytes& entry : entries) out->add_txs(string_of(entry));
      return;
    }
    case abci::Request::kProcessProposal: {
      std::lock_guard lock(consensus_);
      const auto& process = request.process_proposal();
      must(grammar_.check(Call::process, height_of(process.height())));
      see_signatures(process.txs());
      const Proposal proposal = proposal_of(process, process.proposed_last_commit());
      const auto accepted = chain_.read([&](const App& app) { return app.process(proposal, known()); });
      if (!accepted)
        log_warning("comet.proposal_refused", {{"height", number(proposal.height)}, {"code", name(accepted.error().code)}, {"text", accepted.error().text}});
      response.mutable_process_proposal()->set_status(accepted ? abci::ResponseProcessProposal::ACCEPT : abci::ResponseProcessProposal::REJECT);
      return;
    }
    case abci::Request::kExtendVote: response.mutable_extend_vote(); return;
    case abci::Request::kVerifyVoteExtension:
      response.mutable_verify_vote_extension()->set_status(request.verify_vote_extension().vote_extension().empty()
                                                               ? abci::ResponseVerifyVoteExtension::ACCEPT
                                                               : abci::ResponseVerifyVoteExtension::REJECT);
      return;
    case abci::Request::kFinalizeBlock: {
      std::lock_guard lock(consensus_);
      const auto& finalize = request.finalize_block();
      must(grammar_.check(Call::finalize, height_of(finalize.height())));
      see_signatures(finalize.txs());
      const Finalized done = must(chain_.finalize(proposal_of(finalize, finalize.decided_last_commit()), known()));
      auto* out = response.mutable_finalize_block();
      out->add_tx_results();  // of the beacon entry
      for (const TxResult& result : done.results) {
        auto* shown = out->add_tx_results();
        shown->set_code(result.code);
        shown->set_log(result.text);
      }
      for (const auto& validator : done.votes) {
        auto* update = out->add_validator_updates();
        update->mutable_pub_key()->set_ed25519(string_of(validator.key.span()));
        update->set_power(static_cast<int64_t>(validator.votes));
      }
      out->set_app_hash(string_of(attest::header_id(done.header).span()));
      return;
    }
    case abci::Request::kCommit: {
      std::lock_guard lock(consensus_);
      must(grammar_.check(Call::commit));
      const Block block = chain_.commit();
      response.mutable_commit();
      if (config_.on_block) config_.on_block(block);
      return;
    }
    case abci::Request::kListSnapshots: response.mutable_list_snapshots(); return;
    case abci::Request::kOfferSnapshot: response.mutable_offer_snapshot()->set_result(abci::ResponseOfferSnapshot::REJECT); return;
    case abci::Request::kLoadSnapshotChunk: response.mutable_load_snapshot_chunk(); return;
    case abci::Request::kApplySnapshotChunk: response.mutable_apply_snapshot_chunk()->set_result(abci::ResponseApplySnapshotChunk::ABORT); return;
    default: throw Fault({Code::malformed, "a request that ABCI 2.0 of CometBFT v0.38 does not have", "use that version"});
  }
}

}  // namespace cairn::ledger::comet
