// Fetching from a party of a job: artefacts into a store, and the state after a checkpoint.
#pragma once

#include <functional>

#include "agent/artifacts.h"
#include "agent/transport.h"

namespace cairn::agent {

// Brings the artefact into the store: resumes where an earlier transfer stopped, hashes the whole before it counts.
// `done` hears (bytes here, bytes in all) after every part; may be empty.
// Errors: those of the peer; limit (larger than `max_bytes`); proof (what came has another id: asked for once more from the
// start, then given up); io.
using OnBytes = std::function<void(uint64_t have, uint64_t total)>;
Result<> fetch(Caller& peer, const Hash& id, uint64_t max_bytes, ArtifactStore& store, const OnBytes& done = {});

// The leaves of a committed checkpoint tree, checked against its root and count.
Result<std::vector<Hash>> fetch_leaves(Caller& peer, const JobId& job, const Hash& checkpoint_root, uint64_t count);

// The ids of the state buffers whose state root is `root`.
Result<StateIds> fetch_state(Caller& peer, const JobId& job, uint64_t step, const Hash& root);

// The key of a private job's ids, checked against its spec; none of a public one, and nobody is asked.
Result<ContentKey> fetch_key(Caller& peer, const JobId& job, const attest::JobSpec& spec);

// Answers AskChunk from a store.
Answer serve_chunk(const ArtifactStore& store, const AskChunk& ask);

}  // namespace cairn::agent
