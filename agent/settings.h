// The settings of the agent's three programs. Each struct is the manual of one file in configs/, which a test holds to the
// defaults here.
#pragma once

#include "attest/records.h"
#include "base/config.h"

namespace cairn::agent {

// configs/provider.yaml, for cairn-agent
struct ProviderConfig {
  std::string node = "http://127.0.0.1:7700";            // HTTP address of cairnd
  std::filesystem::path key = "/var/lib/cairn/agent/agent.key";  // mode 0600
  std::filesystem::path folder = "/var/lib/cairn/agent";  // journal, artefacts, running jobs
  std::string listen = "tcp://127.0.0.1:7710";           // where requesters and verifiers reach us; port 0 takes a free one
  std::filesystem::path worker = "cairn-worker";         // a bare name: beside this program, then in PATH
  attest::Device device = attest::Device::cpu;           // cuda is refused: plans do not run on a GPU yet
  attest::NumericClass numeric = attest::NumericClass::f32;  // jobs of one class are taken
  Amount price = Amount::of_pebbles(500'000);            // for an hour of this machine
  Amount stake = Amount::of_pebbles(10'000'000);         // staked when none is free and no job runs
  std::vector<attest::Policy> policies = {attest::Policy::standard, attest::Policy::careful, attest::Policy::all};
  bool native = false;                                   // native jobs too: judges that the job names decide about their pay
  Within<uint64_t, 1, 1 << 24> memory_mib{4096};         // largest plan that is taken
  Within<uint32_t, 1, 64> jobs_max{1};                   // at one time
  Within<uint32_t, 0, 1024> threads{0};                  // of one worker; 0: as many as there are cores
  Within<uint32_t, 1, 8760> offer_hours{24};             // chain time until the offer is posted anew
  static constexpr auto fields() {
    using C = ProviderConfig;
    return std::tuple{field("node", &C::node),         field("key", &C::key),
                      field("folder", &C::folder),     field("listen", &C::listen),
                      field("worker", &C::worker),     field("device", &C::device),
                      field("numeric", &C::numeric),
                      field("price", &C::price),       field("stake", &C::stake),
                      field("policies", &C::policies), field("native", &C::native),
                      field("memory_mib", &C::memory_mib),
                      field("jobs_max", &C::jobs_max), field("threads", &C::threads),
                      field("offer_hours", &C::offer_hours)};
  }
  Result<> check() const {
    if (device != attest::Device::cpu) return Error{Code::config, "`device: cuda`: plans do not run on a GPU yet", "write device: cpu"};
    return {};
  }
};

// configs/verifier.yaml, for cairn-verify run
struct VerifierConfig {
  std::string node = "http://127.0.0.1:7700";
  std::filesystem::path key = "/var/lib/cairn/verify/verify.key";
  std::filesystem::path folder = "/var/lib/cairn/verify";
  std::string listen = "tcp://127.0.0.1:7720";
  std::filesystem::path worker = "cairn-worker";
  Amount bond = Amount::of_pebbles(1'000'000);           // a verifier is drawn in proportion to it
  Within<uint32_t, 0, 1024> threads{0};
  static constexpr auto fields() {
    using C = VerifierConfig;
    return std::tuple{field("node", &C::node),     field("key", &C::key),
                      field("folder", &C::folder), field("listen", &C::listen),
                      field("worker", &C::worker), field("bond", &C::bond),
                      field("threads", &C::threads)};
  }
};

// configs/requester.yaml, for cairn
struct RequesterConfig {
  std::string node = "http://127.0.0.1:7700";
  std::filesystem::path key = "~/.config/cairn/wallet.key";
  std::filesystem::path folder = "~/.local/share/cairn";  // programs, plans, inputs and results, by content id
  std::string listen = "tcp://127.0.0.1:0";              // where providers and verifiers fetch inputs while a job runs
  std::filesystem::path worker = "cairn-worker";         // traces programs; buying needs no other part of the machine
  static constexpr auto fields() {
    using C = RequesterConfig;
    return std::tuple{field("node", &C::node),     field("key", &C::key),       field("folder", &C::folder),
                      field("listen", &C::listen), field("worker", &C::worker)};
  }
};

// A path with its leading `~/` replaced by HOME.
std::filesystem::path expand_home(const std::filesystem::path& path);
// A bare name is looked for beside the running program, then left to PATH.
std::filesystem::path find_program(const std::filesystem::path& name);

}  // namespace cairn::agent
