// Where a requester hands out the inputs of one job and hears how it goes: a transport server that lets in the parties of
// the job as the chain names them (its providers, drawn verifiers, challengers), and nobody else.
#pragma once

#include <condition_variable>
#include <mutex>

#include "agent/desk.h"
#include "agent/node_client.h"
#include "agent/transport.h"

namespace cairn::agent {

class Counter {
 public:
  // Listens at once, since the address is part of the job; answers from open() on. `folder` remembers the chain. Throws Fault: io.
  Counter(const std::string& node, const std::filesystem::path& folder, const SecretKey& key, const std::string& listen, const ArtifactStore& store);

  const std::string& endpoint() const { return server_.endpoint(); }
  void open(const JobId& job, std::vector<Hash> artefacts, const ContentKey& key);
  // What the provider told last.
  std::optional<TellProgress> told() const;

 private:
  std::optional<AccountId> allow(const CurveKey& key);
  void ask_chain(const JobId& job);

  mutable std::mutex mutex_;
  std::condition_variable opened_;
  std::optional<JobId> job_;
  std::vector<Hash> artefacts_;
  ContentKey key_;
  std::optional<TellProgress> told_;

  NodeClient node_;               // of the thread that lets in
  std::set<AccountId> guests_;    // too
  uint64_t asked_ns_ = 0;         // too
  Desk desk_;
  Server server_;                 // last: its threads use all of the above
};

}  // namespace cairn::agent
