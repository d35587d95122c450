#include "agent/cli/counter.h"

#include <chrono>

#include "agent/follower.h"
#include "base/clock.h"

namespace cairn::agent {

namespace {
constexpr auto kOpening = std::chrono::seconds(5);   // a provider may hear of the job before we hear that it is open
constexpr auto kAskEvery = std::chrono::milliseconds(50);
}  // namespace

Counter::Counter(const std::string& node, const std::filesystem::path& folder, const SecretKey& key, const std::string& listen, const ArtifactStore& store)
    : node_(node, folder),
      desk_(store,
            [this](const AccountId&, const TellProgress& told) {
              const std::lock_guard lock(mutex_);
              told_ = told;
            }),
      server_(listen, transport_keys(key), [this](const CurveKey& client) { return allow(client); },
              [this](const AccountId& client, const Ask& ask) { return desk_.answer(client, ask); }) {}

void Counter::open(const JobId& job, std::vector<Hash> artefacts, const ContentKey& key) {
  {
    const std::lock_guard lock(mutex_);
    job_ = job;
    artefacts_ = std::move(artefacts);
    key_ = key;
  }
  opened_.notify_all();
}

std::optional<TellProgress> Counter::told() const {
  const std::lock_guard lock(mutex_);
  return told_;
}

std::optional<AccountId> Counter::allow(const CurveKey& key) {
  if (const auto known = desk_.allow(key)) return known;
  std::optional<JobId> job;
  {
    std::unique_lock lock(mutex_);
    opened_.wait_for(lock, kOpening, [&] { return job_.has_value(); });
    job = job_;
  }
  if (!job) return std::nullopt;
  ask_chain(*job);
  return desk_.allow(key);
}

void Counter::ask_chain(const JobId& id) {
  const uint64_t now_ns = SystemClock().steady_ns();
  const uint64_t pause_ns = static_cast<uint64_t>(std::chrono::nanoseconds(kAskEvery).count());
  if (now_ns < asked_ns_ + pause_ns)  // strangers who knock do not become load on the node
    std::this_thread::sleep_for(std::chrono::nanoseconds(asked_ns_ + pause_ns - now_ns));
  asked_ns_ = SystemClock().steady_ns();
  const auto job = node_.job(id);
  if (!job) return;
  guests_.insert(job->requester);
  guests_.insert(job->provider);
  for (const auto& check : job->checks) guests_.insert(check.record.draw.verifier);
  for (const auto& game : job->games)
    if (const auto dispute = node_.dispute(game)) guests_.insert(dispute->challenger);
  const std::vector<AccountId> all(guests_.begin(), guests_.end());
  for (const auto& account : all)
    if (!account.is_zero()) learn(node_, desk_, account);  // the stranger may be one of them, with another key
  Served served;
  served.guests = all;
  {
    const std::lock_guard lock(mutex_);
    served.artefacts = artefacts_;
    served.key = key_;
  }
  desk_.serve(id, std::move(served));
}

}  // namespace cairn::agent
