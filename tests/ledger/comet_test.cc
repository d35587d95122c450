// The ABCI side without a CometBFT: framing, order of calls, the server on sockets, and the application fed by hand.
#include <gtest/gtest.h>
#include <sys/un.h>

#include <random>
#include <thread>

#include "devnet.h"
#include "ledger/comet/application.h"
#include "ledger/comet/base64.h"
#include "ledger/comet/diagnosis.h"
#include "ledger/comet/framing.h"
#include "ledger/comet/home.h"
#include "ledger/tx/join_validators.h"
#include "tendermint/abci/types.pb.h"

namespace cairn::ledger::comet {
namespace {

namespace abci = tendermint::abci;

std::string frame(const abci::Request& request) {
  std::string out;
  append_frame(out, request.SerializeAsString());
  return out;
}
abci::Request echo(const std::string& text) {
  abci::Request request;
  request.mutable_echo()->set_message(text);
  return request;
}
abci::Request flush() {
  abci::Request request;
  request.mutable_flush();
  return request;
}

// ---- framing ------------------------------------------------------------------------------------------------------

TEST(Framing, Table) {
  const struct {
    const char* name;
    std::string bytes;
    const char* outcome;  // the messages, or a code
  } rows[] = {
      {"nothing", "", ""},
      {"half a length", "\x80", ""},
      {"an empty message", std::string(1, '\0'), "[]"},
      {"a message", "\3abc", "[abc]"},
      {"most of a message", "\3ab", ""},
      {"two", "\1a\2bc", "[a][bc]"},
      {"two and a half", "\1a\2bc\5d", "[a][bc]"},
      {"a length in two bytes", std::string("\x80\x01", 2) + std::string(128, 'x'), "128"},
      {"a length of another form", std::string("\x81\x00", 2) + "a", "[a]"},
      {"above the bound", "\xff\xff\x03", "limit"},
      {"ten bytes of length", std::string(10, '\xff'), "malformed"},
      {"2^63", std::string(9, '\x80') + "\1", "limit"},
      {"2^64", std::string(9, '\x80') + "\2", "malformed"},
  };
  for (const auto& row : rows) {
    FrameReader reader(1000);
    reader.feed(as_bytes(row.bytes));
    std::string outcome;
    for (;;) {
      const auto next = reader.next();
      if (!next) {
        outcome = name(next.error().code);
        break;
      }
      if (!*next) break;
      outcome += (*next)->size() == 128 ? "128" : "[" + std::string((*next)->begin(), (*next)->end()) + "]";
    }
    EXPECT_EQ(outcome, row.outcome) << row.name;
  }
}

TEST(Framing, AnyCutGivesTheSameMessages) {
  std::mt19937 random(1);
  std::string bytes;
  std::vector<std::string> sent;
  for (int i = 0; i < 300; i++) {
    sent.push_back(std::string(random() % 300, static_cast<char>('a' + i % 26)));
    append_frame(bytes, sent.back());
  }
  for (int round = 0; round < 20; round++) {
    FrameReader reader;
    std::vector<std::string> got;
    for (size_t at = 0; at < bytes.size();) {
      const size_t n = std::min<size_t>(bytes.size() - at, round == 0 ? 1 : 1 + random() % 500);
      reader.feed(as_bytes(std::string_view(bytes).substr(at, n)));
      at += n;
      for (auto next = must(reader.next()); next; next = must(reader.next())) got.emplace_back(next->begin(), next->end());
      reader.compact();
    }
    ASSERT_EQ(got, sent);
  }
}

TEST(Framing, MutationsNeverHarm) {
  std::mt19937 random(2);
  std::string bytes;
  for (int i = 0; i < 20; i++) append_frame(bytes, frame(echo(std::string(random() % 200, 'e'))));
  for (int round = 0; round < 5'000; round++) {
    std::string bad = bytes;
    for (unsigned k = 0; k <= random() % 4; k++) bad[random() % bad.size()] = static_cast<char>(random());
    bad.resize(random() % bad.size());
    FrameReader reader(4'096);
    reader.feed(as_bytes(bad));
    abci::Request request;
    for (auto next = reader.next(); next && *next; next = reader.next())
      static_cast<void>(request.ParseFromArray((*next)->data(), static_cast<int>((*next)->size())));
  }
}

TEST(Base64, Table) {
  for (const auto& [plain, text] : std::map<std::string, std::string>{
           {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}}) {
    EXPECT_EQ(to_base64(as_bytes(plain)), text);
    const auto back = from_base64(text);
    ASSERT_TRUE(back);
    EXPECT_EQ(std::string(back->begin(), back->end()), plain);
  }
  for (const char* bad : {"Z", "Zg=", "Z===", "Zh==", "Zm9", "Zm9v!A==", "===="}) EXPECT_FALSE(from_base64(bad)) << bad;
}

// ---- order of calls -----------------------------------------------------------------------------------------------

TEST(Order, Table) {
  const auto run = [](uint64_t committed, const std::string& calls) {
    Grammar grammar(Height{committed});
    std::string outcome;
    uint64_t height = committed + 1;
    for (const char c : calls) {
      const std::map<char, Call> kCalls{{'I', Call::init_chain}, {'O', Call::offer_snapshot}, {'A', Call::apply_chunk}, {'P', Call::prepare},
                                        {'V', Call::process},    {'F', Call::finalize},       {'C', Call::commit}};
      if (c == '+') {
        height++;
        continue;
      }
      outcome += grammar.check(kCalls.at(c), Height{height}) ? c : '!';
      if (c == 'C') height++;
    }
    return outcome;
  };
  // calls, outcome: the same letter, or ! where it may not come
  EXPECT_EQ(run(0, "IPVFCPVFC"), "IPVFCPVFC");
  EXPECT_EQ(run(0, "IIVFC"), "IIVFC");      // InitChain again, after a crash before block 1
  EXPECT_EQ(run(0, "OAAOA"), "OAAOA");      // state sync
  EXPECT_EQ(run(0, "A"), "!");
  EXPECT_EQ(run(5, "FCFC"), "FCFC");        // recovery
  EXPECT_EQ(run(5, "FFC"), "FFC");          // FinalizeBlock again
  EXPECT_EQ(run(5, "PVVPVFC"), "PVVPVFC");  // rounds
  EXPECT_EQ(run(5, "C"), "!");
  EXPECT_EQ(run(5, "FCC"), "FC!");
  EXPECT_EQ(run(5, "FP"), "F!");
  EXPECT_EQ(run(5, "I"), "!");
  EXPECT_EQ(run(5, "O"), "!");
  EXPECT_EQ(run(5, "+F"), "!");             // a height is left out
  EXPECT_EQ(run(5, "+P+V"), "!!");
}

TEST(Diagnosis, KnownStalls) {
  const std::filesystem::path home = "/tmp/home";
  const auto text = [&](const char* log) { return diagnose(log, home, 40'000).text; };
  EXPECT_NE(text("E[..] error signing proposal err=\"step regression\"").find("last signed"), std::string::npos);
  EXPECT_NE(diagnose("failed signing vote", home, 1).next.find("/tmp/home/data/priv_validator_state.json"), std::string::npos);
  EXPECT_NE(text("E[..] CONSENSUS FAILURE!!! err=...").find("another result"), std::string::npos);
  EXPECT_NE(text("").find("two thirds"), std::string::npos);
  EXPECT_NE(text("").find("40 s"), std::string::npos);
}

// ---- the server ---------------------------------------------------------------------------------------------------

class Client {
 public:
  explicit Client(const std::string& address) {
    if (address.starts_with("unix://")) {
      fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_un to{};
      to.sun_family = AF_UNIX;
      std::strcpy(to.sun_path, address.c_str() + 7);
      EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    } else {
      fd_ = dial(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    }
    timeval limit{60, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  ~Client() { ::close(fd_); }
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }
  // nullopt: the server has closed the connection.
  std::optional<abci::Response> receive() {
    for (;;) {
      const auto next = must(reader_.next());
      if (next) {
        abci::Response response;
        EXPECT_TRUE(response.ParseFromArray(next->data(), static_cast<int>(next->size())));
        return response;
      }
      reader_.compact();
      uint8_t buffer[4096];
      const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
      if (n <= 0) return std::nullopt;
      reader_.feed(ByteSpan(buffer, static_cast<size_t>(n)));
    }
  }
  std::string echoed(const std::string& text) {
    send(frame(echo(text)) + frame(flush()));
    const auto first = receive();
    if (!first || !receive()) return "closed";
    return first->echo().message();
  }

 private:
  int fd_ = -1;
  FrameReader reader_;
};

class ServerTest : public ::testing::TestWithParam<const char*> {
 protected:
  ServerTest() {
    const std::string address = std::string(GetParam()) == "unix" ? "unix://" + (scratch_.path / "app.sock").string() : "tcp://127.0.0.1:0";
    server_ = must(AbciServer::start(address, [](const abci::Request& request, abci::Response& response) {
      if (request.has_query() && request.query().path() == "throw") throw std::runtime_error("thrown");
      response.mutable_query()->set_value(request.query().data());
    }));
  }
  Scratch scratch_;
  std::unique_ptr<AbciServer> server_;
};
INSTANTIATE_TEST_SUITE_P(Both, ServerTest, ::testing::Values("unix", "tcp"));

TEST_P(ServerTest, FragmentsOfOneByte) {
  Client client(server_->address());
  for (const char c : frame(echo("slowly")) + frame(flush())) ASSERT_TRUE(client.send(std::string_view(&c, 1)));
  EXPECT_EQ(client.receive()->echo().message(), "slowly");
  EXPECT_TRUE(client.receive()->has_flush());
}

TEST_P(ServerTest, TenThousandRequestsAreAnsweredInOrder) {
  Client client(server_->address());
  std::thread sender([&] {
    std::string bytes;
    for (int i = 0; i < 10'000; i++) {
      abci::Request request;
      request.mutable_query()->set_data(std::to_string(i));
      bytes += frame(request);
    }
    client.send(bytes + frame(flush()));
  });
  for (int i = 0; i < 10'000; i++) ASSERT_EQ(client.receive()->query().value(), std::to_string(i));
  EXPECT_TRUE(client.receive()->has_flush());
  sender.join();
}

TEST_P(ServerTest, GarbageClosesOneConnectionAlone) {
  Client good(server_->address());
  EXPECT_EQ(good.echoed("before"), "before");
  std::string oversize;
  for (uint64_t size = uint64_t{kMaxMessageBytes} + 1; size > 0; size >>= 7) oversize.push_back(static_cast<char>(size >= 0x80 ? (size & 0x7f) | 0x80 : size));
  for (const std::string& bad : {std::string(12, '\xff'), oversize, std::string("\4\xff\xff\xff\xff"), std::string("\3\x0a\x7f\x01")}) {
    Client client(server_->address());
    client.send(bad);
    EXPECT_FALSE(client.receive());
    EXPECT_EQ(good.echoed("beside"), "beside");
  }
  { Client gone(server_->address()); gone.send("\x50half a message"); }
  EXPECT_EQ(good.echoed("after"), "after");
}

TEST_P(ServerTest, AThrownHandlerIsAnException) {
  Client client(server_->address());
  abci::Request request;
  request.mutable_query()->set_path("throw");
  client.send(frame(request) + frame(flush()));
  EXPECT_EQ(client.receive()->exception().error(), "thrown");
}

TEST(Server, PathsAndPortsThatCannotBe) {
  const auto code = [](const std::string& address) {
    const auto started = AbciServer::start(address, [](const auto&, auto&) {});
    return started ? std::string("ok") : std::string(name(started.error().code));
  };
  EXPECT_EQ(code("unix:///tmp/" + std::string(120, 'x')), "invalid");
  EXPECT_EQ(code("unix:///no/such/folder/app.sock"), "io");
  EXPECT_EQ(code("tcp://0.0.0.0:0"), "invalid");
  EXPECT_EQ(code("http://127.0.0.1:0"), "invalid");
}

// ---- CometBFT's own transcripts -----------------------------------------------------------------------------------

// What CometBFT's kvstore answers, as far as the transcripts of its abci-cli ask.
class KvStore {
 public:
  void handle(const abci::Request& request, abci::Response& response) {
    switch (request.value_case()) {
      case abci::Request::kInfo: response.mutable_info()->set_data("{\"size\":" + std::to_string(size_) + "}"); return;
      case abci::Request::kInitChain: response.mutable_init_chain()->set_app_hash(std::string(8, '\0')); return;
      case abci::Request::kQuery: {
        auto* query = response.mutable_query();
        const auto at = pairs_.find(request.query().data());
        query->set_key(request.query().data());
        query->set_log(at == pairs_.end() ? "does not exist" : "exists");
        if (at != pairs_.end()) query->set_value(at->second);
        return;
      }
      case abci::Request::kCheckTx: {
        auto* check = response.mutable_check_tx();
        if (is_pair(request.check_tx().tx())) check->set_gas_wanted(1);
        else check->set_code(2);
        return;
      }
      case abci::Request::kPrepareProposal:
        response.mutable_prepare_proposal();
        for (const auto& tx : request.prepare_proposal().txs())
          if (is_pair(tx)) response.mutable_prepare_proposal()->add_txs(tx);
        return;
      case abci::Request::kProcessProposal: {
        const auto& txs = request.process_proposal().txs();
        const bool good = std::all_of(txs.begin(), txs.end(), is_pair);
        response.mutable_process_proposal()->set_status(good ? abci::ResponseProcessProposal::ACCEPT : abci::ResponseProcessProposal::REJECT);
        return;
      }
      case abci::Request::kFinalizeBlock: {
        auto* done = response.mutable_finalize_block();
        staged_.clear();
        for (const auto& tx : request.finalize_block().txs()) {
          done->add_tx_results()->set_code(is_pair(tx) ? 0 : 2);
          if (is_pair(tx)) staged_.push_back(tx);
        }
        std::string hash;  // of Go's PutVarint
        for (uint64_t number = (size_ + staged_.size()) << 1; hash.empty() || number > 0; number >>= 7)
          hash.push_back(static_cast<char>(number >= 0x80 ? (number & 0x7f) | 0x80 : number));
        hash.resize(8);
        done->set_app_hash(hash);
        return;
      }
      case abci::Request::kCommit:
        response.mutable_commit();
        for (const auto& tx : staged_) pairs_[tx.substr(0, tx.find('='))] = tx.substr(tx.find('=') + 1);
        size_ += staged_.size();
        staged_.clear();
        return;
      default: FAIL() << "not in the transcripts";
    }
  }

 private:
  static bool is_pair(const std::string& tx) {
    return std::count(tx.begin(), tx.end(), '=') == 1 && tx.front() != '=' && tx.back() != '=' && tx.find(':') == std::string::npos;
  }
  std::map<std::string, std::string> pairs_;
  std::vector<std::string> staged_;
  uint64_t size_ = 0;
};

TEST(Server, TranscriptsOfCometBftsOwnClientAreTheSameByteByByte) {
  const auto bin = std::filesystem::canonical(std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "bin" / "cometbft").parent_path();
  const auto batch = bin.parent_path() / "batch";
  const auto text_of = [](const std::filesystem::path& path) {
    std::ifstream in(path);
    return std::string((std::istreambuf_iterator<char>(in)), {});
  };
  for (const char* name : {"ex1", "ex2"})
    for (const bool tcp : {false, true}) {
      const Scratch scratch;
      KvStore store;
      const auto server = must(AbciServer::start(tcp ? "tcp://127.0.0.1:0" : "unix://" + (scratch.path / "s").string(),
                                                 [&](const auto& request, auto& response) { store.handle(request, response); }));
      const std::string out = scratch.path / "out";
      const std::string command = (bin / "abci-cli").string() + " --address " + server->address() + " --log_level=error --verbose batch < " +
                                  (batch / name).string() + ".abci > " + out + " 2>&1";
      ASSERT_EQ(std::system(command.c_str()), 0);
      EXPECT_EQ(text_of(out), text_of(batch / (std::string(name) + ".abci.out"))) << name << (tcp ? " over tcp" : " over unix");
    }
}

// ---- the application ----------------------------------------------------------------------------------------------

attest::Genesis comet_genesis(unsigned validators, const std::vector<std::string>& actors = {"A", "B", "C"}) {
  std::vector<attest::GenesisValidator> set;
  for (unsigned i = 0; i < validators; i++) {
    const std::string name = "validator " + std::to_string(i);
    set.push_back({account_named(name), key_named(name).public_key(), key_named(name + " vrf").public_key(), Amount::of_pebbles((10 + i) * Amount::kPerCrn)});
  }
  std::vector<attest::GenesisAccount> accounts;
  for (const auto& actor : actors) accounts.push_back({account_named(actor), Amount::of_pebbles(100'000'000'000)});
  for (unsigned i = 0; i < validators; i++) accounts.push_back({account_named("validator " + std::to_string(i)), Amount::of_pebbles(100'000'000)});
  return must(make_comet_genesis("comet-test", set, account_named("faucet"), Amount::of_pebbles(1'000'000), 1'700'000'000'000, accounts));
}

// A CometBFT of one thread: proposes, lets others vote, decides.
class Driver {
 public:
  Driver(const attest::Genesis& genesis, unsigned who)
      : chain_(must(Chain::open(scratch_.path / "chain", genesis))), key_(key_named("validator " + std::to_string(who))),
        application_(*chain_, {key_.public_key(), key_named("validator " + std::to_string(who) + " vrf"), false, {}}) {
    abci::Request request;
    request.mutable_init_chain()->set_chain_id(attest::comet_chain_id(chain_->id()));
    EXPECT_EQ(ask(request).init_chain().app_hash().size(), 32u);
  }

  abci::Response ask(const abci::Request& request) {
    abci::Response response;
    application_.handle(request, response);
    return response;
  }
  uint64_t next() const { return number(chain_->store().head()) + 1; }
  const PublicKey key() const { return key_.public_key(); }
  Chain& chain() { return *chain_; }

  std::vector<std::string> prepare(const std::vector<Bytes>& offered, int64_t max_bytes = 1 << 20) {
    abci::Request request;
    auto* prepare = request.mutable_prepare_proposal();
    fill(*prepare, key());
    prepare->set_max_tx_bytes(max_bytes);
    for (const auto& tx : offered) prepare->add_txs(std::string(tx.begin(), tx.end()));
    const abci::Response response = ask(request);
    return {response.prepare_proposal().txs().begin(), response.prepare_proposal().txs().end()};
  }
  bool process(const std::vector<std::string>& entries, const PublicKey& proposer) {
    abci::Request request;
    auto* process = request.mutable_process_proposal();
    fill(*process, proposer);
    for (const auto& entry : entries) process->add_txs(entry);
    return ask(request).process_proposal().status() == abci::ResponseProcessProposal::ACCEPT;
  }
  using Adjust = std::function<void(abci::RequestFinalizeBlock&)>;
  abci::ResponseFinalizeBlock finalize(const std::vector<std::string>& entries, const PublicKey& proposer, const Adjust& adjust = {}) {
    abci::Request request;
    auto* finalize = request.mutable_finalize_block();
    fill(*finalize, proposer);
    for (const auto& entry : entries) finalize->add_txs(entry);
    if (adjust) adjust(*finalize);
    return ask(request).finalize_block();
  }
  // One block of these transactions: their codes, and "NAME=VOTES" for each change of the set.
  std::string block(const std::vector<Bytes>& transactions, const Adjust& adjust = {}) {
    const auto entries = prepare(transactions);
    EXPECT_EQ(entries.size(), transactions.size() + 1);
    const auto done = finalize(entries, key(), adjust);
    commit();
    std::string out;
    for (int i = 1; i < done.tx_results_size(); i++) {
      const uint32_t code = done.tx_results(i).code();
      out += (out.empty() ? "" : " ") + (code == 0 ? "ok" : std::string(name(static_cast<Code>(code))));
    }
    for (const auto& update : done.validator_updates())
      for (const char* who : {"validator 0", "validator 1", "validator 2"})
        if (PublicKey::from(as_bytes(update.pub_key().ed25519())) == key_named(who).public_key())
          out += std::string(out.empty() ? "" : " ") + who[10] + "=" + std::to_string(update.power());
    return out;
  }
  void commit() {
    abci::Request request;
    request.mutable_commit();
    EXPECT_TRUE(ask(request).has_commit());
  }

 private:
  template <class Part>
  void fill(Part& part, const PublicKey& proposer) const {
    part.set_height(static_cast<int64_t>(next()));
    part.mutable_time()->set_seconds(static_cast<int64_t>(1'700'000'000 + next()));
    const auto address = attest::address_of(proposer);
    part.set_proposer_address(std::string(address.begin(), address.end()));
  }
  Scratch scratch_;
  std::unique_ptr<Chain> chain_;
  SecretKey key_;
  Application application_;
};

TEST(Application, WhatAnHonestProposerMakesIsAcceptedAndFinalizedTwiceAlike) {
  const auto genesis = comet_genesis(2);
  Driver one(genesis, 0), other(genesis, 1);
  std::mt19937 random(3);
  std::map<std::string, uint64_t> nonces;
  for (int round = 0; round < 40; round++) {
    std::vector<Bytes> offered;
    for (unsigned i = 0; i < random() % 12; i++) {
      const std::string from(1, static_cast<char>('A' + random() % 3)), to(1, static_cast<char>('A' + random() % 3));
      Bytes tx = transfer(genesis, from, to, nonces[from] + (random() % 5 == 0), 1 + random() % 100);
      switch (random() % 6) {
        case 0: tx[random() % tx.size()] ^= static_cast<uint8_t>(1 + random() % 255); break;  // anything may be wrong
        case 1: tx.resize(random() % tx.size()); break;
        default: nonces[from]++;
      }
      offered.push_back(tx);
      if (random() % 8 == 0) offered.push_back(tx);  // twice
    }
    Driver& proposer = random() % 2 ? one : other;
    const auto entries = proposer.prepare(offered, static_cast<int64_t>(400 + random() % 3000));
    size_t bytes = 0;
    for (const auto& entry : entries) bytes += entry.size() + 3;
    ASSERT_LE(bytes, 3400u);
    ASSERT_TRUE(one.process(entries, proposer.key()));
    ASSERT_TRUE(other.process(entries, proposer.key()));
    const auto done = one.finalize(entries, proposer.key());
    ASSERT_EQ(done.SerializeAsString(), one.finalize(entries, proposer.key()).SerializeAsString());
    ASSERT_EQ(done.SerializeAsString(), other.finalize(entries, proposer.key()).SerializeAsString());
    ASSERT_EQ(done.tx_results_size(), static_cast<int>(entries.size()));
    EXPECT_EQ(number(one.chain().store().head()) + 1, one.next());  // nothing is written yet
    one.commit();
    other.commit();
    one.chain().read([&](const App& app) {
      for (auto& [name, nonce] : nonces) {
        const auto account = app.state().account(account_named(name));
        nonce = account ? account->nonce : 0;
      }
    });
  }
}

TEST(Application, ByzantineProposalsAreRefused) {
  const auto genesis = comet_genesis(2);
  Driver one(genesis, 0), other(genesis, 1);
  const Bytes first = transfer(genesis, "A", "B", 0), second = transfer(genesis, "A", "B", 1);
  const auto text = [](const Bytes& bytes) { return std::string(bytes.begin(), bytes.end()); };
  const auto honest = one.prepare({first});
  ASSERT_EQ(honest.size(), 2u);
  const auto others = other.prepare({});
  Bytes unsigned_tx = first;
  unsigned_tx.back() ^= 1;
  std::string forged = honest[0];
  forged[40] = static_cast<char>(forged[40] ^ 1);
  const struct {
    const char* what;
    std::vector<std::string> entries;
    bool accepted;
  } rows[] = {
      {"honest", honest, true},
      {"the beacon entry alone", {honest[0]}, true},
      {"two in order", {honest[0], text(first), text(second)}, true},
      {"nothing", {}, false},
      {"no beacon entry", {text(first)}, false},
      {"the beacon entry last", {text(first), honest[0]}, false},
      {"the beacon entry twice", {honest[0], honest[0]}, false},
      {"another validator's beacon entry", {others[0], text(first)}, false},
      {"a forged beacon entry", {forged, text(first)}, false},
      {"a transaction twice", {honest[0], text(first), text(first)}, false},
      {"a nonce ahead", {honest[0], text(second)}, false},
      {"a false signature", {honest[0], text(unsigned_tx)}, false},
      {"no transaction", {honest[0], "x"}, false},
      {"a block too large", {honest[0], std::string(5u << 20, 'x')}, false},
      {"trailing bytes", {honest[0], text(first) + "x"}, false},
  };
  for (const auto& row : rows) EXPECT_EQ(other.process(row.entries, one.key()), row.accepted) << row.what;
}

TEST(Application, CallsOutOfOrderAreFaults) {
  Driver driver(comet_genesis(1), 0);
  abci::Request commit;
  commit.mutable_commit();
  EXPECT_THROW(driver.ask(commit), Fault);
  abci::Request other_chain;
  other_chain.mutable_init_chain()->set_chain_id("cairn-other");
  EXPECT_THROW(driver.ask(other_chain), Fault);
}

TEST(Application, AFinalizedBlockIsProvenAndStoredOnlyOnceItIsCommitted) {
  const auto genesis = comet_genesis(1);
  Driver driver(genesis, 0);
  driver.finalize(driver.prepare({}), driver.key());
  driver.commit();
  abci::Request ask;
  ask.mutable_query()->set_path("prove");
  const Hash key = blake3(key_of(Holder::account(account_named("B")), {}));
  ask.mutable_query()->set_data(std::string(key.v.begin(), key.v.end()));
  const auto proven = [&] {
    const auto out = must(decode<Proven>(as_bytes(driver.ask(ask).query().value())));
    EXPECT_TRUE(out.proof.found && attest::check_present(out.header.state_root, *out.proof.found, out.proof));
    return out;
  };
  const Proven before = proven();
  driver.finalize(driver.prepare({transfer(genesis, "A", "B", 0, 5)}), driver.key());
  EXPECT_EQ(encode(proven()), encode(before));
  EXPECT_EQ(number(driver.chain().store().head()), 1u);
  driver.commit();
  EXPECT_EQ(number(proven().header.height), 2u);
  EXPECT_NE(proven().proof.found->value, before.proof.found->value);
}

// ---- the set ------------------------------------------------------------------------------------------------------

constexpr uint64_t kCrn = Amount::kPerCrn;

Bytes of_validator(const attest::Genesis& genesis, const std::string& who, uint64_t nonce, Body body) {
  Transaction tx;
  tx.genesis = attest::genesis_hash(genesis);
  tx.sender = account_named(who);
  tx.nonce = nonce;
  tx.expiry = ChainTime{UINT64_MAX};
  tx.body = std::move(body);
  sign(tx, key_named(who), genesis.params.fee_per_byte);
  return encode(tx);
}
JoinValidators join(const attest::Genesis& genesis, const std::string& who, const std::string& keys_of, uint64_t crn, const std::string& signer) {
  const PublicKey vrf = key_named(keys_of + " vrf").public_key();
  return {key_named(keys_of).public_key(), vrf,
          sign(key_named(signer), attest::genesis_hash(genesis), SignKind::validator, account_named(who), vrf.span()), Amount::of_pebbles(crn * kCrn)};
}

// A genesis of two validators, in which the account of a third holds 100 CRN.
attest::Genesis open_genesis() {
  auto genesis = comet_genesis(2, {"A", "validator 2"});
  genesis.params.absent_blocks = 3;
  genesis.params.jail_ms = 2'000;
  genesis.params.unbonding_ms = 6'000;
  return genesis;
}

TEST(Set, JoiningTable) {
  const auto genesis = open_genesis();
  Driver driver(genesis, 0);
  uint64_t nonce = 0;
  const auto tries = [&](const Body& body) { return driver.block({of_validator(genesis, "validator 2", nonce++, body)}); };
  const std::string who = "validator 2";
  EXPECT_EQ(tries(join(genesis, who, "validator 0", 5, "validator 0")), "already");         // another's key
  EXPECT_EQ(tries(join(genesis, who, who, 5, "A")), "bad_signature");                       // not shown to be its own
  EXPECT_EQ(tries(join(genesis, who, who, 0, who)), "insufficient");                        // below the least stake
  EXPECT_EQ(tries(join(genesis, who, who, 1'000'000, who)), "insufficient");                // more than it holds
  EXPECT_EQ(tries(ResignValidator{}), "not_found");
  EXPECT_EQ(tries(LeaveJail{}), "not_found");
  EXPECT_EQ(tries(join(genesis, who, who, 5, who)), "ok 2=5");
  EXPECT_EQ(tries(join(genesis, who, who, 3, who)), "ok 2=8");                              // adds to its stake
  EXPECT_EQ(tries(join(genesis, who, "A", 3, "A")), "invalid");                             // other keys
  EXPECT_EQ(tries(LeaveJail{}), "invalid");
  EXPECT_EQ(tries(ResignValidator{}), "ok 2=0");
  EXPECT_EQ(tries(ResignValidator{}), "already");
  EXPECT_EQ(tries(join(genesis, who, who, 5, who)), "already");                             // its stake is not free yet
  for (int i = 0; i < 14; i++) driver.block({});
  EXPECT_EQ(tries(join(genesis, who, who, 5, who)), "ok 2=5");
}

TEST(Set, NobodyIsTheLastToLeave) {
  const auto genesis = open_genesis();
  Driver driver(genesis, 0);
  EXPECT_EQ(driver.block({of_validator(genesis, "validator 1", 0, ResignValidator{})}), "ok 1=0");
  EXPECT_EQ(driver.block({of_validator(genesis, "validator 0", 0, ResignValidator{})}), "invalid");
}

TEST(Set, DoubleSigningBurnsStakeAndEndsVotes) {
  const auto genesis = open_genesis();
  Driver driver(genesis, 0);
  const auto address = attest::address_of(key_named("validator 1").public_key());
  const Driver::Adjust evidence = [&](abci::RequestFinalizeBlock& block) {
    auto* one = block.add_misbehavior();
    one->set_type(abci::DUPLICATE_VOTE);
    one->mutable_validator()->set_address(std::string(address.begin(), address.end()));
    one->set_height(1);
  };
  const auto held = [&](const Holder& holder) { return driver.chain().read([&](const App& app) { return app.state().balance(holder).pebbles; }); };
  const Holder stake = Holder::validator(account_named("validator 1"));
  EXPECT_EQ(held(stake), 11 * kCrn);
  EXPECT_EQ(driver.block({}, evidence), "1=0");
  EXPECT_EQ(held(stake), 11 * kCrn / 2);
  EXPECT_EQ(held(Holder::burned()), 11 * kCrn / 2);
  EXPECT_EQ(driver.block({}, evidence), "");  // once
  EXPECT_EQ(held(stake), 11 * kCrn / 2);
  EXPECT_EQ(driver.block({of_validator(genesis, "validator 1", 0, join(genesis, "validator 1", "validator 1", 5, "validator 1"))}), "unauthorised");
  EXPECT_EQ(driver.block({of_validator(genesis, "validator 1", 1, ResignValidator{})}), "ok");  // the rest comes back
}

TEST(Set, AbsenceIsJailedAndEnds) {
  const auto genesis = open_genesis();
  Driver driver(genesis, 0);
  const auto address = attest::address_of(key_named("validator 1").public_key());
  const Driver::Adjust absent = [&](abci::RequestFinalizeBlock& block) {
    auto* vote = block.mutable_decided_last_commit()->add_votes();
    vote->mutable_validator()->set_address(std::string(address.begin(), address.end()));
    vote->set_block_id_flag(tendermint::types::BLOCK_ID_FLAG_ABSENT);
  };
  EXPECT_EQ(driver.block({}, absent), "");
  EXPECT_EQ(driver.block({}, absent), "");
  EXPECT_EQ(driver.block({}), "");        // it is back: counted anew
  EXPECT_EQ(driver.block({}, absent), "");
  EXPECT_EQ(driver.block({}, absent), "");
  EXPECT_EQ(driver.block({}, absent), "1=0");
  EXPECT_EQ(driver.block({of_validator(genesis, "validator 1", 0, LeaveJail{})}), "wrong_state");
  driver.block({});
  driver.block({});
  EXPECT_EQ(driver.block({of_validator(genesis, "validator 1", 1, LeaveJail{})}), "ok 1=11");
}

// The same blocks under both engines: the same root at every height. The solo chain has the same genesis but for the engine's
// name, so roots are compared of the state alone; here both run from one genesis, one by extend(), one by ABCI.
TEST(Application, BothEnginesWaysGiveTheSameRoots) {
  const auto genesis = comet_genesis(1);
  Driver driver(genesis, 0);
  const Scratch scratch;
  const auto direct = must(Chain::open(scratch.path / "chain", genesis));
  std::mt19937 random(4);
  std::map<std::string, uint64_t> nonces;
  const int blocks = std::getenv("CAIRN_LONG") ? 500 : 25;
  for (int block = 0; block < blocks; block++) {
    std::vector<Bytes> transactions;
    for (int i = 0; i < 20; i++) {
      const std::string from(1, static_cast<char>('A' + random() % 3)), to(1, static_cast<char>('A' + random() % 3));
      const Amount amount{random() % 4 == 0 ? UINT64_MAX : 1 + random() % 100'000};
      const auto kind = random() % 8;
      const Body body = kind == 0   ? Body(Stake{amount})
                        : kind == 1 ? Body(Unstake{amount})
                        : kind == 2 ? Body(Bond{amount, "tcp://" + to})
                        : kind == 3 ? Body(Unbond{amount})
                        : kind == 4 ? Body(Reserve{hash_of("test.content", static_cast<uint32_t>(random() % 50))})
                                    : Body(Transfer{account_named(to), amount});
      transactions.push_back(of_validator(genesis, from, nonces[from]++, body));
    }
    const auto entries = driver.prepare(transactions);
    ASSERT_EQ(entries.size(), 21u);
    const auto done = driver.finalize(entries, driver.key());
    Proposal proposal{Height{driver.next()}, (1'700'000'000 + driver.next()) * 1000, attest::address_of(driver.key()), {}, {}, {}};
    for (const auto& entry : entries) proposal.entries.emplace_back(entry.begin(), entry.end());
    driver.commit();
    const Block extended = direct->extend(proposal, [](const attest::Header& header) { return attest::SignedHeader{header, attest::CometSeal{}}; });
    const auto id = attest::header_id(extended.header.header);
    ASSERT_EQ(done.app_hash(), std::string(id.v.begin(), id.v.end())) << block;
    ASSERT_EQ(encode(extended), encode(*driver.chain().store().block(direct->store().head())));
  }
}

}  // namespace
}  // namespace cairn::ledger::comet
