// One network of real processes: node, providers, verifiers, workers. The requester is the test.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <fstream>

#include "agent/desk.h"
#include "agent/devnet.h"
#include "agent/exchange.h"
#include "agent/follower.h"
#include "agent/node_client.h"
#include "attest/receipt.h"
#include "base/clock.h"
#include "base/scratch.h"
#include "ledger/genesis_file.h"
#include "ledger/node.h"
#include "tests/agent/small_job.h"

namespace cairn::agent {

namespace fs = std::filesystem;
using ledger::JobState;

inline const fs::path kBin = fs::weakly_canonical(fs::read_symlink("/proc/self/exe").parent_path() / "../bin");

inline int run_program(const std::string& command) {
  const int status = std::system((command + " >/dev/null 2>&1").c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Serves a job's inputs to its parties, reveals the secret, and waits.
class Requester {
 public:
  explicit Requester(const DevnetState& net, const fs::path& folder)
      : node_(net.node),
        store_(folder / "store"),
        key_(must(load_stored_key(net.find("requester")->key))),
        sender_(must(Sender::make(node_, key_))),
        desk_(store_, [this](const AccountId&, const TellProgress& told) { told_step_ = told.step; }),
        server_("tcp://127.0.0.1:0", transport_keys(key_.key), [this](const CurveKey& k) { return desk_.allow(k); },
                [this](const AccountId& client, const Ask& ask) { return desk_.answer(client, ask); }) {}

  ArtifactStore& store() { return store_; }
  NodeClient& node() { return node_; }
  const SecretKey& key() const { return key_.key; }
  ledger::TxResult send(const ledger::Body& body) { return must(sender_.send(body)); }
  uint64_t told_step() const { return told_step_; }

  JobId open(Assignment& job) {
    job.spec.endpoint = server_.endpoint();
    secret_ = random_hash();
    job.spec.secret_hash = tagged_hash("cairn.secret.v1", {secret_.span()});
    content_key_ = job.key;
    return must(sender_.send(ledger::OpenJob{job.spec})).id.as<JobIdTag>();
  }

  // Until `done`, or a minute; then the job as it stands.
  template <class Done>
  ledger::Job attend(const JobId& id, Done&& done, bool serve = true) {
    const SystemClock clock;
    const uint64_t end_ns = clock.steady_ns() + 90'000'000'000;
    ledger::Job job;
    while (clock.steady_ns() < end_ns) {
      job = must(node_.job(id));
      if (done(job)) break;
      Served served;
      if (!job.provider.is_zero()) served.guests.push_back(job.provider);
      for (const auto& check : job.checks) served.guests.push_back(check.record.draw.verifier);
      introduce(node_, desk_, served.guests);
      served.artefacts.push_back(job.spec.plan);
      for (const auto& input : job.spec.inputs) served.artefacts.push_back(input.id);
      served.key = content_key_;
      if (serve) desk_.serve(id, served);
      if (job.phase == ledger::JobPhase::secret && !job.secret) static_cast<void>(sender_.send(ledger::RevealSecret{id, secret_}));
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return job;
  }

 private:
  NodeClient node_;
  ArtifactStore store_;
  StoredKey key_;
  Sender sender_;
  std::atomic<uint64_t> told_step_{0};
  Desk desk_;
  Server server_;
  Hash secret_;
  ContentKey content_key_;  // of a private job
};

struct Network : testing::Test {
  Scratch scratch;
  Devnet devnet{scratch.path / "net"};
  DevnetState net;

  // The first provider with a worker of its own, if one is named; then it is also the cheapest.
  void start(const std::string& worker = "", size_t providers = 1, size_t verifiers = 1) {
    ::setenv("PATH", (kBin.string() + ":" + std::getenv("PATH")).c_str(), 1);
    DevnetWish wish;
    wish.providers.resize(providers);
    wish.providers[0].worker = worker;
    for (size_t i = 1; i < providers; i++) wish.providers[i].price = Amount::of_pebbles(1'000'000'000);
    wish.bonds.assign(verifiers, Amount::of_pebbles(1'000'000));
    const auto made = devnet.make(wish, [](const std::string&, double) {});
    ASSERT_TRUE(made) << made.error().message();
    net = *made;
  }
  // kill -9, and back: the network as it is after a crash.
  void crash(std::initializer_list<const char*> names) {
    for (const char* name : names) kill(name);
    const auto again = devnet.restart([](const std::string&, double) {});
    ASSERT_TRUE(again) << again.error().message();
    net = *again;
  }
  // kill -9 of one process, which stays away.
  void kill(const char* name) {
    const DevnetMember* member = net.find(name);
    ASSERT_EQ(::kill(member->pid, SIGKILL), 0);
    while (member->running()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  void TearDown() override {
    if (HasFailure())
      for (const auto& member : net.members) {
        if (member.log.empty()) continue;
        std::ifstream log(member.log);
        const std::string text((std::istreambuf_iterator<char>(log)), {});
        std::cerr << "---- " << member.name << "\n" << text << "\n";
      }
    static_cast<void>(devnet.stop());
  }
};

inline bool ended(const ledger::Job& job) { return ledger::is_terminal(job.state); }

}  // namespace cairn::agent
