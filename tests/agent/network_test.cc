// One network of real processes: node, provider, verifier, workers. The requester is this test.
#include "agent/segment.h"
#include "tests/agent/network.h"

#include <random>

namespace cairn::agent {
namespace {

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
  const PublicKey provider = must(key_of(requester.node(), job.provider, ledger::Scope::provide));
  Caller caller(job.provider_endpoint, provider, transport_keys(requester.key()));
  const auto leaves = fetch_leaves(caller, id, job.commitment->checkpoint_root, job.spec.segments());
  ASSERT_TRUE(leaves) << leaves.error().message();
  const auto state = fetch_state(caller, id, job.spec.steps, leaves->back());
  ASSERT_TRUE(state) << state.error().message();
  EXPECT_EQ(leaves->back(), job.commitment->outputs_root);
  for (const auto& slot : state->ids) ASSERT_TRUE(fetch(caller, slot, 1 << 20, requester.store()));

  // Its requester can run it again, from the provider's checkpoints.
  EXPECT_EQ(run_program((kBin / "cairn-verify").string() + " audit " + id.hex() + " --config " + net.config + " --segment 0 --segment 99"), 0);

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

// What the offer says is read again while the agent runs.
TEST_F(Network, ASettingOfTheOfferIsReadAgain) {
  ASSERT_NO_FATAL_FAILURE(start("", 1, 0));
  NodeClient node(net.node);
  const DevnetMember* provider = net.find("provider-1");
  const auto before = must(node.offers());
  ASSERT_EQ(before.size(), 1u);
  EXPECT_EQ(before[0].klass.numeric, attest::NumericClass::f32);
  std::ofstream(provider->config, std::ios::app) << "numeric: int2\n";
  ASSERT_EQ(::kill(provider->pid, SIGHUP), 0);
  std::vector<ledger::Offer> now = before;
  for (int i = 0; i < 600 && (now.size() != 1 || now[0].id == before[0].id); i++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    now = must(node.offers());
  }
  ASSERT_EQ(now.size(), 1u);
  EXPECT_EQ(now[0].klass.numeric, attest::NumericClass::int2);
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

// What was committed is on no disk any more when the segments are drawn, but for the outputs: nobody but the first segment's verifier
// can check, and that one's word does not pay for the rest. Or the outputs alone are gone: then only that one, who has to hold
// them, cannot say that it checked; and that is not paid either.
TEST_F(Network, AProviderThatLosesCheckpointsOrOutputsIsNotPaid) {
  for (const bool outputs : {false, true}) {
    SCOPED_TRACE(outputs ? "outputs" : "checkpoints");
    const fs::path home = scratch.path / (outputs ? "outputs" : "checkpoints");
    devnet = Devnet(home / "net");
    ASSERT_NO_FATAL_FAILURE(start("", 1, 3));
    Requester requester(net, home / "requester");
    const AccountId provider = *AccountId::from_hex(net.find("provider-1")->account);
    const auto requester_before = must(requester.node().account(account_of(requester.key().public_key())));
    const auto provider_before = must(requester.node().account(provider));
    Assignment wanted = small_job(requester.store(), 300, 60);
    wanted.spec.policy = attest::Policy::all;
    const JobId id = requester.open(wanted);
    auto job = requester.attend(id, [](const ledger::Job& j) { return j.state == JobState::committed; });
    ASSERT_EQ(job.phase, ledger::JobPhase::secret);
    auto parties = must(JobParties::of(requester.node(), job, must(load_stored_key(net.find("requester")->key))));
    const auto last = must(parties.end_of(4));
    const fs::path artefacts = home / "net" / "provider-1" / "artefacts";
    ASSERT_TRUE(fs::exists(artefacts / wanted.spec.plan.hex())) << artefacts;
    for (const auto& entry : fs::directory_iterator(artefacts)) {
      const auto name = entry.path().filename();
      const bool is_output = std::any_of(last.ids.begin(), last.ids.end(), [&](const Hash& one) { return name == one.hex(); });
      if (entry.is_regular_file() && name != wanted.spec.plan.hex() && name != wanted.spec.inputs[0].id.hex() && is_output == outputs)
        fs::remove(entry.path());
    }

    job = requester.attend(id, ended);
    EXPECT_EQ(job.state, JobState::voided) << ledger::name(job.state) << ": " << job.sentence;
    EXPECT_EQ(job.code, Code::undelivered);
    EXPECT_EQ(job.draws.size(), 3u);
    std::map<uint64_t, std::set<AccountId>> undelivered;
    for (const auto& check : job.checks)
      if (check.state == ledger::CheckState::undelivered) undelivered[check.record.draw.segment].insert(check.record.draw.verifier);
    EXPECT_EQ(undelivered.size(), outputs ? 1u : 4u);
    EXPECT_EQ(undelivered.contains(0), outputs);
    EXPECT_EQ(job.checks.size(), 5 + 2 * undelivered.size());
    for (const auto& [segment, verifiers] : undelivered) EXPECT_EQ(verifiers.size(), 3u) << segment;

    EXPECT_EQ(job.paid_provider.pebbles, 0u);
    const uint64_t least = must(requester.node().genesis()).params.verifier_silence;  // more than the stake in so small a job
    EXPECT_EQ(must(requester.node().account(provider)).stake.pebbles, provider_before.stake.pebbles - std::max(job.stake.pebbles, least));
    EXPECT_LE(must(requester.node().account(provider)).balance, provider_before.balance);
    const auto requester_after = must(requester.node().account(account_of(requester.key().public_key())));
    EXPECT_GT(requester_after.balance.pebbles + 200'000u, requester_before.balance.pebbles);  // deposit and fees
    const Bytes receipt = must(requester.node().raw("/v1/receipts/" + id.hex()));
    EXPECT_TRUE(attest::check_receipt(receipt, must(ledger::load_genesis(net.genesis))));
    EXPECT_TRUE(must(requester.node().record<ledger::Supply>("/v1/supply")).conserved);
    static_cast<void>(devnet.stop());
  }
}

// The provider is gone after it was paid: whoever checked the first drawn segment holds the outputs, also after a kill -9.
TEST_F(Network, OutputsOutliveTheirProvider) {
  ASSERT_NO_FATAL_FAILURE(start());
  Requester requester(net, scratch.path / "requester");
  Assignment wanted = small_job(requester.store(), 300, 60);
  const JobId id = requester.open(wanted);
  const auto job = requester.attend(id, ended);
  ASSERT_EQ(job.state, JobState::settled) << ledger::name(job.state) << ": " << job.sentence;
  ASSERT_NO_FATAL_FAILURE(crash({"verifier-1"}));
  ASSERT_NO_FATAL_FAILURE(kill("provider-1"));
  auto parties = must(JobParties::of(requester.node(), job, must(load_stored_key(net.find("requester")->key))));
  const SystemClock clock;
  const uint64_t end_ns = clock.steady_ns() + 60'000'000'000;
  Result<StateIds> outputs = parties.fetch_end(4, requester.store());
  while (!outputs && clock.steady_ns() < end_ns) outputs = parties.fetch_end(4, requester.store());
  ASSERT_TRUE(outputs) << outputs.error().message();
  EXPECT_EQ(attest::state_root(300, outputs->ids), job.commitment->outputs_root);
}

TEST_F(Network, ARequesterThatServesNothingLetsTheMatchLapseWithoutFault) {
  ASSERT_NO_FATAL_FAILURE(start());
  Requester requester(net, scratch.path / "requester");
  Assignment wanted = small_job(requester.store(), 30, 3);
  wanted.spec.accept_ms = 500;
  const JobId id = requester.open(wanted);
  const auto provider = AccountId::from_hex(net.find("provider-1")->account);
  const auto before = must(requester.node().account(*provider));
  const auto job = requester.attend(id, [](const ledger::Job& j) { return j.state == JobState::open && !j.met.empty(); }, false);
  EXPECT_EQ(job.state, JobState::open);
  EXPECT_EQ(must(requester.node().account(*provider)).stake, before.stake);
}

// kill -9 whenever the verifier is next to act, once in each phase and at each of its moves: it goes on from the chain and its
// journal, and the liar is found all the same.
TEST_F(Network, AVerifierKilledInEveryPhaseStillFindsTheLiar) {
  ::setenv("CAIRN_LIE", "137 0 300", 1);
  ASSERT_NO_FATAL_FAILURE(start((kBin / "cairn-cheating-worker").string(), 1));
  ::unsetenv("CAIRN_LIE");
  Requester requester(net, scratch.path / "requester");
  Assignment wanted = small_job(requester.store(), 300, 60);
  wanted.spec.policy = attest::Policy::all;
  const JobId id = requester.open(wanted);
  std::set<std::string> killed;
  const auto moment = [&](const ledger::Job& job) -> std::string {
    if (job.games.empty()) return std::string(name(job.phase));
    const auto dispute = requester.node().record<ledger::Dispute>("/v1/games/" + job.games.front().hex());
    if (!dispute || dispute->game.over() || dispute->game.to_move != attest::Party::challenger) return "";
    return "move " + std::to_string(dispute->game.challenger_moves) + ", " + std::string(name(dispute->game.phase));
  };
  // The verifier runs by slices between two looks, so that no moment passes unseen on a quick machine.
  std::string seen;
  const auto to_kill = [&](const ledger::Job& job) {
    seen = moment(job);
    const bool busy = seen == "verdicts" || seen == "answers" || seen == "reveals" || seen.starts_with("move");
    if (busy && !killed.contains(seen)) return true;
    const pid_t verifier = net.find("verifier-1")->pid;
    ::kill(verifier, SIGCONT);
    std::this_thread::sleep_for(std::chrono::milliseconds(4));
    ::kill(verifier, SIGSTOP);
    return false;
  };
  const auto over = [](const ledger::Job& job) { return job.state == JobState::open && job.tries == 1; };
  ledger::Job job;
  for (int crashes = 0; crashes < 30; crashes++) {
    job = requester.attend(id, [&](const ledger::Job& j) { return over(j) || ended(j) || to_kill(j); });
    if (over(job) || ended(job)) break;
    killed.insert(seen);
    ASSERT_NO_FATAL_FAILURE(crash({"verifier-1"}));
  }
  ::kill(net.find("verifier-1")->pid, SIGCONT);
  EXPECT_TRUE(over(job)) << name(job.state) << ": " << job.sentence;
  EXPECT_TRUE(killed.contains("verdicts"));
  EXPECT_GE(killed.size(), 5u);
  const auto receipt = decode<attest::Receipt>(must(requester.node().raw("/v1/receipts/" + id.hex() + "?try=0")));
  ASSERT_TRUE(receipt);
  EXPECT_EQ(receipt->body.state, attest::Ended::slashed);
  ASSERT_EQ(receipt->body.games.size(), 1u);
  EXPECT_FALSE(receipt->body.games[0].by_clock) << receipt->body.games[0].reason;
  EXPECT_EQ(receipt->body.games[0].challenger.hex(), net.find("verifier-1")->account);
  const auto view = must(requester.node().account(*AccountId::from_hex(net.find("verifier-1")->account)));
  EXPECT_EQ(view.bond, Amount::of_pebbles(1'000'000));
}

// Nobody drew the lie, and the verifier is away: the requester audits its own job, disputes what it finds and plays the game.
TEST_F(Network, AnAuditFindsWhatNobodyDrew) {
  ::setenv("CAIRN_LIE", "137 0 300", 1);
  ASSERT_NO_FATAL_FAILURE(start((kBin / "cairn-cheating-worker").string(), 1));
  ::unsetenv("CAIRN_LIE");
  ASSERT_NO_FATAL_FAILURE(kill("verifier-1"));  // the job waits for its verdict meanwhile
  Requester requester(net, scratch.path / "requester");
  Assignment wanted = small_job(requester.store(), 300, 30);
  const JobId id = requester.open(wanted);
  requester.attend(id, [](const ledger::Job& j) { return j.phase == ledger::JobPhase::verdicts; });
  const std::string audit = (kBin / "cairn-verify").string() + " audit " + id.hex() + " --config " + net.config + " --json";
  EXPECT_EQ(run_program(audit + " --segment 3 --segment 5"), 0);
  EXPECT_EQ(run_program(audit + " --segment 4"), 9);
  EXPECT_EQ(run_program(audit + " --segment 10"), 2);
  EXPECT_EQ(run_program((kBin / "cairn-verify").string() + " economics " + id.hex() + " --node " + net.node + " --json"), 0);
  EXPECT_EQ(run_program(audit + " --challenge"), 9);
  const auto job = must(requester.node().job(id));
  EXPECT_EQ(job.state, JobState::open);
  const auto receipt = decode<attest::Receipt>(must(requester.node().raw("/v1/receipts/" + id.hex() + "?try=0")));
  ASSERT_TRUE(receipt);
  EXPECT_EQ(receipt->body.state, attest::Ended::slashed);
  ASSERT_EQ(receipt->body.games.size(), 1u);
  EXPECT_FALSE(receipt->body.games[0].by_clock);
  EXPECT_EQ(receipt->body.games[0].challenger.hex(), net.find("requester")->account);
}

}  // namespace
}  // namespace cairn::agent
