// What CometBFT and the application say to each other: framing, order of calls, the server on sockets, CometBFT's own transcripts.
#include <gtest/gtest.h>
#include <sys/un.h>

#include <random>
#include <thread>

#include "devnet.h"
#include "ledger/comet/abci_server.h"
#include "ledger/comet/base64.h"
#include "ledger/comet/diagnosis.h"
#include "ledger/comet/framing.h"
#include "ledger/comet/grammar.h"
#include "ledger/comet/rpc.h"
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

// What a stranger may have our CometBFT asked.
TEST(Question, Table) {
  const auto asked = [](const std::string& text) {
    const auto question = question_of(as_bytes(text));
    return question ? *question : std::string(name(question.error().code));
  };
  EXPECT_EQ(asked(R"({"method":"commit","params":{"height":"5"},"id":7,"other":1})"), R"({"id":7,"jsonrpc":"2.0","method":"commit","params":{"height":"5"}})");
  EXPECT_EQ(asked(R"({"method":"validators"})"), R"({"id":0,"jsonrpc":"2.0","method":"validators","params":{}})");
  const std::string deep = R"({"method":"commit","params":)";
  for (const std::string& bad : {std::string(), std::string("[]"), std::string(R"({"method":"broadcast_tx_sync"})"), std::string(R"({"method":["commit"]})"),
                                 deep + std::string(8 << 20, '['), deep + std::string(4 << 20, '[') + std::string(4 << 20, ']') + "}"})
    EXPECT_EQ(asked(bad), "invalid") << bad.substr(0, 60);
}

// Numbers as CometBFT writes them, and as nobody does.
TEST(Answer, Numbers) {
  const auto power = [](const std::string& number) -> std::string {
    const std::string key(43, 'A');
    const auto read = validators_in(R"({"validators":[{"pub_key":{"value":")" + key + R"(="},"voting_power":)" + number + "}]}");
    return read ? std::to_string(read->at(0).votes) : std::string(name(read.error().code));
  };
  EXPECT_EQ(power(R"("18446744073709551615")"), "18446744073709551615");
  EXPECT_EQ(power("5"), "5");
  for (const char* bad : {"4.4e69", "-1", "5.0", "true", "null", "[]", R"("five")", R"("18446744073709551616")"}) EXPECT_EQ(power(bad), "malformed") << bad;
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
  EXPECT_EQ(run(5, "OAFC"), "OAFC");        // state sync, once more after a crash at its end
  EXPECT_EQ(run(5, "FCO"), "FC!");
  EXPECT_EQ(run(5, "+F"), "!");             // a height is left out
  EXPECT_EQ(run(5, "+P+V"), "!!");
}

TEST(Diagnosis, KnownStalls) {
  const auto text = [&](const char* log) { return diagnose_log(log, 40'000).text; };
  EXPECT_NE(text("E[..] error signing proposal err=\"step regression\"").find("last signed"), std::string::npos);
  EXPECT_NE(diagnose_log("failed signing vote", 1).next.find("the file .signed beside its key"), std::string::npos);
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

}  // namespace
}  // namespace cairn::ledger::comet
