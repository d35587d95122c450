#include "agent/attendants.h"

#include "base/log.h"

namespace cairn::agent {

void Attendants::take(const JobId& job) {
  const std::lock_guard lock(mutex_);
  if (active_.contains(job)) return;
  if (const auto old = threads_.find(job); old != threads_.end()) {
    old->second.join();
    threads_.erase(old);
  }
  active_.insert(job);
  threads_.emplace(job, std::thread([this, job] { attend(job); }));
}

bool Attendants::attends(const JobId& job) {
  const std::lock_guard lock(mutex_);
  return active_.contains(job);
}

size_t Attendants::count() {
  const std::lock_guard lock(mutex_);
  return active_.size();
}

void Attendants::leave() {
  for (int i = 0; i < 100 && count() > 0; i++) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  log_info("daemon.stopped", {{"at_work", count() > 0}});
  if (count() > 0) std::_Exit(0);
  for (auto& [job, thread] : threads_) thread.join();
}

void Attendants::attend(const JobId& id) {
  NodeClient node(place_.node, place_.folder);
  Computer computer(place_.worker, place_.threads, place_.chain.params().work, folder_of(id), place_.store, place_.stop);
  Outage outage(node);
  uint64_t seen = 0;
  while (!place_.stop) {
    try {
      const auto job = node.job(id);
      if (!job && job.error().code == Code::not_found) break;
      if (outage.over(job) && !look_(node, computer, *job)) break;
    } catch (const Fault& fault) {
      log_error("job.fault", {{"job", id}, {"error", fault.what()}});
      for (int i = 0; i < 10 && !place_.stop; i++) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    place_.chain.wait(seen, kLookMs);
  }
  const std::lock_guard lock(mutex_);
  active_.erase(id);
}

}  // namespace cairn::agent
