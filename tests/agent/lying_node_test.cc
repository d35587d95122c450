// A node that lies about the state: a real server that asks an honest node and changes its answers. Each lie is refused with its
// code, and what is true is believed.
#include <gtest/gtest.h>

#include "agent/node_client.h"
#include "base/file.h"
#include "tests/ledger/devnet.h"

namespace cairn::agent {
namespace {

using attest::ProvenState;
using ledger::account_named;
using ledger::key_named;
using ledger::Holder;

Bytes balance_key(const std::string& name) { return ledger::key_of(Holder::account(account_named(name)), {}); }

// Hands on what it is asked, unless the answer is a state: that goes through `lie`.
class Liar {
 public:
  using Lie = std::function<void(ProvenState&, const std::string& path)>;
  explicit Liar(uint16_t honest)
      : honest_(honest), server_(must(HttpServer::start({}, [this](const HttpRequest& request, std::shared_ptr<HttpReply> reply) {
          const uint16_t port = request.path == "/v1/genesis" && genesis_from ? genesis_from : honest_;
          if (request.method == "POST") {
            if (passes_on) ledger::post(honest_, request.path + "?wait=1", Bytes(request.body.begin(), request.body.end()));
            return reply->send({400, "application/json", R"({"code":")" + refuses_by + R"(","text":"no","next":"again"})"});
          }
          const auto answer = ledger::get(port, request.path + "?raw=1");
          std::string body = answer.body;
          if (answer.status == 200 && request.path.starts_with("/v1/state/")) {
            if (!replay.empty()) body = replay;
            last = body;
            if (lie) {
              auto state = must(decode<ProvenState>(as_bytes(body)));
              lie(state, request.path);
              const Bytes bytes = encode(state);
              body.assign(bytes.begin(), bytes.end());
            }
            body += trailing;
          }
          if (request.path == "/v1/status") {
            auto status = must(decode<ledger::Status>(as_bytes(body)));
            status.time = after(status.time, ahead_ms);
            status.rules += rules_ahead;
            const Bytes bytes = encode(status);
            body.assign(bytes.begin(), bytes.end());
          }
          reply->send({answer.status, "application/octet-stream", body});
        }))) {}
  std::string address() const { return "http://127.0.0.1:" + std::to_string(server_->port()); }

  Lie lie;
  uint16_t genesis_from = 0;
  uint64_t ahead_ms = 0;  // of its status
  uint32_t rules_ahead = 0;
  std::string replay, trailing;
  std::string refuses_by = "fee_too_low";  // every transaction
  bool passes_on = false;                  // and yet hands it on
  std::string last;  // honest answer

 private:
  const uint16_t honest_;
  std::unique_ptr<HttpServer> server_;
};

class LyingNode : public testing::Test {
 protected:
  Scratch scratch;
  const attest::Genesis genesis = ledger::devnet_genesis({"A", "B"});
  ledger::RunningNode honest{scratch.path / "chain", genesis};
  const uint16_t port_ = honest.port();
  Liar liar{honest.port()};
  NodeClient client{liar.address(), scratch.path / "user"};
  uint64_t nonce = 0;

  void SetUp() override { pay(); }
  void pay() {
    ASSERT_EQ(ledger::post(honest.port(), "/v1/transactions?wait=1", ledger::transfer(genesis, "A", "B", nonce++, 1'000)).status, 200);
  }
  template <class T>
  static Code code_of(const Result<T>& result) { return result ? Code{} : result.error().code; }
  // What the client makes of A's account while the node lies so.
  Code told(const Liar::Lie& lie) {
    liar.lie = lie;
    const Code code = code_of(client.account(account_named("A")));
    liar.lie = nullptr;
    EXPECT_TRUE(client.account(account_named("A"))) << "an honest answer is believed again";
    return code;
  }
  // The honest answer of another key than was asked.
  ProvenState of(const Bytes& key) const { return ledger::record<ProvenState>(port_, "/v1/state/" + to_hex(key)); }
};

TEST_F(LyingNode, TheTruthIsBelieved) {
  const auto view = must(client.account(account_named("B")));
  EXPECT_EQ(view.balance.pebbles, 1'000'001'000u);
  EXPECT_EQ(must(client.account(account_named("A"))).account.nonce, 1u);
  EXPECT_EQ(code_of(client.account(account_named("nobody"))), Code::unknown_account);
  EXPECT_EQ(code_of(client.job(JobId{})), Code::not_found);
  EXPECT_TRUE(must(client.offers()).empty());
}

TEST_F(LyingNode, EveryLieIsRefusedWithItsCode) {
  must(client.account(account_named("A")));
  const auto path_of = [&](const std::string& name) { return of(balance_key(name)).records[0]; };
  // A's account record comes first in the answer, then its balance.
  EXPECT_EQ(told([](ProvenState& s, auto&) { s.records[1].value->back() ^= 1; }), Code::proof) << "a forged value";
  EXPECT_EQ(told([](ProvenState& s, auto&) {
              s.records[1].value->back() ^= 1;
              s.records[1].path.found->value = blake3(*s.records[1].value);
            }),
            Code::proof) << "a forged value with its own leaf";
  EXPECT_EQ(told([](ProvenState& s, auto&) { s.records[1].value.reset(); }), Code::proof) << "absence by a path that shows it present";
  EXPECT_EQ(told([&](ProvenState& s, auto&) { s.records[1] = {std::nullopt, path_of("nobody").path}; }), Code::proof) << "absence by another key's path";
  EXPECT_EQ(told([&](ProvenState& s, auto&) { s.records[1] = path_of("B"); }), Code::proof) << "another key's record";
  EXPECT_EQ(told([](ProvenState& s, auto&) { std::swap(s.records[0], s.records[1]); }), Code::proof) << "in another order";
  EXPECT_EQ(told([](ProvenState& s, auto&) { s.records.pop_back(); }), Code::proof) << "fewer than asked";
  EXPECT_EQ(told([](ProvenState& s, auto&) { s.records[1].path.steps.pop_back(); }), Code::proof) << "a path cut short";
  EXPECT_EQ(told([](ProvenState& s, auto&) { s.header.header.state_root.v[0] ^= 1; }), Code::bad_signature) << "a root of its own";
  EXPECT_EQ(told([](ProvenState& s, auto&) { s.header = attest::sign_header(key_named("A"), s.header.header); }), Code::bad_signature)
      << "signed by somebody else";
  EXPECT_EQ(told([](ProvenState& s, auto&) {
              s.header.header.state_root.v[0] ^= 1;
              s.header = attest::sign_header(key_named("producer"), s.header.header);
            }),
            Code::proof) << "the producer signed twice";
  liar.trailing = "x";
  EXPECT_EQ(code_of(client.account(account_named("A"))), Code::malformed);
}

TEST_F(LyingNode, WhatHasPassedIsRefused) {
  const AccountId a = account_named("A");
  must(client.account(a));
  const std::string before = liar.last;
  pay();
  EXPECT_EQ(must(client.account(a)).account.nonce, 2u);
  liar.replay = before;
  EXPECT_EQ(code_of(client.account(a)), Code::too_old);
}

TEST_F(LyingNode, WhatWasSeenIsRememberedOverRuns) {
  const AccountId a = account_named("A");
  std::string before;
  {
    NodeClient once(liar.address(), scratch.path / "again");
    must(once.account(a));
    before = liar.last;
    pay();
    must(once.account(a));
  }
  liar.replay = before;
  NodeClient again(liar.address(), scratch.path / "again");
  EXPECT_EQ(code_of(again.account(a)), Code::too_old);
}

// Whatever stands where an error's words should.
TEST_F(LyingNode, RefusalsOfAnyShapeAreRead) {
  const std::string deep = std::string(4 << 20, '[') + std::string(4 << 20, ']');
  const struct {
    std::string body;
    Code code;
    const char* text;
  } rows[] = {
      {R"({"code":"limit","text":"later","next":"wait"})", Code::limit, "later"},
      {R"({"code":"limit","text":5})", Code::limit, "5"},
      {R"({"code":"limit","text":{"a":["b"]}})", Code::limit, ""},
      {R"({"code":"limit","text":)" + deep + "}", Code::limit, ""},
      {R"({"code":)" + deep + R"(,"text":"x"})", Code::internal, "x"},
  };
  for (const auto& row : rows) {
    const auto server = must(HttpServer::start({}, [&](const HttpRequest&, std::shared_ptr<HttpReply> reply) { reply->send({400, "application/json", row.body}); }));
    const auto answer = NodeClient("http://127.0.0.1:" + std::to_string(server->port())).status();
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, row.code) << row.body.substr(0, 60);
    EXPECT_EQ(answer.error().text, row.text) << row.body.substr(0, 60);
  }
}

// As a daemon's clients do: whoever saw the most is what the next run begins with, and who has been idle goes on from there.
TEST_F(LyingNode, ClientsOfOneFolderShareTheirMemory) {
  const AccountId a = account_named("A");
  const auto folder = scratch.path / "shared";
  const auto remembered = [&] { return must(read_file(folder / "chain.seen", 1 << 20)); };
  auto early = std::make_unique<NodeClient>(liar.address(), folder);
  must(early->account(a));
  const Bytes first = remembered();  // at once: nobody knows when kill -9 comes
  const std::string before = liar.last;
  pay();
  { NodeClient late(liar.address(), folder); must(late.account(a)); }
  const Bytes last = remembered();
  EXPECT_NE(last, first);
  early.reset();
  EXPECT_EQ(remembered(), last);
  liar.replay = before;
  NodeClient again(liar.address(), folder);
  EXPECT_EQ(code_of(again.account(a)), Code::too_old);
}

// A node must not be able to keep a transaction for centuries.
TEST_F(LyingNode, WhatIsSignedExpiresByTheProvenTime) {
  const SecretKey key = key_named("A");
  const uint64_t proven_ms = ms(must(client.time()));
  liar.ahead_ms = 1'000'000'000'000;
  liar.rules_ahead = 7;
  EXPECT_GE(ms(must(client.status()).time), liar.ahead_ms);
  const auto sender = Sender::make(client, StoredKey{key, account_named("A")});
  ASSERT_TRUE(sender) << sender.error().message();
  const auto prepared = must(sender->prepared());
  EXPECT_GE(ms(prepared.expiry), proven_ms);
  EXPECT_LT(ms(prepared.expiry), proven_ms + 600'000);
  EXPECT_EQ(prepared.nonce, 1u);
}

// A node that asks for more than the rules do gets nothing; an upgrade does, from whoever signed before it.
TEST_F(LyingNode, AFeeRisesWithTheProvenRulesAlone) {
  auto governed = genesis;
  governed.governor = account_named("A");
  governed.params.upgrade_notice_blocks = 1;
  ledger::RunningNode node(scratch.path / "governed", governed);
  NodeClient direct("http://127.0.0.1:" + std::to_string(node.port()), scratch.path / "governed-user");
  auto sender = must(Sender::make(direct, StoredKey{key_named("A"), account_named("A")}));
  const ledger::Transfer one{account_named("B"), {1}};
  Liar asks_for_more(node.port());
  NodeClient fooled(asks_for_more.address(), scratch.path / "fooled");
  EXPECT_EQ(code_of(must(Sender::make(fooled, StoredKey{key_named("B"), account_named("B")})).send(one)), Code::fee_too_low);

  auto params = governed.params;
  params.fee_per_byte *= 2;
  const Height from{number(must(sender.send(one)).height) + 3};
  must(sender.send(ledger::Upgrade{from, attest::kProtocol, params}));
  for (int n = 0; n < 5; n++) {
    const auto sent = n % 2 ? sender.send_all({one, one}) : Result<>();
    EXPECT_TRUE(sent) << sent.error().message();
    const auto done = sender.send(one);
    ASSERT_TRUE(done) << done.error().message();
  }
  EXPECT_EQ(must(direct.rules_in_force()).params.fee_per_byte, params.fee_per_byte);
}

// What is refused, and done all the same, is not done twice.
TEST_F(LyingNode, WhatWasRefusedIsDoneOnceAtMost) {
  auto sender = must(Sender::make(client, StoredKey{key_named("B"), account_named("B")}));
  liar.passes_on = true;
  liar.refuses_by = "wrong_nonce";
  const Amount before = must(client.account(account_named("A"))).balance;
  EXPECT_EQ(code_of(sender.send(ledger::Transfer{account_named("A"), {7}})), Code::wrong_nonce);
  EXPECT_EQ(must(client.account(account_named("A"))).balance.pebbles, before.pebbles + 7);
  EXPECT_EQ(code_of(sender.send(ledger::Stake{{5}})), Code::wrong_nonce);
  EXPECT_EQ(must(client.account(account_named("B"))).stake.pebbles, 5u);
  EXPECT_EQ(code_of(sender.send(ledger::Bond{{2'000'000}, "tcp://b"})), Code::wrong_nonce);
  EXPECT_EQ(must(client.account(account_named("B"))).bond.pebbles, 2'000'000u);
}

TEST_F(LyingNode, AnotherChainIsRefused) {
  must(client.account(account_named("A")));
  const auto other_genesis = ledger::devnet_genesis({"A", "B"}, 20, "devnet-other");
  ledger::RunningNode other(scratch.path / "other", other_genesis);
  ASSERT_EQ(ledger::post(other.port(), "/v1/transactions?wait=1", ledger::transfer(other_genesis, "A", "B", 0, 1'000)).status, 200);
  Liar elsewhere(other.port());
  elsewhere.genesis_from = honest.port();  // says that it is ours, and answers with the other's state
  NodeClient fooled(elsewhere.address());
  EXPECT_EQ(code_of(fooled.account(account_named("A"))), Code::wrong_chain);

  { NodeClient remembers(liar.address(), scratch.path / "user2"); must(remembers.account(account_named("A"))); }
  elsewhere.genesis_from = 0;
  NodeClient same_user(elsewhere.address(), scratch.path / "user2");
  EXPECT_EQ(code_of(same_user.account(account_named("A"))), Code::wrong_chain);
}

}  // namespace
}  // namespace cairn::agent
