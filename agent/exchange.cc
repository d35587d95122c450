#include "agent/exchange.h"

#include <algorithm>

#include "attest/tree.h"

namespace cairn::agent {

namespace {
constexpr uint32_t kAnswerMs = 5000;
}

Result<> fetch(Caller& peer, const Hash& id, uint64_t max_bytes, ArtifactStore& store, const OnBytes& done) {
  if (store.has(id) && store.verified(id)) return {};
  for (int attempt = 0;; attempt++) {
    uint64_t have = store.arrived_bytes(id);
    while (true) {
      TRY_LET(chunk, peer.ask_for<Chunk>(AskChunk{id, have, kChunkMaxBytes}, kAnswerMs));
      if (chunk.size_bytes > max_bytes)
        return Error{Code::limit, "artefact " + id.hex().substr(0, 16) + " is " + std::to_string(chunk.size_bytes) +
                         " bytes, more than the " + std::to_string(max_bytes) + " that it may be", "refuse the job"};
      if (chunk.id != id || chunk.offset != have || chunk.bytes.size() > kChunkMaxBytes ||
          (chunk.bytes.empty() && have < chunk.size_bytes))
        return Error{Code::malformed, peer.endpoint() + " answered with another part than was asked", "try another peer"};
      TRY(store.append(id, have, chunk.bytes));
      have += chunk.bytes.size();
      if (done) done(have, chunk.size_bytes);
      if (have >= chunk.size_bytes) break;
    }
    const auto finished = store.finish(id);
    if (finished) return {};
    if (finished.error().code != Code::proof || attempt > 0) return finished.error();
  }
}

Result<std::vector<Hash>> fetch_leaves(Caller& peer, const JobId& job, const Hash& checkpoint_root, uint64_t count) {
  TRY_LET(leaves, peer.ask_for<Leaves>(AskLeaves{job}, kAnswerMs));
  if (leaves.roots.size() != count || attest::tree_root(leaves.roots) != checkpoint_root)
    return Error{Code::proof, peer.endpoint() + " serves checkpoints other than those it committed to", "try another peer"};
  return std::move(leaves.roots);
}

Result<StateIds> fetch_state(Caller& peer, const JobId& job, uint64_t step, const Hash& root) {
  TRY_LET(state, peer.ask_for<StateIds>(AskState{job, step}, kAnswerMs));
  if (state.step != step || attest::state_root(step, state.ids) != root)
    return Error{Code::proof, peer.endpoint() + " serves a state that does not have the committed root", "try another peer"};
  return state;
}

Result<ContentKey> fetch_key(Caller& peer, const JobId& job, const attest::JobSpec& spec) {
  if (!spec.viewers) return ContentKey();
  TRY_LET(told, peer.ask_for<JobKey>(AskKey{job}, kAnswerMs));
  if (attest::private_key_hash(told.key) != spec.viewers->key_hash)
    return Error{Code::proof, peer.endpoint() + " serves a key that is not the job's", "try another peer"};
  return ContentKey(told.key);
}

Answer serve_chunk(const ArtifactStore& store, const AskChunk& ask) {
  if (!store.has(ask.id)) return Refused{Code::not_found, "artefact " + ask.id.hex().substr(0, 16) + " is not here"};
  auto part = store.read_part(ask.id, ask.offset, std::min(ask.size, kChunkMaxBytes));
  if (!part) return Refused{part.error().code, part.error().text};
  return Chunk{ask.id, ask.offset, store.size_bytes(ask.id), *std::move(part)};
}

}  // namespace cairn::agent
