// The node over HTTP: money moves, what is refused, garbage, events that resume, restart, receipts' addresses.
#include "ledger/node.h"

#include <future>
#include <random>
#include <thread>

#include "devnet.h"
#include "ledger/bench_solo.h"
#include "ledger/node_config.h"

namespace cairn::ledger {
namespace {

class NodeTest : public ::testing::Test {
 protected:
  uint16_t port() { return node_->port(); }
  Answer pay(const std::string& from, const std::string& to, uint64_t nonce, uint64_t amount = 1) {
    return post(port(), "/v1/transactions?wait=1", transfer(genesis_, from, to, nonce, amount));
  }
  AccountView account(const std::string& name) { return record<AccountView>(port(), "/v1/accounts/" + account_named(name).hex()); }

  const attest::Genesis genesis_ = devnet_genesis({"A", "B"});
  Scratch scratch_;
  std::unique_ptr<RunningNode> node_ = std::make_unique<RunningNode>(scratch_.path / "chain", genesis_);
};

TEST_F(NodeTest, ATransferIsInABlockWhenItIsAnswered) {
  const Answer answer = pay("A", "B", 0, 500);
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.at("code"), "ok");
  EXPECT_EQ(answer.at("height"), "1");
  EXPECT_EQ(account("B").balance.pebbles, 1'000'000'500u);
  EXPECT_EQ(account("A").account.nonce, 1u);
  const auto block = record<Block>(port(), "/v1/blocks/1");
  EXPECT_TRUE(attest::check_header(genesis_, block.header));
  EXPECT_TRUE(attest::check_successor(genesis_, genesis_.params, nullptr, block.header.header, genesis_.validators[0].vrf));
  EXPECT_EQ(transaction_id(block.transactions.at(0)).hex(), answer.at("id"));
  const auto supply = record<Supply>(port(), "/v1/supply");
  EXPECT_TRUE(supply.conserved);
  EXPECT_EQ(supply.held.pebbles, 1'002'000'000'000u);
  EXPECT_EQ(encode(record<attest::Genesis>(port(), "/v1/genesis")), encode(genesis_));
  EXPECT_EQ(record<Status>(port(), "/v1/status").name, "devnet-test");
}

TEST_F(NodeTest, RefusalsHaveTheirCode) {
  const attest::Genesis other = devnet_genesis({"A", "B"}, 20, "devnet-other");
  EXPECT_EQ(pay("A", "B", 0).at("code"), "ok");
  Bytes forged = transfer(genesis_, "A", "B", 1);
  forged.back() ^= 1;
  Bytes longer = transfer(genesis_, "A", "B", 1);
  longer.push_back(0);
  struct Row {
    const char* what;
    Bytes bytes;
    const char* code;
    int status;
  };
  const std::vector<Row> rows = {
      {"another chain's", transfer(other, "A", "B", 1), "wrong_chain", 400},
      {"a flipped bit in the signature", forged, "bad_signature", 403},
      {"a byte too many", longer, "malformed", 400},
      {"nothing", {}, "malformed", 400},
      {"far ahead", transfer(genesis_, "A", "B", 1'000'000), "wrong_nonce", 400},
      {"a used nonce", transfer(genesis_, "A", "B", 0, 2), "wrong_nonce", 400},
      {"nobody's account", transfer(genesis_, "Z", "B", 0), "insufficient", 400},
      {"a fee below the least", transfer(genesis_, "A", "B", 1, 1, 1), "fee_too_low", 400},
      {"more than it holds", transfer(genesis_, "A", "B", 1, 2'000'000'000), "insufficient", 200},  // in a block: paid its fee
  };
  for (const auto& row : rows) {
    const Answer answer = post(port(), "/v1/transactions?wait=1", row.bytes);
    EXPECT_EQ(answer.at("code"), row.code) << row.what << ": " << answer.body;
    EXPECT_EQ(answer.status, row.status) << row.what;
  }
  EXPECT_EQ(account("A").account.nonce, 2u);
}

TEST_F(NodeTest, ADuplicateIsSaidToBeOne) {
  const Bytes later = transfer(genesis_, "A", "B", 1);
  EXPECT_EQ(post(port(), "/v1/transactions", later).at("code"), "ok");
  EXPECT_EQ(post(port(), "/v1/transactions", later).at("code"), "already");  // its turn has not come, it waits
  std::thread waiter([&] {
    const Answer answer = post(port(), "/v1/transactions?wait=1", later);
    EXPECT_EQ(answer.at("code"), "ok") << answer.body;
    EXPECT_NE(answer.at("height"), "0");
  });
  const Bytes first = transfer(genesis_, "A", "B", 0);
  EXPECT_EQ(post(port(), "/v1/transactions?wait=1", first).at("code"), "ok");
  waiter.join();
  const Answer again = post(port(), "/v1/transactions", first);
  EXPECT_EQ(again.at("code"), "already");
  EXPECT_NE(again.at("height"), "0");
  EXPECT_EQ(post(port(), "/v1/transactions?wait=1", first).at("code"), "ok");  // who waits wants to know how it ended
  EXPECT_EQ(get(port(), "/v1/transactions/" + transaction_id(first).hex()).at("code"), "ok");
  EXPECT_EQ(account("A").account.nonce, 2u);
}

TEST_F(NodeTest, GarbageIsAnsweredOrDropped) {
  struct Row {
    const char* method;
    const char* path;
    int status;
    const char* code;
  };
  const std::string id(64, '0');
  const std::string job = "/v1/jobs/" + id, account_path = "/v1/accounts/" + id, receipt = "/v1/receipts/" + id;
  const std::vector<Row> rows = {
      {"GET", "/", 404, "not_found"},
      {"GET", "/v1/", 404, "not_found"},
      {"GET", "/v1/status/x", 404, "not_found"},
      {"DELETE", "/v1/status", 405, "usage"},
      {"POST", "/v1/status", 405, "usage"},
      {"GET", "/v1/jobs/xyz", 400, "invalid"},
      {"GET", job.c_str(), 404, "not_found"},
      {"GET", account_path.c_str(), 404, "unknown_account"},
      {"GET", receipt.c_str(), 404, "not_found"},
      {"GET", "/v1/jobs?state=nowhere", 400, "invalid"},
      {"GET", "/v1/jobs?requester=00", 400, "invalid"},
      {"GET", "/v1/blocks/-1", 400, "invalid"},
      {"GET", "/v1/blocks/99999999999999999999", 400, "invalid"},
      {"GET", "/v1/blocks/7", 404, "not_found"},
      {"GET", "/v1/events?from=1e3", 400, "invalid"},
      {"GET", "/v1/events?limit=0", 400, "invalid"},
      {"POST", "/v1/quote", 400, "malformed"},
  };
  for (const auto& row : rows) {
    const Answer answer = http(port(), row.method, row.path);
    EXPECT_EQ(answer.status, row.status) << row.method << " " << row.path << " " << answer.body;
    EXPECT_EQ(answer.at("code"), row.code) << row.path;
    EXPECT_NE(answer.at("next"), "") << row.path;
  }
  std::minstd_rand random(1);
  const Bytes good = transfer(genesis_, "A", "B", 0);
  for (int i = 0; i < 200; i++) {
    Bytes bytes = good;
    for (int flips = 0; flips <= i % 4; flips++) bytes[random() % bytes.size()] ^= static_cast<uint8_t>(1 + random() % 255);
    if (i % 3 == 0) bytes.resize(random() % bytes.size());
    if (bytes == good) continue;
    EXPECT_NE(post(port(), "/v1/transactions?wait=1", bytes).status, 200);
    const int fd = dial(port());  // raw bytes, and a client that leaves
    put_all(fd, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    ::close(fd);
  }
  EXPECT_EQ(pay("A", "B", 0).at("code"), "ok");
}

// Transfers bring no events; offers do.
Bytes offer(const attest::Genesis& genesis, uint64_t nonce) {
  Transaction tx;
  tx.genesis = attest::genesis_hash(genesis);
  tx.sender = account_named("A");
  tx.nonce = nonce;
  tx.expiry = ChainTime{1'000'000'000};
  PostOffer body;
  body.payee = tx.sender;
  body.price = Amount{5};
  body.endpoint = "tcp://127.0.0.1:1";
  body.memory_bytes = 1;
  body.jobs_max = 1;
  body.policies = {attest::Policy::standard};
  body.expiry = ChainTime{100'000'000};
  tx.body = body;
  sign(tx, key_named("A"), genesis.params.fee_per_byte);
  return encode(tx);
}

TEST_F(NodeTest, EventsResumeByNumber) {
  uint64_t nonce = 0;
  const auto post_offer = [&] {
    const Answer answer = post(port(), "/v1/transactions?wait=1", offer(genesis_, nonce++));
    ASSERT_EQ(answer.at("code"), "ok") << answer.body;
  };
  EXPECT_EQ(get(port(), "/v1/events").body, "{\"events\":[],\"next\":1}");
  EXPECT_EQ(get(port(), "/v1/events?from=1&wait_ms=30").body, "{\"events\":[],\"next\":1}");
  std::thread poller([&] {
    const Answer answer = get(port(), "/v1/events?from=1&wait_ms=5000");
    EXPECT_EQ(answer.at("seq"), "1") << answer.body;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  post_offer();
  poller.join();
  for (int i = 0; i < 4; i++) post_offer();
  const auto all = record<std::vector<Event>>(port(), "/v1/events?from=1");
  ASSERT_GE(all.size(), 5u);
  for (size_t i = 0; i < all.size(); i++) EXPECT_EQ(all[i].seq, i + 1);
  EXPECT_EQ(get(port(), "/v1/events?from=2&limit=2").at("next"), "4");

  // A stream that is cut goes on where it was cut, live events included.
  std::vector<uint64_t> seen;
  for (int part = 0; part < 3; part++) {
    const int fd = dial(port());
    put_all(fd, "GET /v1/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n" +
                    (seen.empty() ? "" : "Last-Event-ID: " + std::to_string(seen.back()) + "\r\n") + "\r\n");
    if (part == 2) post_offer();
    std::string text;
    char buffer[4096];
    const size_t wanted = seen.size() + 2;
    while (seen.size() < wanted) {
      const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
      ASSERT_GT(got, 0);
      text.append(buffer, static_cast<size_t>(got));
      for (size_t end; (end = text.find("\n\n")) != std::string::npos; text.erase(0, end + 2))
        if (const size_t at = text.find("id: "); at < end && seen.size() < wanted) seen.push_back(std::stoull(text.substr(at + 4)));
    }
    ::close(fd);
  }
  for (size_t i = 0; i < seen.size(); i++) EXPECT_EQ(seen[i], i + 1);
  EXPECT_EQ(seen.size(), 6u);
}

TEST_F(NodeTest, ARestartGoesOnAtTheSameRoot) {
  for (uint64_t nonce = 0; nonce < 5; nonce++) pay("A", "B", nonce);
  auto before = record<Status>(port(), "/v1/status");
  before.pending = 0;  // what is in a block is answered a moment before the mempool forgets it
  node_.reset();
  node_ = std::make_unique<RunningNode>(scratch_.path / "chain", genesis_);
  const auto after = record<Status>(port(), "/v1/status");
  EXPECT_EQ(encode(before), encode(after));
  EXPECT_EQ(pay("A", "B", 5).at("code"), "ok");
  EXPECT_EQ(number(record<Status>(port(), "/v1/status").height), number(before.height) + 1);
  node_.reset();
  const auto other = Chain::open(scratch_.path / "chain", devnet_genesis({"A", "B"}, 20, "devnet-other"));
  EXPECT_EQ(other.error().code, Code::wrong_chain);
}

TEST_F(NodeTest, ItRestsWithoutWorkAndServesALane) {
  pay("A", "B", 0);
  const auto before = record<Status>(port(), "/v1/status").height;
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_EQ(record<Status>(port(), "/v1/status").height, before);
  // Backwards and all at once: the lane sorts them.
  std::vector<std::thread> waiters;
  for (uint64_t nonce = 20; nonce > 0; nonce--)
    waiters.emplace_back([this, nonce] { EXPECT_EQ(pay("A", "B", nonce).at("code"), "ok"); });
  for (auto& waiter : waiters) waiter.join();
  EXPECT_EQ(account("A").account.nonce, 21u);
}

// The sample is the manual: every setting stands in it, with its default.
TEST(Config, TheSampleShowsEverySetting) {
  const std::string file = "configs/node.yaml";
  const auto tree = must(parse_config(must(read_config_file(file)), file));
  const auto config = must(read_config<NodeConfig>(file));
  const auto shown = [](const auto& value) {
    using T = std::remove_cvref_t<decltype(value)>;
    if constexpr (std::is_same_v<T, std::filesystem::path>) return value.string();
    else return to_json(value);
  };
  std::map<std::string, std::string> defaults;
  NodeConfig fresh;
  for_each_field(fresh, [&](const char* key, const auto& value) { defaults[key] = shown(value); });
  for_each_field(config, [&](const char* key, const auto& value) {
    EXPECT_NE(tree.find(key), nullptr) << key;
    EXPECT_EQ(shown(value), defaults[key]) << key;
  });
  for (const auto& [listen, good] : std::map<std::string, bool>{{"127.0.0.1:0", true}, {"localhost:7700", true}, {"127.0.0.1", false},
                                                                {"0.0.0.0:1", false}, {"127.0.0.1:70000", false}, {"127.0.0.1:1x", false}}) {
    fresh.listen = listen;
    EXPECT_EQ(static_cast<bool>(fresh.http()), good) << listen;
  }
}

TEST(Genesis, FilesAndTheirErrors) {
  const Scratch scratch;
  const auto genesis = devnet_genesis({"A"});
  const auto path = scratch.path / "genesis.json";
  must(save_genesis(path, genesis));
  EXPECT_EQ(encode(must(load_genesis(path))), encode(genesis));
  EXPECT_EQ(save_genesis(path, genesis).error().code, Code::exists);
  EXPECT_EQ(load_genesis(scratch.path / "none").error().code, Code::not_found);
  const PublicKey one = key_named("producer").public_key(), two = key_named("vrf").public_key();
  const AccountId faucet = account_named("faucet");
  const auto code_of = [](const Result<attest::Genesis>& made) { return made ? "ok" : std::string(name(made.error().code)); };
  EXPECT_EQ(code_of(make_devnet_genesis("n", one, two, faucet, Amount{1}, 0)), "ok");
  EXPECT_EQ(code_of(make_devnet_genesis("", one, two, faucet, Amount{1}, 0)), "invalid");
  EXPECT_EQ(code_of(make_devnet_genesis("n", one, one, faucet, Amount{1}, 0)), "invalid");
  EXPECT_EQ(code_of(make_devnet_genesis("n", one, two, faucet, Amount{0}, 0)), "invalid");
  EXPECT_EQ(code_of(make_devnet_genesis("n", one, two, faucet, Amount{1}, 0, {{faucet, Amount{1}}})), "invalid");
  EXPECT_EQ(code_of(make_devnet_genesis("n", one, two, faucet, Amount{1}, 0, {{account_named("A"), Amount{UINT64_MAX}}})), "invalid");
  auto two_producers = genesis;
  two_producers.validators.push_back({account_named("A"), key_named("A").public_key(), key_named("B").public_key(), {}});
  EXPECT_EQ(check_genesis(two_producers).error().code, Code::invalid);
  auto without_votes = genesis;
  without_votes.engine = attest::Engine::comet;
  EXPECT_EQ(check_genesis(without_votes).error().code, Code::invalid);
  without_votes.validators[0].stake = Amount{Amount::kPerCrn};
  EXPECT_TRUE(check_genesis(without_votes));
  auto small = genesis;
  small.params.max_block_bytes = 1000;  // a large transaction would wait for ever
  EXPECT_EQ(check_genesis(small).error().code, Code::invalid);
  const auto key = must(key_at(scratch.path / "keys" / "a.key"));
  EXPECT_EQ(must(key_at(scratch.path / "keys" / "a.key")).public_key(), key.public_key());  // made once
}

// That it measures; how fast, the benchmark says, on a machine that does nothing else.
TEST(Bench, MeasuresTheSoloEngineBesideItsSignatures) {
  const Scratch scratch;
  const auto rates = must(measure_solo(scratch.path / "chain", 4'000));
  std::printf("%.0f tx/s over %.0f verifications/s, %zu blocks, %.2f of the processor time was signatures\n", rates.transactions_per_s,
              rates.verifications_per_s, rates.blocks, rates.verification_share);
  EXPECT_GT(rates.transactions_per_s, 0);
  EXPECT_GT(rates.verification_share, 0);
}

TEST(Genesis, WrongKeysAreRefused) {
  const Scratch scratch;
  const auto genesis = devnet_genesis({"A"});
  const auto chain = must(Chain::open(scratch.path, genesis));
  const SystemClock clock;
  EXPECT_EQ(Solo::start(*chain, key_named("vrf"), key_named("vrf"), clock).error().code, Code::unauthorised);
  EXPECT_EQ(Solo::start(*chain, key_named("producer"), key_named("producer"), clock).error().code, Code::unauthorised);
}

// One block more, of one transfer, by a node on `folder` that lives no longer than that. Error: what it is refused with.
Result<TxResult> one_block(const std::filesystem::path& folder, const std::filesystem::path& mark, const attest::Genesis& genesis, uint64_t nonce,
                           uint64_t amount) {
  TRY_LET(chain, Chain::open(folder, genesis));
  const SystemClock clock;
  SoloConfig config;
  config.mark = mark;
  TRY_LET(solo, Solo::start(*chain, key_named("producer"), key_named("vrf"), clock, config));
  std::promise<Result<TxResult>> answered;
  solo->submit(transfer(genesis, "A", "B", nonce, amount), Solo::Until::committed, [&](const Result<TxResult>& result) { answered.set_value(result); });
  return answered.get_future().get();
}

// Whatever copy of a chain's folder a producer is started with, its key signs no second block of a height that it has shown.
TEST(SigningKey, AnOlderFolderIsRefused) {
  const Scratch scratch;
  const auto genesis = devnet_genesis({"A", "B"});
  const auto extend = [&](const char* folder, uint64_t nonce, uint64_t amount = 1) {
    const auto result = one_block(scratch.path / folder, scratch.path / "mark", genesis, nonce, amount);
    if (result && result->code == 0) return std::string("ok");
    return std::string(name(result ? static_cast<Code>(result->code) : result.error().code));
  };
  const auto copy = [&](const char* from, const char* to) {
    std::filesystem::remove_all(scratch.path / to);
    std::filesystem::copy(scratch.path / from, scratch.path / to, std::filesystem::copy_options::recursive);
  };
  EXPECT_EQ(extend("chain", 0), "ok");
  copy("chain", "two behind");
  EXPECT_EQ(extend("chain", 1), "ok");
  copy("chain", "one behind");
  EXPECT_EQ(extend("chain", 2), "ok");
  EXPECT_EQ(extend("two behind", 1), "already");
  EXPECT_EQ(extend("one behind", 2, 7), "halted");  // it starts: a crash may have come before the block was stored
  EXPECT_EQ(extend("one behind", 2, 7), "halted");
  copy("mark", "mark of three");
  std::filesystem::remove(scratch.path / "mark");
  EXPECT_EQ(extend("one behind", 2, 7), "ok");  // nothing is known of this key any more
  copy("mark of three", "mark");
  EXPECT_EQ(extend("one behind", 3, 7), "already");  // it holds another third block than the key has shown
  EXPECT_EQ(extend("chain", 3), "ok");
  // A mark that lags, as a power cut between the two syncs leaves it, is brought up at the start.
  copy("mark of three", "mark");
  EXPECT_EQ(extend("chain", 4), "ok");
  std::filesystem::remove(scratch.path / "mark");
  EXPECT_EQ(extend("chain", 5), "ok");
  EXPECT_EQ(extend("two behind", 1), "already");
}

}  // namespace
}  // namespace cairn::ledger
