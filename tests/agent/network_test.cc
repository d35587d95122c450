// One network of real processes: node, provider, verifier, workers. The requester is this test.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <fstream>
#include <random>

#include "agent/desk.h"
#include "agent/devnet.h"
#include "agent/exchange.h"
#include "agent/follower.h"
#include "agent/node_client.h"
#include "attest/receipt.h"
#include "base/clock.h"
#include "ledger/genesis_file.h"
#include "ledger/node.h"
#include "tests/agent/scratch.h"
#include "tests/agent/small_job.h"

namespace cairn::agent {
namespace {

namespace fs = std::filesystem;
using ledger::JobState;

const fs::path kBin = fs::weakly_canonical(fs::read_symlink("/proc/self/exe").parent_path() / "../bin");

int run_program(const std::string& command) {
  const int status = std::system((command + " >/dev/null 2>&1").c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Serves a job's inputs to its parties, reveals the secret, and waits.
class Requester {
 public:
  explicit Requester(const DevnetState& net, const fs::path& folder)
      : node_(net.node),
        store_(folder / "store"),
        key_(must(load_key(net.find("requester")->key))),
        sender_(must(Sender::make(node_, key_))),
        desk_(store_, [this](const AccountId&, const TellProgress& told) { told_step_ = told.step; }),
        server_("tcp://127.0.0.1:0", transport_keys(key_), [this](const CurveKey& k) { return desk_.allow(k); },
                [this](const AccountId& client, const Ask& ask) { return desk_.answer(client, ask); }) {}

  ArtifactStore& store() { return store_; }
  NodeClient& node() { return node_; }
  const SecretKey& key() const { return key_; }
  uint64_t told_step() const { return told_step_; }

  JobId open(Assignment& job) {
    job.spec.endpoint = server_.endpoint();
    secret_ = random_hash();
    job.spec.secret_hash = tagged_hash("cairn.secret.v1", {secret_.span()});
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
      if (serve) desk_.serve(id, served);
      if (job.phase == ledger::JobPhase::secret && !job.secret) static_cast<void>(sender_.send(ledger::RevealSecret{id, secret_}));
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return job;
  }

 private:
  NodeClient node_;
  ArtifactStore store_;
  SecretKey key_;
  Sender sender_;
  std::atomic<uint64_t> told_step_{0};
  Desk desk_;
  Server server_;
  Hash secret_;
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
    for (const char* name : names) {
      const DevnetMember* member = net.find(name);
      ASSERT_EQ(::kill(member->pid, SIGKILL), 0);
      while (member->running()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    const auto again = devnet.restart([](const std::string&, double) {});
    ASSERT_TRUE(again) << again.error().message();
    net = *again;
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

bool ended(const ledger::Job& job) { return ledger::is_terminal(job.state); }

TEST_F(Network, AnHonestJobSettlesAndItsReceiptChecksOffline) {
  ASSERT_NO_FATAL_FAILURE(start());
  Requester requester(net, scratch.path / "requester");
  Assignment wanted = small_job(requester.store(), 300, 3);
  const JobId id = requester.open(wanted);
  const auto job = requester.attend(id, ended);
  ASSERT_EQ(job.state, JobState::settled) << ledger::name(job.state) << ": " << job.sentence;
  EXPECT_EQ(job.audit, attest::Audit::as_ordered);
  EXPECT_GT(job.paid_provider.pebbles, 0u);

  // The result: what was committed, served by the provider after the end.
  const PublicKey provider = must(key_of(requester.node(), job.provider));
  Caller caller(job.provider_endpoint, provider, transport_keys(requester.key()));
  const auto leaves = fetch_leaves(caller, id, job.commitment->checkpoint_root, job.spec.segments());
  ASSERT_TRUE(leaves) << leaves.error().message();
  const auto state = fetch_state(caller, id, job.spec.steps, leaves->back());
  ASSERT_TRUE(state) << state.error().message();
  EXPECT_EQ(leaves->back(), job.commitment->outputs_root);
  for (const auto& slot : state->ids) ASSERT_TRUE(fetch(caller, slot, 1 << 20, requester.store()));

  // The receipt: accepted as it is; refused with any byte changed, cut or added, and for another genesis.
  const Bytes receipt = must(requester.node().raw("/v1/receipts/" + id.hex()));
  const fs::path file = scratch.path / "receipt";
  const std::string check = (kBin / "cairn-verify").string() + " receipt " + file.string() + " --genesis ";
  ASSERT_TRUE(write_file(file, receipt));
  EXPECT_EQ(run_program(check + net.genesis), 0);
  EXPECT_EQ(run_program(check + net.genesis + " --json"), 0);
  attest::Genesis genesis = must(ledger::load_genesis(net.genesis));
  for (size_t i = 0; i < receipt.size(); i += 1 + receipt.size() / 500) {
    Bytes bytes = receipt;
    bytes[i] ^= 0x10;
    const auto checked = attest::check_receipt(bytes, genesis);
    EXPECT_FALSE(checked) << "byte " << i << " changed";
  }
  for (const size_t at : {size_t{0}, receipt.size() / 3, receipt.size() - 1}) {
    Bytes bytes = receipt;
    bytes[at] ^= 1;
    ASSERT_TRUE(write_file(file, bytes));
    EXPECT_EQ(run_program(check + net.genesis), 9) << "byte " << at;
  }
  Bytes cut = receipt;
  cut.pop_back();
  ASSERT_TRUE(write_file(file, cut));
  EXPECT_EQ(run_program(check + net.genesis), 9);
  ASSERT_TRUE(write_file(file, receipt));
  genesis.name += "x";
  ASSERT_TRUE(ledger::save_genesis(scratch.path / "other-genesis", genesis));
  EXPECT_EQ(run_program(check + (scratch.path / "other-genesis").string()), 9);
  EXPECT_EQ(run_program(check + (scratch.path / "absent").string()), 6);
}

TEST_F(Network, ALieInOneNumberIsFoundAndCostsTheStake) {
  ::setenv("CAIRN_LIE", "137 0 300", 1);
  ASSERT_NO_FATAL_FAILURE(start((kBin / "cairn-cheating-worker").string(), 2));
  ::unsetenv("CAIRN_LIE");
  Requester requester(net, scratch.path / "requester");
  Assignment wanted = small_job(requester.store(), 300, 30);
  wanted.spec.policy = attest::Policy::all;
  const JobId id = requester.open(wanted);
  // The liar is slashed; the job is open again with its escrow, and the next provider does it.
  const auto job = requester.attend(id, ended);
  ASSERT_EQ(job.state, JobState::settled) << ledger::name(job.state) << ": " << job.sentence;
  EXPECT_EQ(job.audit, attest::Audit::as_ordered);
  ASSERT_EQ(job.met.size(), 1u);
  EXPECT_EQ(job.met.front().hex(), net.find("provider-1")->account);
  EXPECT_EQ(job.provider.hex(), net.find("provider-2")->account);
  const auto receipt = decode<attest::Receipt>(must(requester.node().raw("/v1/receipts/" + id.hex() + "?try=0")));
  ASSERT_TRUE(receipt);
  const auto genesis = must(ledger::load_genesis(net.genesis));
  EXPECT_TRUE(attest::check_receipt(*receipt, genesis));
  EXPECT_EQ(receipt->body.state, attest::Ended::slashed);
  EXPECT_EQ(receipt->body.fault, attest::Blame::provider);
  ASSERT_EQ(receipt->body.games.size(), 1u);
  const auto& game = receipt->body.games[0];
  EXPECT_EQ(game.winner, attest::Party::challenger) << game.reason;
  EXPECT_FALSE(game.by_clock);
  EXPECT_EQ(game.challenger.hex(), net.find("verifier-1")->account);
  EXPECT_EQ(game.terms.segment, 137u / 30);
}

TEST_F(Network, AProviderKilledAtWorkGoesOnFromItsCheckpoint) {
  ASSERT_NO_FATAL_FAILURE(start());
  Requester requester(net, scratch.path / "requester");
  Assignment wanted = small_job(requester.store(), 4'000'000, 40'000);
  const JobId id = requester.open(wanted);
  requester.attend(id, [&](const ledger::Job&) { return requester.told_step() > 1'000'000; });
  ASSERT_GT(requester.told_step(), 1'000'000u);
  ASSERT_NO_FATAL_FAILURE(crash({"provider-1", "verifier-1"}));
  const auto job = requester.attend(id, ended);
  EXPECT_EQ(job.state, JobState::settled) << ledger::name(job.state) << ": " << job.sentence;
  EXPECT_EQ(job.audit, attest::Audit::as_ordered);
  EXPECT_EQ(job.tries, 1u);
  std::ifstream in(net.find("provider-1")->log);
  const std::string log((std::istreambuf_iterator<char>(in)), {});
  EXPECT_NE(log.find("run.resumed"), std::string::npos);
}

TEST_F(Network, KilledAtAnyMomentNobodyHonestLoses) {
  ASSERT_NO_FATAL_FAILURE(start());
  Requester requester(net, scratch.path / "requester");
  std::mt19937 random(20'261'124);
  Amount stake;
  for (int round = 0; round < 5; round++) {
    Assignment wanted = small_job(requester.store(), 300, 3);
    wanted.spec.policy = attest::Policy::careful;
    wanted.spec.seed = static_cast<uint64_t>(round);
    wanted.spec.initial_state =
        runtime::root_of(must(runtime::initial_state(wanted.plan, wanted.spec.seed, std::vector<ByteSpan>(1))));
    const JobId id = requester.open(wanted);
    const SystemClock clock;
    const uint64_t kill_ns = clock.steady_ns() + (random() % 2500) * 1'000'000;
    auto job = requester.attend(id, [&](const ledger::Job& j) { return ended(j) || clock.steady_ns() >= kill_ns; });
    for (const char* name : {"provider-1", "verifier-1"})
      if (random() % 3 != 0) {
        ASSERT_NO_FATAL_FAILURE(crash({name}));
      }
    job = requester.attend(id, ended);
    EXPECT_EQ(job.state, JobState::settled) << "round " << round << ", " << ledger::name(job.state) << ": " << job.sentence;
    EXPECT_EQ(job.audit, attest::Audit::as_ordered) << "round " << round;
    const auto provider = must(requester.node().account(*AccountId::from_hex(net.find("provider-1")->account)));
    if (round > 0) {
      EXPECT_EQ(provider.stake, stake);
    }
    stake = provider.stake;
  }
}

TEST_F(Network, AHundredChecksAreAnsweredInTime) {
  ASSERT_NO_FATAL_FAILURE(start());
  Requester requester(net, scratch.path / "requester");
  Assignment wanted = small_job(requester.store(), 300, 3);
  wanted.spec.policy = attest::Policy::all;
  const auto job = requester.attend(requester.open(wanted), ended);
  ASSERT_EQ(job.state, JobState::settled) << ledger::name(job.state) << ": " << job.sentence;
  EXPECT_EQ(job.checks.size(), 100u);
  EXPECT_EQ(job.audit, attest::Audit::as_ordered);
}

// What was committed is on no disk any more when the segments are drawn: nobody but the first segment's verifier can check, and
// that one's word does not pay for the rest.
TEST_F(Network, AProviderThatLosesItsCheckpointsIsNotPaid) {
  ASSERT_NO_FATAL_FAILURE(start("", 1, 3));
  Requester requester(net, scratch.path / "requester");
  const AccountId provider = *AccountId::from_hex(net.find("provider-1")->account);
  const auto requester_before = must(requester.node().account(account_of(requester.key().public_key())));
  const auto provider_before = must(requester.node().account(provider));
  Assignment wanted = small_job(requester.store(), 300, 60);
  wanted.spec.policy = attest::Policy::all;
  const JobId id = requester.open(wanted);
  auto job = requester.attend(id, [](const ledger::Job& j) { return j.state == JobState::committed; });
  ASSERT_EQ(job.phase, ledger::JobPhase::secret);
  const fs::path artefacts = scratch.path / "net" / "provider-1" / "artefacts";
  ASSERT_TRUE(fs::exists(artefacts / wanted.spec.plan.hex())) << artefacts;
  for (const auto& entry : fs::directory_iterator(artefacts))
    if (const auto name = entry.path().filename(); entry.is_regular_file() && name != wanted.spec.plan.hex() && name != wanted.spec.inputs[0].id.hex())
      fs::remove(entry.path());

  job = requester.attend(id, ended);
  EXPECT_EQ(job.state, JobState::voided) << ledger::name(job.state) << ": " << job.sentence;
  EXPECT_EQ(job.code, Code::undelivered);
  EXPECT_EQ(job.draws.size(), 2u);
  ASSERT_EQ(job.checks.size(), 9u);
  std::map<uint64_t, std::set<AccountId>> undelivered;
  for (const auto& check : job.checks)
    if (check.state == ledger::CheckState::undelivered) undelivered[check.record.draw.segment].insert(check.record.draw.verifier);
  EXPECT_EQ(undelivered.size(), 4u);
  EXPECT_FALSE(undelivered.contains(0));
  for (const auto& [segment, verifiers] : undelivered) EXPECT_EQ(verifiers.size(), 2u) << segment;

  EXPECT_EQ(job.paid_provider.pebbles, 0u);
  const uint64_t fine = must(requester.node().genesis()).params.verifier_silence;
  EXPECT_EQ(must(requester.node().account(provider)).stake.pebbles, provider_before.stake.pebbles - fine);
  EXPECT_LE(must(requester.node().account(provider)).balance, provider_before.balance);
  const auto requester_after = must(requester.node().account(account_of(requester.key().public_key())));
  EXPECT_GT(requester_after.balance.pebbles + 200'000u, requester_before.balance.pebbles);  // deposit and fees
  const Bytes receipt = must(requester.node().raw("/v1/receipts/" + id.hex()));
  EXPECT_TRUE(attest::check_receipt(receipt, must(ledger::load_genesis(net.genesis))));
  EXPECT_TRUE(must(requester.node().record<ledger::Supply>("/v1/supply")).conserved);
}

TEST_F(Network, ARequesterThatServesNothingLetsTheMatchLapseWithoutFault) {
  ASSERT_NO_FATAL_FAILURE(start());
  Requester requester(net, scratch.path / "requester");
  Assignment wanted = small_job(requester.store(), 30, 3);
  wanted.spec.accept_ms = 500;
  const JobId id = requester.open(wanted);
  const auto provider = AccountId::from_hex(net.find("provider-1")->account);
  const auto before = must(requester.node().account(*provider));
  const auto job = requester.attend(id, [](const ledger::Job& j) { return j.state == JobState::open && j.tries == 1; }, false);
  EXPECT_EQ(job.state, JobState::open);
  EXPECT_EQ(must(requester.node().account(*provider)).stake, before.stake);
}

}  // namespace
}  // namespace cairn::agent
