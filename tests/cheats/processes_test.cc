// Lies of the corpus told by real processes: a provider with a cheating worker, found by an honest verifier under policy `all`.
//
//   processes_test --all      every row of the corpus: scripts/cheats; a sample in an ordinary run
#include "tests/cheats/training_job.h"

namespace cairn::cheats {
namespace {

using namespace agent;

bool all = false;

struct Processes : Network {};

TEST_F(Processes, AnHonestProviderIsPaid) {
  ASSERT_NO_FATAL_FAILURE(start());
  Requester requester(net, scratch.path / "requester");
  Assignment wanted = training_job(requester.store());
  const auto job = requester.attend(requester.open(wanted), ended);
  EXPECT_EQ(job.state, ledger::JobState::settled) << job.sentence;
  EXPECT_EQ(job.audit, attest::Audit::as_ordered);
}

// No liar but a broken machine, whose products check themselves: what flipped once is computed anew; a machine that goes on so commits
// to nothing, leaves the book and pays for the deadline alone.
TEST_F(Processes, ABrokenMachineDoesNotCommit) {
  for (const uint64_t times : {1, 1000}) {
    const fs::path folder = scratch.path / std::to_string(times);
    fs::create_directories(folder);
    devnet = Devnet(folder / "net");
    ::setenv("CAIRN_LIE", ("broken " + std::to_string(times) + " " + (folder / "count").string()).c_str(), 1);
    ASSERT_NO_FATAL_FAILURE(start((kBin / "cairn-cheating-worker").string()));
    ::unsetenv("CAIRN_LIE");
    {
      Requester requester(net, folder / "requester");
      Assignment wanted = training_job(requester.store(), "matmul.int2.v1", 20);  // so small that one product in some hundred steps is checked
      if (times > 1) wanted.spec.run_ms = 15'000;
      const JobId id = requester.open(wanted);
      const auto job = requester.attend(id, [](const ledger::Job& j) { return ended(j) || (j.state == ledger::JobState::open && j.tries == 1); });
      const auto count = must(read_file(folder / "count", 100));
      if (times == 1) {
        EXPECT_EQ(std::string(count.begin(), count.end()), "1");
        EXPECT_EQ(job.state, ledger::JobState::settled) << job.sentence;
        EXPECT_EQ(job.audit, attest::Audit::as_ordered);
      } else {
        EXPECT_EQ(std::string(count.begin(), count.end()), "2") << "runs that were found wrong";
        EXPECT_EQ(job.state, ledger::JobState::open) << job.sentence;
        const auto receipt = decode<attest::Receipt>(must(requester.node().raw("/v1/receipts/" + id.hex() + "?try=0")));
        ASSERT_TRUE(receipt);
        EXPECT_EQ(receipt->body.state, attest::Ended::lapsed) << receipt->body.sentence;
        for (const auto& offer : must(requester.node().offers())) EXPECT_NE(offer.owner.hex(), net.find("provider-1")->account);
      }
    }
    static_cast<void>(devnet.stop());
  }
}

TEST_F(Processes, EveryLiarIsNamed) {
  for (const Cheat& lie : corpus(kSegments, kInterval)) {
    const bool sample = lie.name == "one_bit" || lie.name == "truncated_training" || lie.name == "copied_commitment";
    if (!all && !sample) continue;
    SCOPED_TRACE(std::string(lie.name));
    devnet = Devnet(scratch.path / std::string(lie.name) / "net");
    ::setenv("CAIRN_LIE", (std::string(lie.name) + " " + std::to_string(kSegments) + " " + std::to_string(kInterval)).c_str(), 1);
    ASSERT_NO_FATAL_FAILURE(start((kBin / "cairn-cheating-worker").string()));
    ::unsetenv("CAIRN_LIE");
    {
      Requester requester(net, scratch.path / std::string(lie.name) / "requester");
      Assignment wanted = training_job(requester.store());
      const JobId id = requester.open(wanted);
      const SystemClock clock;
      const uint64_t began_ns = clock.steady_ns();
      const auto job = requester.attend(id, [](const ledger::Job& j) { return ended(j) || (j.state == ledger::JobState::open && j.tries == 1); });
      ASSERT_EQ(job.state, ledger::JobState::open) << name(job.state) << ": " << job.sentence;
      const auto receipt = decode<attest::Receipt>(must(requester.node().raw("/v1/receipts/" + id.hex() + "?try=0")));
      ASSERT_TRUE(receipt);
      EXPECT_TRUE(attest::check_receipt(*receipt, must(ledger::load_genesis(net.genesis))));
      EXPECT_EQ(receipt->body.state, attest::Ended::slashed);
      EXPECT_EQ(receipt->body.fault, attest::Blame::provider);
      EXPECT_EQ(receipt->body.provider.hex(), net.find("provider-1")->account);
      for (const auto& game : receipt->body.games) EXPECT_EQ(game.winner, attest::Party::challenger) << game.reason;
      std::printf("%-26s slashed after %4.1f s: %s %s\n", std::string(lie.name).c_str(), double(clock.steady_ns() - began_ns) / 1e9, receipt->body.sentence.c_str(),
                  receipt->body.games.empty() ? "" : ("(" + receipt->body.games.back().reason + ")").c_str());
      std::fflush(stdout);
      const auto verifier = must(requester.node().account(*AccountId::from_hex(net.find("verifier-1")->account)));
      EXPECT_EQ(verifier.bond, Amount::of_pebbles(1'000'000)) << "an honest verifier loses nothing";
    }
    static_cast<void>(devnet.stop());
  }
}

}  // namespace
}  // namespace cairn::cheats

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; i++) cairn::cheats::all |= std::string(argv[i]) == "--all";
  return RUN_ALL_TESTS();
}
