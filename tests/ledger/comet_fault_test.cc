// Validators that crash, lie, sign twice or come back from the past: real processes. CAIRN_LONG=1 runs every check in full.
#include <gtest/gtest.h>

#include "base/http_client.h"
#include "comet_net.h"

namespace cairn::ledger::comet {
namespace {

using Part = Network::Part;

uint64_t nonce_of(const Network& network, unsigned i, std::string_view who) {
  const auto view = decode<AccountView>(as_bytes(get(network.port(i), "/v1/accounts/" + account_named(who).hex() + "?raw=1").body));
  return view ? view->account.nonce : 0;
}
// Of the chain's holders: whatever they hold as the node at `i` tells it.
Amount held(const Network& network, unsigned i, const Holder& holder) {
  const auto proven = record<attest::ProvenState>(network.port(i), "/v1/state/" + to_hex(key_of(holder, Currency{})));
  return proven.records[0].value ? must(decode<Holding>(*proven.records[0].value)).amount : Amount{};
}

// ---- one validator ------------------------------------------------------------------------------------------------

// Built-in fail points of CometBFT: one at each step between a decision and its end.
TEST(OneValidator, EveryFailPointIsRecoveredFrom) {
  Network network(1);
  network.start_all();
  ASSERT_TRUE(network.reaches(0, 1, 60));
  uint64_t nonce = 0;
  const int last = long_run() ? 9 : 2;
  for (int point = 0; point <= last; point++) {
    ASSERT_EQ(network.pay(0, nonce++).at("code"), "ok");
    const uint64_t before = network.height(0);
    network.kill(0);
    network.start(0, {"FAIL_TEST_INDEX=" + std::to_string(point)});  // dies at it, again and again
    pause_ms(2'000);
    network.kill(0);
    network.start(0);
    ASSERT_TRUE(network.reaches(0, before + 2, 15)) << point;
  }
  EXPECT_EQ(network.pay(0, nonce).at("code"), "ok");
}

// The application ends as by a power cut before and after each call that decides a block or stores it, at the first block and at a
// later one: it recovers, and what was paid was paid once.
TEST(OneValidator, TheApplicationCrashesAtEveryStep) {
  int n = 0;
  for (const char* place : {"finalize_before", "finalize_after", "commit_before", "commit_after"})
    for (const uint64_t height : {uint64_t{1}, uint64_t{5}}) {
      if (!long_run() && n++ % 3 != 0) continue;
      Network network(1);
      network.start(0, {}, {"--crash", place, std::to_string(height)});
      ASSERT_TRUE(network.reaches(0, height + 2, 60)) << place << " " << height;
      ASSERT_TRUE(std::filesystem::exists((network.folder(0) / "chain").string() + ".crashed"));
      ASSERT_EQ(network.pay(0, 0, 7).at("code"), "ok");
      EXPECT_EQ(held(network, 0, Holder::account(account_named("B"))).pebbles, 1'000'000'007u);
      EXPECT_EQ(nonce_of(network, 0, "A"), 1u);
      for (uint64_t h = 1; h <= height + 2; h++) {
        const auto block = network.block(0, h);
        ASSERT_TRUE(block) << h;
        EXPECT_EQ(number(block->header.header.height), h);
      }
    }
}

// kill -9 of CometBFT alone, again and again: no stall but the one that two crashes in a row can make of its log and what it last signed,
// which is recognised, and mended as the node says.
TEST(OneValidator, KillsOfTheEngine) {
  if (!long_run()) GTEST_SKIP() << "CAIRN_LONG=1 runs it";
  Network network(1);
  network.start(0);
  ASSERT_TRUE(network.reaches(0, 2, 60));
  std::mt19937 random(11);
  double slowest = 0;
  int stalls = 0;
  for (int k = 0; k < 100; k++) {
    pause_ms(random() % 500);
    const uint64_t before = network.height(0);
    network.kill(0, Part::engine);
    bool moved = false;
    slowest = std::max(slowest, seconds_of([&] { moved = network.reaches(0, before + 2, 15); }));
    if (moved) continue;
    ASSERT_TRUE(network.says(0, "step regression") || network.says(0, "failed signing vote")) << "an unknown stall after kill " << k;
    stalls++;
    const uint64_t stuck = network.height(0) + 1;
    network.kill(0);
    std::ofstream(network.folder(0) / "producer.key.signed") << "{\"height\":\"" << stuck << "\",\"round\":0,\"step\":0}\n";
    network.start(0);
    ASSERT_TRUE(network.reaches(0, before + 2, 30));
  }
  std::printf("100 kills of one validator's CometBFT: slowest %.1f s, %d known stalls\n", slowest, stalls);
}

// The application comes back as it was some blocks ago: CometBFT hands it the blocks since, and it comes to the same headers.
TEST(OneValidator, AnOldCopyOfTheApplicationCatchesUp) {
  Network network(1);
  network.start(0);
  ASSERT_TRUE(network.reaches(0, 2, 60));
  network.kill(0);
  const auto chain = network.folder(0) / "chain", copy = network.folder(0) / "copy";
  std::filesystem::create_directories(copy);
  for (const auto& entry : std::filesystem::directory_iterator(chain))
    if (entry.path().filename() != "comet") std::filesystem::copy(entry.path(), copy / entry.path().filename(), std::filesystem::copy_options::recursive);
  network.start(0);
  ASSERT_TRUE(becomes([&] { return network.pay(0, 0).at("code") == "ok"; }, 30));
  const uint64_t height = network.height(0);
  const auto header = attest::header_id(network.block(0, height)->header.header);
  network.kill(0);
  for (const auto& entry : std::filesystem::directory_iterator(chain))
    if (entry.path().filename() != "comet") std::filesystem::remove_all(entry.path());
  for (const auto& entry : std::filesystem::directory_iterator(copy)) std::filesystem::rename(entry.path(), chain / entry.path().filename());
  network.start(0);
  ASSERT_TRUE(network.reaches(0, height + 1, 30));
  EXPECT_EQ(attest::header_id(network.block(0, height)->header.header), header);
}

// ---- four validators ----------------------------------------------------------------------------------------------

// One comes to another result: it stops, says why, and the three others go on.
TEST(FourValidators, OneComesToAnotherResult) {
  if (!long_run()) GTEST_SKIP() << "CAIRN_LONG=1 runs it";
  Network network(4);
  for (unsigned i = 0; i < 3; i++) network.start(i);
  network.start(3, {}, {"--wrong", "5"});
  ASSERT_TRUE(network.reaches(0, 12, 120));
  EXPECT_LE(network.height(3), 6u);
  EXPECT_TRUE(becomes([&] { return network.says(3, "CONSENSUS FAILURE"); }, 30));
  EXPECT_TRUE(becomes([&] { return network.says(3, "supervisor.stalled") && network.says(3, "another result"); }, 60));
  EXPECT_EQ(get(network.port(3), "/v1/health").status, 503);
  ASSERT_EQ(network.pay(0, 0).at("code"), "ok");
  const uint64_t height = network.height(0);
  network.kill(3);
  network.expect_same(height);
}

// One proposes what nobody accepts, whenever it is its turn: the others take the next round.
TEST(FourValidators, OneProposesRubbish) {
  if (!long_run()) GTEST_SKIP() << "CAIRN_LONG=1 runs it";
  Network network(4);
  for (unsigned i = 0; i < 3; i++) network.start(i);
  network.start(3, {}, {"--propose-rubbish"});
  ASSERT_TRUE(network.reaches(0, 14, 180));
  const auto liar = attest::address_of(key_named("v3producer").public_key());
  for (uint64_t h = 1; h <= 14; h++) {
    const auto block = network.block(0, h);
    ASSERT_TRUE(block);
    EXPECT_NE(attest::address_of(block->header.header.beacon.producer), liar) << h;
  }
  network.expect_same(14);
}

// Two processes with one validator's keys sign against each other. The evidence comes into a block, the stake is burned once and the
// votes end, and the other three go on.
TEST(FourValidators, ATwinIsSlashedOnce) {
  if (!long_run()) GTEST_SKIP() << "CAIRN_LONG=1 runs it";
  Network network(4, 1);
  network.make_twin(4, 3);
  network.start_all();
  ASSERT_TRUE(network.reaches(0, 2, 120));
  Load load(network);  // so that the two propose different blocks
  const Holder stake = Holder::validator(account_of(key_named("v3producer").public_key()));
  const auto events = [&] {
    const auto all = record<std::vector<Event>>(network.port(0), "/v1/events?from=1&limit=10000");
    return std::count_if(all.begin(), all.end(), [](const Event& e) { return e.kind == "validator.equivocated"; });
  };
  ASSERT_TRUE(becomes([&] { return events() > 0; }, 180)) << "they never signed against each other";
  const Amount left = held(network, 0, stake);
  EXPECT_EQ(left.pebbles, 50 * Amount::kPerCrn);
  const uint64_t then = network.height(0);
  EXPECT_TRUE(network.reaches(0, then + 20, 120));
  load.stop();
  EXPECT_EQ(held(network, 0, stake), left);
  EXPECT_EQ(events(), 1);
  EXPECT_EQ(network.send(0, "v3producer", LeaveJail{}).at("code"), "invalid");
  network.kill(3);
  network.kill(4);
  network.expect_same(then + 20);
}

// A validator's whole folder comes back as it was some blocks ago. What it signed last is not in the folder: it follows, and signs
// nothing again.
TEST(FourValidators, AnOldCopyOfAValidatorNeverSignsTwice) {
  if (!long_run()) GTEST_SKIP() << "CAIRN_LONG=1 runs it";
  Network network(4);
  network.start_all();
  ASSERT_TRUE(network.reaches(3, 4, 90));
  network.kill(3);
  const auto chain = network.folder(3) / "chain", copy = network.folder(3) / "copy";
  for (const char* socket : {"app.sock", "rpc.sock"}) std::filesystem::remove(network.home(3) / socket);  // no copy is made of these
  std::filesystem::copy(chain, copy, std::filesystem::copy_options::recursive);
  network.start(3);
  ASSERT_TRUE(network.reaches(3, network.height(0) + 5, 60));
  // All stop at once, so that the height it signed last is the one that goes on.
  for (unsigned i = 0; i < 4; i++) network.kill(i);
  std::filesystem::remove_all(chain);
  std::filesystem::rename(copy, chain);
  network.start_all();
  ASSERT_TRUE(becomes([&] { return network.height(3) > 0 && network.height(3) + 2 > network.height(0); }, 120));
  const uint64_t height = network.highest();
  ASSERT_TRUE(network.reaches(3, height + 5, 60));
  network.expect_same(height);
  const auto all = record<std::vector<Event>>(network.port(0), "/v1/events?from=1&limit=10000");
  EXPECT_EQ(std::count_if(all.begin(), all.end(), [](const Event& e) { return e.kind == "validator.equivocated"; }), 0);
}

// Minutes under load: blocks keep their interval, memory and disk their bounds.
TEST(FourValidators, Soak) {
  if (!long_run()) GTEST_SKIP() << "CAIRN_LONG=1 runs it, CAIRN_SOAK_SECONDS=600 for so long";
  const char* wanted = std::getenv("CAIRN_SOAK_SECONDS");
  const double seconds = wanted ? std::stod(wanted) : 60;
  constexpr uint64_t kIntervalMs = 500;
  constexpr double kRate = 800;  // transactions a second
  Network network(4, 0, kIntervalMs);
  network.start_all();
  ASSERT_TRUE(network.reaches(0, 2, 90));
  const auto resident_mib = [&](Part part) {
    uint64_t most = 0, pages = 0, resident = 0;
    for (unsigned i = 0; i < 4; i++) {
      std::ifstream("/proc/" + std::to_string(network.pid_of(i, part)) + "/statm") >> pages >> resident;
      most = std::max(most, resident * 4096 >> 20);
    }
    return most;
  };
  const auto disk_mib = [&] {
    uint64_t bytes = 0;
    std::error_code gone;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(network.folder(0), gone))
      if (entry.is_regular_file(gone)) bytes += entry.file_size(gone);
    return bytes >> 20;
  };
  std::atomic<bool> stopping{false};
  std::atomic<uint64_t> sent{0};
  std::thread sender([&] {
    HttpClient client;  // one connection: to open one takes longer than what is asked
    uint64_t nonce = 0;
    const auto start = std::chrono::steady_clock::now();
    while (!stopping) {
      const double now = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      if (static_cast<double>(nonce) > kRate * now) {
        pause_ms(2);
        continue;
      }
      const Bytes payment = network.payment(nonce);
      const auto answer = client.ask({"http" "://127.0.0.1:" + std::to_string(network.port(0)) + "/v1/transactions", {}, ByteSpan(payment)});
      const std::string code = answer ? Answer{200, answer->body}.at("code") : "";
      if (code == "ok" || code == "already") nonce++, sent++;
      else pause_ms(20);
    }
  });
  const uint64_t first = network.height(0);
  std::vector<std::array<uint64_t, 3>> seen;  // of each sixth of the time: MiB of application, engine, disk
  const double took = seconds_of([&] {
    for (int part = 0; part < 6; part++) {
      pause_ms(static_cast<uint64_t>(seconds * 1000 / 6));
      seen.push_back({resident_mib(Part::application), resident_mib(Part::engine), disk_mib()});
    }
  });
  const uint64_t blocks = network.height(0) - first;
  stopping = true;
  sender.join();
  const double interval_ms = 1000 * took / static_cast<double>(std::max<uint64_t>(1, blocks));
  const double rate = static_cast<double>(sent) / took;
  std::printf("%.0f s: %.0f transactions a second, %lu blocks, one in %.0f ms\n", took, rate, static_cast<unsigned long>(blocks), interval_ms);
  for (const auto& [application, engine, disk] : seen)
    std::printf("  application %lu MiB, CometBFT %lu MiB, disk %lu MiB\n", static_cast<unsigned long>(application), static_cast<unsigned long>(engine), static_cast<unsigned long>(disk));
  EXPECT_GT(rate, 0.9 * kRate);
  EXPECT_TRUE(becomes([&] { return nonce_of(network, 0, "A") == sent; }, 60)) << "in blocks: " << nonce_of(network, 0, "A") << " of " << sent;
  EXPECT_LT(interval_ms, 4.0 * kIntervalMs);
  EXPECT_LT(seen.back()[0], 400u);
  EXPECT_LT(seen.back()[1], 1'000u);
  network.expect_same(network.height(0));
}

}  // namespace
}  // namespace cairn::ledger::comet
