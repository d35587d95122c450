// A worker at work on one job: everything that this machine computes goes through here.
//
// The worker process starts when it is first needed and stays for the next call; one that crashes, hangs or is killed costs
// the call that it served, and the next call starts another. The worker hashes every artefact before it uses it.
// Blocking; one thread at a time.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "agent/artifacts.h"
#include "agent/transport.h"
#include "attest/dispute.h"
#include "attest/plan.h"
#include "attest/records.h"
#include "runtime/worker_client.h"

namespace cairn::agent {

// What a job's computation starts from: its spec, its plan decoded from the artefact that the spec names, a private job's key.
struct Assignment {
  attest::JobSpec spec;
  attest::Plan plan;
  ContentKey key;
};

// Everything a provider must know before Accept, and a verifier before it runs: the artefacts are here and have their ids,
// the plan is valid under the chain's table and is the one that the spec prices, each input has its slot's size.
// Errors: not_found, proof (damaged artefact), and `understated_work`, `shape`, `invalid`: this job must not be run.
Result<Assignment> load_assignment(const attest::JobSpec& spec, const ArtifactStore& store, const attest::WorkTable& table, const ContentKey& key);

// What a run leaves: the commitment's leaves, and the ids of the state at each checkpoint; the buffers are artefacts.
struct Ran {
  std::vector<Hash> leaves;
  std::vector<StateIds> states;  // after segment 0, 1, ...
  static constexpr auto fields() { return std::tuple{field("leaves", &Ran::leaves), field("states", &Ran::states)}; }
};
using OnStep = std::function<void(uint64_t step, std::optional<float> loss)>;

class Computer {
 public:
  // When `stop` becomes true the worker is ended and the call returns `cancelled`.
  // What a run has reached is recorded in `folder`, this job's own.
  Computer(std::filesystem::path worker, uint32_t threads, const attest::WorkTable& table, std::filesystem::path folder,
           ArtifactStore& store, const std::atomic<bool>& stop);
  ~Computer();

  // That the job's initial state is what its plan, seed and given weights make. Errors: invalid, those of the worker.
  Result<> check_initial(const Assignment& job);

  // The whole job, from where its record stands. Errors: those of the worker, cancelled; after `known_answer`, which says that this
  // machine computes wrong, the next run starts at the beginning.
  Result<Ran> run(const Assignment& job, const OnStep& on_step);

  // One segment from its opening state (empty for segment 0: the job's initial state). `step` and `call` name the call whose
  // id is wanted. Errors: those of the worker, cancelled.
  Result<attest::Knowledge> check(const Assignment& job, uint64_t segment, const StateIds& opening, uint64_t step, uint32_t call);

  // This side's next move. Errors: not_found (a challenger without a case), those of the worker, cancelled.
  Result<attest::Move> play(const Assignment& job, const attest::Game& game, attest::Party side, const StateIds& opening);

  // Whether a segment of a native job can end where its provider says, `end`. Errors: those of the worker, cancelled.
  Result<runtime::Judged> judge(const Assignment& job, const StateIds& opening, const StateIds& end);

  // Reference nanoseconds that this machine does in a nanosecond: the worker multiplies matrices for a moment.
  Result<double> speed();

 private:
  Result<runtime::WorkerClient*> worker();
  runtime::Work work_of(const Assignment& job) const;
  Result<runtime::StatePoint> opening_of(const Assignment& job, const StateIds& opening);
  template <class T>
  Result<T> settled(Result<T> answer);
  const std::filesystem::path program_;
  const uint32_t threads_;
  const attest::WorkTable table_;
  const std::filesystem::path folder_;
  ArtifactStore& store_;
  const std::atomic<bool>& stop_;
  std::mutex mutex_;  // client_ itself; calls on it are this thread's, but stop
  std::unique_ptr<runtime::WorkerClient> client_;
  std::atomic<bool> closing_{false};
  std::thread watch_;
};

}  // namespace cairn::agent
