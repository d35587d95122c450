#include "agent/segment.h"

#include "agent/follower.h"

namespace cairn::agent {

Result<JobParties> JobParties::of(NodeClient& node, const ledger::Job& job, const StoredKey& own) {
  const TransportKeys keys = transport_keys(own.key);
  std::vector<Caller> peers;
  const auto add = [&](const AccountId& account, const std::string& endpoint, ledger::Scope role) {
    if (endpoint.empty() || account == own.account) return;
    if (const auto key = key_of(node, account, role)) peers.emplace_back(endpoint, *key, keys);
  };
  add(job.provider, job.provider_endpoint, ledger::Scope::provide);
  add(job.requester, job.spec.endpoint, ledger::Scope::request);
  if (peers.empty()) return Error{Code::unreachable, "a party of the job has no key on the chain", "wait until one has signed"};
  std::set<AccountId> holders;
  for (const auto& check : job.checks)
    if (!check.record.verdict.is_zero()) holders.insert(check.record.draw.verifier);
  if (!holders.empty())
    if (const auto verifiers = node.verifiers())
      for (const auto& view : *verifiers)
        if (holders.contains(view.verifier.account)) add(view.verifier.account, view.verifier.endpoint, ledger::Scope::verify);
  return JobParties(job, std::move(peers));
}

// The first answer that is good, beginning with whoever gave the last one; else what that one said, which at first is the provider where
// it has a key.
template <class Ask>
auto JobParties::from_any(Ask&& ask) {
  const size_t begin = answered_;
  auto first = ask(peers_[begin]);
  for (size_t i = 1; i < peers_.size() && !first && first.error().code != Code::io; i++) {
    const size_t next = (begin + i) % peers_.size();
    if (auto other = ask(peers_[next])) {
      answered_ = next;
      return other;
    }
  }
  return first;
}

Result<ContentKey> JobParties::key() {
  if (job_.spec.viewers && !key_) {
    TRY_LET(key, from_any([&](Caller& peer) { return fetch_key(peer, job_.id, job_.spec); }));
    key_ = key;
  }
  return key_;
}

Result<> JobParties::fetch_inputs(ArtifactStore& store) {
  TRY(from_any([&](Caller& peer) { return fetch(peer, job_.spec.plan, attest::kMaxPlanBytes, store); }));
  for (const auto& input : job_.spec.inputs) TRY(fetch_one(input.id, job_.spec.memory_bytes, store));
  return {};
}

Result<std::vector<Hash>> JobParties::leaves() {
  if (!job_.commitment) return Error{Code::wrong_state, "nothing is committed yet", "look at the job again"};
  if (leaves_.empty()) {
    const Hash root = job_.commitment->checkpoint_root;
    TRY_LET(found, from_any([&](Caller& peer) { return fetch_leaves(peer, job_.id, root, job_.spec.segments()); }));
    leaves_ = std::move(found);
  }
  return leaves_;
}

Result<StateIds> JobParties::fetch_opening(uint64_t segment, ArtifactStore& store) {
  if (segment == 0) return StateIds{};
  return fetch_end(segment - 1, store);
}

Result<StateIds> JobParties::end_of(uint64_t segment) {
  TRY_LET(roots, leaves());
  return from_any([&](Caller& peer) { return fetch_state(peer, job_.id, job_.spec.segment_end(segment), roots.at(segment)); });
}

Result<> JobParties::fetch_one(const Hash& id, uint64_t max_bytes, ArtifactStore& store, const OnBytes& done) {
  TRY_LET(key, this->key());
  ArtifactStore keyed = store.keyed(key);
  return from_any([&](Caller& peer) { return fetch(peer, id, max_bytes, keyed, done); });
}

Result<StateIds> JobParties::fetch_end(uint64_t segment, ArtifactStore& store) {
  TRY_LET(state, end_of(segment));
  for (const auto& id : state.ids) TRY(fetch_one(id, job_.spec.memory_bytes, store));
  return state;
}

}  // namespace cairn::agent
