#include "ledger/comet/application.h"

#include "base/log.h"
#include "tendermint/abci/types.pb.h"

namespace cairn::ledger::comet {
namespace {

namespace abci = tendermint::abci;

constexpr uint32_t kSnapshotFormat = 1;

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

// ---- calls ----

Application::Application(Chain& chain, Pool& pool, ApplicationConfig config)
    : chain_(chain), config_(std::move(config)), pool_(pool), grammar_(chain.store().head()) {}

Result<> Application::check(const abci::RequestCheckTx& request) {
  if (request.type() != abci::RECHECK) return pool_.add_parcel(span_of(request.tx()));
  return pool_.holds_of(span_of(request.tx())) ? Result<>() : Error{Code::not_found, "nothing of it waits any more", "sign it again"};
}

std::vector<Bytes> Application::prepare(const abci::RequestPrepareProposal& request) {
  const size_t max_bytes = static_cast<size_t>(request.max_tx_bytes());
  const auto offered = pool_.take(std::min<size_t>(max_bytes, chain_.read([](const App& app) { return app.rules().params.max_block_bytes; })));
  auto entries = chain_.read([&](const App& app) {
    return app.prepare(wall_ms_of(request.time()), config_.producer, config_.vrf, offered, max_bytes, field_overhead, pool_.known());
  });
  size_t used = 1;  // the beacon
  for (auto at = offered.begin(); used < entries.size(); ++at) {
    if (*at == entries[used]) used++;
    else pool_.drop(*at);  // refused
  }
  return entries;
}

// Outside the chain's lock, so that nobody waits for it.
template <class Entries>
void Application::see(const Entries& entries) {
  for (int i = 1; i < entries.size(); i++) pool_.see(span_of(entries[i]));
}

Block Application::commit() {
  Pool::Gone gone;
  const Block block = chain_.commit([&](const Block& stored, std::span<const RecordChange> changes) { gone = pool_.settle(stored, changes); });
  pool_.report(gone);
  return block;
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

Result<> Application::offer(const abci::RequestOfferSnapshot& offered) {
  restore_.reset();
  const auto& snapshot = offered.snapshot();
  if (snapshot.format() != kSnapshotFormat) return Error{Code::invalid, "a snapshot of format " + std::to_string(snapshot.format()), "use one release"};
  TRY_LET(head, decode<SnapshotHead>(span_of(snapshot.metadata())));
  const Hash id = attest::header_id(head.header);
  if (string_of(id.span()) != offered.app_hash() || number(head.header.height) != snapshot.height() || head.chunks != snapshot.chunks() || head.chunks == 0)
    return Error{Code::proof, "its head is not the one that the validators signed", "take another one"};
  if (number(chain_.store().head()) == 0) {
    restore_ = std::make_unique<Restore>(chain_, std::move(head));
    return {};
  }
  // CometBFT ended after the last chunk and before it had noted that.
  if (chain_.read([](const App& app) { return attest::header_id(app.head().header); }) == id) return {};
  return Error{Code::wrong_state, "this chain has blocks already", "end the node, remove its folder, and start it anew"};
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
      const auto checked = this->check(request.check_tx());
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
      auto entries = this->prepare(prepare);
      auto* out = response.mutable_prepare_proposal();
      for (const Bytes& entry : entries) out->add_txs(string_of(entry));
      prepared_.height = height_of(prepare.height());
      prepared_.wall_ms = wall_ms_of(prepare.time());
      prepared_.proposer = address_of(prepare.proposer_address());
      prepared_.entries = std::move(entries);
      return;
    }
    case abci::Request::kProcessProposal: {
      std::lock_guard lock(consensus_);
      const auto& process = request.process_proposal();
      must(grammar_.check(Call::process, height_of(process.height())));
      see(process.txs());
      const Proposal proposal = proposal_of(process, process.proposed_last_commit());
      const bool ours = proposal.height == prepared_.height && proposal.wall_ms == prepared_.wall_ms && proposal.proposer == prepared_.proposer &&
                        proposal.entries == prepared_.entries;  // then all of it has just been checked
      const auto accepted = ours ? Result<>() : chain_.read([&](const App& app) { return app.process(proposal, pool_.known()); });
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
      see(finalize.txs());
      const Finalized done = must(chain_.finalize(proposal_of(finalize, finalize.decided_last_commit()), pool_.known()));
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
      const Block block = commit();
      response.mutable_commit();
      if (config_.on_block) config_.on_block(block);
      return;
    }
    case abci::Request::kListSnapshots: {
      auto* list = response.mutable_list_snapshots();
      if (!config_.snapshots) return;
      for (const SnapshotHead& head : config_.snapshots->list()) {
        auto* shown = list->add_snapshots();
        shown->set_height(number(head.header.height));
        shown->set_format(kSnapshotFormat);
        shown->set_chunks(head.chunks);
        shown->set_hash(string_of(attest::header_id(head.header).span()));
        shown->set_metadata(string_of(encode(head)));
      }
      return;
    }
    case abci::Request::kLoadSnapshotChunk: {
      const auto& wanted = request.load_snapshot_chunk();
      auto* out = response.mutable_load_snapshot_chunk();
      if (!config_.snapshots || wanted.format() != kSnapshotFormat) return;
      if (const auto chunk = config_.snapshots->chunk(Height{wanted.height()}, wanted.chunk())) out->set_chunk(string_of(*chunk));
      return;
    }
    case abci::Request::kOfferSnapshot: {
      std::lock_guard lock(consensus_);
      must(grammar_.check(Call::offer_snapshot));
      auto* out = response.mutable_offer_snapshot();
      const auto accepted = offer(request.offer_snapshot());
      out->set_result(accepted ? abci::ResponseOfferSnapshot::ACCEPT : abci::ResponseOfferSnapshot::REJECT);
      if (!accepted) log_warning("snapshot.refused", {{"height", request.offer_snapshot().snapshot().height()}, {"text", accepted.error().text}});
      return;
    }
    case abci::Request::kApplySnapshotChunk: {
      std::lock_guard lock(consensus_);
      must(grammar_.check(Call::apply_chunk));
      auto* out = response.mutable_apply_snapshot_chunk();
      const auto& chunk = request.apply_snapshot_chunk();
      out->set_result(abci::ResponseApplySnapshotChunk::ACCEPT);
      if (!restore_) return;  // this very state is here already
      const auto refused = [&](const Error& why, auto result) {
        out->set_result(result);
        log_warning("snapshot.lie", {{"chunk", chunk.index()}, {"sender", chunk.sender()}, {"text", why.text}});
      };
      if (restore_->whole())
        return refused({Code::proof, "the state ends before the snapshot does", "take another one"}, abci::ResponseApplySnapshotChunk::REJECT_SNAPSHOT);
      if (const auto added = restore_->add(span_of(chunk.chunk())); !added) {
        out->add_refetch_chunks(chunk.index());
        out->add_reject_senders(chunk.sender());
        return refused(added.error(), abci::ResponseApplySnapshotChunk::RETRY);
      }
      if (restore_->next() < restore_->head().chunks) return;
      const auto whole = restore_->finish();
      restore_.reset();
      if (!whole) return refused(whole.error(), abci::ResponseApplySnapshotChunk::REJECT_SNAPSHOT);
      grammar_.restored(chain_.store().head());
      pool_.restart();
      log_info("snapshot.restored", {{"height", number(chain_.store().head())}});
      if (config_.on_restored) config_.on_restored();
      return;
    }
    default: throw Fault({Code::malformed, "a request that ABCI 2.0 of CometBFT v0.38 does not have", "use that version"});
  }
}

}  // namespace cairn::ledger::comet
