// From a job file to what is ordered: the program traced to a plan, every input under its content id, the job's terms.
#pragma once

#include <functional>

#include "agent/artifacts.h"
#include "agent/cli/cli.h"
#include "agent/cli/job_file.h"

namespace cairn::agent {

struct Order {
  attest::JobSpec spec;          // but its endpoint and secret_hash, which are known when it is served
  std::vector<Hash> artefacts;   // plan, program and inputs: what providers and verifiers may fetch
  ContentKey key;                // of a private job: made here, it keys the ids of inputs and states
  std::vector<std::string> removed;  // from the program, by normalising
  double trace_seconds = 0;
};

// Reads, traces, hashes, names the assets; everything that is served lies in `store` afterwards. `stage` hears what is being done.
// Errors: those of the node, first, for without one nothing is worth tracing; of the files and of the tracer; usage (assets that
// name no input, data that does not fit).
Result<Order> make_order(const JobFile& job, const RequesterConfig& settings, NodeClient& node, ArtifactStore& store,
                         const std::function<void(const std::string&)>& stage);

// What a requester remembers of a job that it opens, under the job's secret_hash: enough to come back to it.
//
//   FOLDER/orders/<64 hex digits of secret_hash>       mode 0600, by this struct's fields()
struct OrderNote {
  Hash secret;
  std::vector<Hash> artefacts;
  std::string out;               // folder of the result
  uint64_t opened_wall_ms = 0;
  ContentKey key;                // of a private job
  static constexpr auto fields() {
    return std::tuple{field("secret", &OrderNote::secret), field("artefacts", &OrderNote::artefacts),
                      field("out", &OrderNote::out), field("opened_wall_ms", &OrderNote::opened_wall_ms),
                      field("key", &OrderNote::key)};
  }
};
Hash secret_hash(const Hash& secret);
Result<> remember(const std::filesystem::path& folder, const OrderNote& note);
// Error: not_found, when another machine or nobody of this folder opened the job.
Result<OrderNote> recall(const std::filesystem::path& folder, const attest::JobSpec& spec);

}  // namespace cairn::agent
