// Jobs whose checkers their requester names, by real processes: native ones and their judges, private ones and their jury.
#include "agent/segment.h"
#include "tests/cheats/training_job.h"

namespace cairn::cheats {
namespace {

using namespace agent;

std::vector<AccountId> accounts_of(const DevnetState& net, std::initializer_list<const char*> members) {
  std::vector<AccountId> out;
  for (const char* name : members) out.push_back(*AccountId::from_hex(net.find(name)->account));
  std::sort(out.begin(), out.end());
  return out;
}

attest::Receipt receipt_of(Requester& requester, const DevnetState& net, const JobId& id) {
  const auto receipt = must(decode<attest::Receipt>(must(requester.node().raw("/v1/receipts/" + id.hex() + "?try=0"))));
  const auto genesis = must(ledger::load_genesis(net.genesis));
  EXPECT_TRUE(attest::check_receipt(receipt, genesis));
  return receipt;
}

struct Judges : Network {
  ledger::Job run(const char* name, const char* worker) {
    devnet = Devnet(scratch.path / name / "net");
    start(worker ? (kBin / worker).string() : "", 1, 3);
    if (HasFatalFailure()) return {};
    Requester requester(net, scratch.path / name / "requester");
    Assignment wanted = training_job(requester.store());
    wanted.spec.tier = attest::Tier::native;
    wanted.spec.judges = accounts_of(net, {"verifier-1", "verifier-2", "verifier-3"});
    const JobId id = requester.open(wanted);
    const ledger::Job job = requester.attend(id, ended);
    const auto receipt = receipt_of(requester, net, id);
    EXPECT_EQ(receipt.body.spec.tier, attest::Tier::native);
    const auto findings = attest::examine(receipt, must(ledger::load_genesis(net.genesis)));
    EXPECT_TRUE(std::any_of(findings.begin(), findings.end(), [](const auto& f) { return f.what == "tier native"; }));
    const auto provider = must(requester.node().account(job.provider));
    EXPECT_EQ(provider.stake, Amount::of_pebbles(10'000'000)) << "judges never decide about stake";
    audited = run_program((kBin / "cairn-verify").string() + " audit " + id.hex() + " --config " + net.config + " --segment 10 --segment 11 --segment 12");
    return job;
  }
  int audited = -1;
};

TEST_F(Judges, PayForAnHonestNativeRun) {
  const auto job = run("honest", nullptr);
  ASSERT_EQ(job.state, ledger::JobState::settled) << name(job.state) << ": " << job.sentence;
  EXPECT_EQ(job.audit, attest::Audit::judged);
  EXPECT_GT(job.paid_verifiers.pebbles, 0u);
  EXPECT_EQ(job.checks.size(), 3 * kSegments);
  EXPECT_EQ(audited, 0);
}

// From its second half on the run stands still.
TEST_F(Judges, RefuseARunThatStoodStill) {
  ::setenv("CAIRN_LIE", ("truncated_training " + std::to_string(kSegments) + " " + std::to_string(kInterval)).c_str(), 1);
  const auto job = run("lie", "cairn-cheating-worker");
  ::unsetenv("CAIRN_LIE");
  ASSERT_EQ(job.state, ledger::JobState::voided) << name(job.state) << ": " << job.sentence;
  EXPECT_EQ(job.fault, attest::Blame::provider);
  EXPECT_EQ(job.paid_provider.pebbles, 0u);
  EXPECT_EQ(audited, 9);
}

// The job under keyed ids, for one provider and two verifiers.
void make_private(Assignment& job, ArtifactStore& store, const DevnetState& net, const char* provider) {
  job.key = random_hash();
  ArtifactStore keyed = store.keyed(job.key);
  for (auto& input : job.spec.inputs) input.id = must(keyed.put_file(store.path_of(input.id)));
  job.spec.initial_state =
      runtime::root_of(must(runtime::initial_state(job.plan, job.spec.seed, std::vector<ByteSpan>(job.plan.state.size()))), job.key);
  job.spec.viewers = attest::Viewers{accounts_of(net, {provider}), accounts_of(net, {"verifier-1", "verifier-2"}), attest::private_key_hash(*job.key)};
}

struct Jury : Network {};

TEST_F(Jury, APrivateJobIsSeenByThoseItNamesAndNamesNothingPublic) {
  ASSERT_NO_FATAL_FAILURE(start("", 2, 3));
  Requester requester(net, scratch.path / "requester");
  Assignment wanted = training_job(requester.store());
  const auto plain = wanted.spec;
  make_private(wanted, requester.store(), net, "provider-2");
  for (size_t i = 0; i < plain.inputs.size(); i++) EXPECT_NE(wanted.spec.inputs[i].id, plain.inputs[i].id);
  EXPECT_NE(wanted.spec.initial_state, plain.initial_state);
  const JobId id = requester.open(wanted);
  const auto job = requester.attend(id, ended);
  ASSERT_EQ(job.state, ledger::JobState::settled) << name(job.state) << ": " << job.sentence;
  EXPECT_EQ(job.audit, attest::Audit::as_ordered);
  EXPECT_EQ(job.provider.hex(), net.find("provider-2")->account) << "the cheaper one is not named";
  EXPECT_EQ(job.checks.size(), 2 * kSegments);
  EXPECT_FALSE(job.key) << "nobody consented to anything";
  for (const auto& check : job.checks) EXPECT_NE(check.record.draw.verifier.hex(), net.find("verifier-3")->account);
  const auto findings = attest::examine(receipt_of(requester, net, id), must(ledger::load_genesis(net.genesis)));
  EXPECT_TRUE(std::any_of(findings.begin(), findings.end(), [](const auto& f) { return f.what == "private"; }));

  // The result, from the provider or a juror, under its keyed ids.
  auto parties = must(JobParties::of(requester.node(), job, must(load_stored_key(net.find("requester")->key))));
  EXPECT_EQ(must(parties.key()), wanted.key);
  const auto end = must(parties.fetch_end(kSegments - 1, requester.store()));
  EXPECT_EQ(attest::state_root(wanted.spec.steps, end.ids), job.commitment->outputs_root);
}

TEST_F(Jury, ThatAgreesAgainstALiarSlashesItWithoutAnOpening) {
  ::setenv("CAIRN_LIE", ("truncated_training " + std::to_string(kSegments) + " " + std::to_string(kInterval)).c_str(), 1);
  ASSERT_NO_FATAL_FAILURE(start((kBin / "cairn-cheating-worker").string(), 1, 2));
  ::unsetenv("CAIRN_LIE");
  Requester requester(net, scratch.path / "requester");
  Assignment wanted = training_job(requester.store());
  make_private(wanted, requester.store(), net, "provider-1");
  const JobId id = requester.open(wanted);
  const auto job = requester.attend(id, [](const ledger::Job& j) { return ended(j) || (j.state == ledger::JobState::open && j.tries == 1); });
  ASSERT_EQ(job.state, ledger::JobState::open) << name(job.state) << ": " << job.sentence;
  const auto receipt = receipt_of(requester, net, id);
  EXPECT_EQ(receipt.body.state, attest::Ended::slashed);
  EXPECT_EQ(receipt.body.fault, attest::Blame::provider);
  EXPECT_TRUE(receipt.body.games.empty()) << "nothing was opened";
}

// The requester consents beforehand: then the same lie is a game, over keyed ids, to the last number.
TEST_F(Jury, ConsentMakesItAGame) {
  ::setenv("CAIRN_LIE", ("one_optimizer_bit " + std::to_string(kSegments) + " " + std::to_string(kInterval)).c_str(), 1);
  ASSERT_NO_FATAL_FAILURE(start((kBin / "cairn-cheating-worker").string(), 1, 2));
  ::unsetenv("CAIRN_LIE");
  Requester requester(net, scratch.path / "requester");
  Assignment wanted = training_job(requester.store());
  make_private(wanted, requester.store(), net, "provider-1");
  const JobId id = requester.open(wanted);
  auto job = requester.attend(id, [](const ledger::Job& j) { return j.state == ledger::JobState::committed; });
  requester.send(ledger::Consent{id, *wanted.key});
  job = requester.attend(id, [](const ledger::Job& j) { return ended(j) || (j.state == ledger::JobState::open && j.tries == 1); });
  ASSERT_EQ(job.state, ledger::JobState::open) << name(job.state) << ": " << job.sentence;
  const auto receipt = receipt_of(requester, net, id);
  EXPECT_EQ(receipt.body.state, attest::Ended::slashed);
  ASSERT_FALSE(receipt.body.games.empty());
  EXPECT_EQ(receipt.body.games.back().winner, attest::Party::challenger) << receipt.body.games.back().reason;
  EXPECT_FALSE(receipt.body.games.back().by_clock);
}

}  // namespace
}  // namespace cairn::cheats
