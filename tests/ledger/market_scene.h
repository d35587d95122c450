// A market of one provider and two verifiers, and the steps of a job's life in it.
#pragma once

#include <set>

#include "tests/ledger/scene.h"

namespace cairn::ledger {

// A provider P with stake and an offer, verifiers V and W, a requester A.
class Market : public ::testing::Test {
 protected:
  void SetUp() override {
    scene.expect("P", Stake{crn(100)});
    offer = scene.expect("P", scene.offer());
    scene.expect("V", Bond{crn(1), "tcp://v"});
    scene.expect("W", Bond{crn(1), "tcp://w"});
  }

  void TearDown() override {
    const auto checked = scene.check_receipts();
    EXPECT_TRUE(checked) << checked.error().text;
  }

  attest::JobSpec spec(auto change) {
    attest::JobSpec out = scene.spec();
    change(out);
    return out;
  }
  JobId open(const attest::JobSpec& spec) { return scene.expect("A", OpenJob{spec}).as<JobIdTag>(); }
  Job job(const JobId& id) { return scene.state().job(id).value(); }
  JobState state(const JobId& id) { return job(id).state; }
  JobPhase phase(const JobId& id) { return job(id).phase; }
  // Accept and Commit by whoever is matched.
  void run(const JobId& id, const Claim& claim) {
    const std::string provider = scene.name_of(job(id).provider);
    scene.expect(provider, Accept{id});
    scene.expect(provider, Commit{claim.commitment(id)});
  }
  void until(const JobId& id, JobPhase wanted) {
    for (int i = 0; i < 200 && phase(id) != wanted; i++) scene.block({}, 200);
    ASSERT_EQ(name(phase(id)), name(wanted));
  }
  // All drawn verifiers commit `theirs`.
  void commit_verdicts(const JobId& id, const Claim& theirs) {
    until(id, JobPhase::verdicts);
    for (const Check& check : job(id).checks) {
      if (check.state != CheckState::drawn) continue;
      const auto& draw = check.record.draw;
      scene.expect(scene.name_of(draw.verifier),
                   CommitVerdict{id, draw.segment, attest::verdict_hash(hash_named("salt"), draw.verifier, id, draw.segment, theirs.knowledge(draw))});
    }
  }
  void answer(const JobId& id, const Claim& claim) {
    ASSERT_EQ(name(phase(id)), "answers");
    for (const Check& check : job(id).checks)
      if (check.state == CheckState::committed)
        scene.expect(scene.name_of(job(id).provider), AnswerCheck{id, check.record.draw.segment, claim.call_id(check.record.draw), claim.segment(check.record.draw.segment)});
  }
  void reveal(const JobId& id, const Claim& theirs) {
    ASSERT_EQ(name(phase(id)), "reveals");
    for (const Check& check : job(id).checks)
      if (check.state == CheckState::answered)
        scene.expect(scene.name_of(check.record.draw.verifier),
                     RevealVerdict{id, check.record.draw.segment, hash_named("salt"), theirs.knowledge(check.record.draw), std::nullopt});
  }
  void check_all(const JobId& id, const Claim& claim) {
    commit_verdicts(id, claim);
    answer(id, claim);
    reveal(id, claim);
  }
  // Verifiers who said that they were not served.
  size_t signers_of(const JobId& id) {
    std::set<AccountId> who;
    for (const Check& check : job(id).checks)
      if (check.state == CheckState::undelivered) who.insert(check.record.draw.verifier);
    return who.size();
  }
  u128 sum() { return scene.state().supply(); }

  Scene scene;
  TransactionId offer;
};

}  // namespace cairn::ledger
