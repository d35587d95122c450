// The jobs that a daemon attends to, each on a thread of its own.
//
// A thread looks at its job whenever the chain moves, and at least every kLookMs, until its owner has nothing left to do there,
// the chain has forgotten the job, or the daemon stops.
#pragma once

#include "agent/computer.h"
#include "agent/follower.h"

namespace cairn::agent {

inline constexpr uint32_t kLookMs = 250;

class Attendants {
 public:
  struct Place {
    std::string node;                   // HTTP address
    std::filesystem::path folder;       // the daemon's
    std::filesystem::path worker;
    uint32_t threads = 0;
    ArtifactStore& store;
    Follower& chain;
    const std::atomic<bool>& stop;
  };
  // One look at a job as it stands; false when nothing is left to do. A Fault costs this job a second, not the daemon its life.
  using Look = std::function<bool(NodeClient&, Computer&, const ledger::Job&)>;
  Attendants(Place place, Look look) : place_(std::move(place)), look_(std::move(look)) {}

  void take(const JobId& job);  // unless it is attended to
  bool attends(const JobId& job);
  size_t count();
  // Where the job's workers leave what they have reached.
  std::filesystem::path folder_of(const JobId& job) const { return place_.folder / "jobs" / job.hex(); }

  // The end of a crash-only daemon: joins the threads when they are done within two seconds, and otherwise ends the process
  // as it is. What counts is in the journal, and workers die with their thread.
  void leave();

 private:
  void attend(const JobId& job);

  const Place place_;
  const Look look_;
  std::mutex mutex_;
  std::set<JobId> active_;
  std::map<JobId, std::thread> threads_;
};

}  // namespace cairn::agent
