// A node's HTTP interface under hostile input, over real sockets: requests made from the OpenAPI document with everything about
// them wrong in turn, and bytes that are no requests. Whatever comes, the node answers an honest client afterwards, and every
// answer is a status line with a JSON error or a result.
//
//   http_fuzz_test                          the corpus in tests/ledger/http_corpus, and a few seconds of new ones
//   http_fuzz_test --seconds 600 [--seed N] [--keep FOLDER]      a long run; what stopped the node is kept there
#include <atomic>
#include <cstring>
#include <random>
#include <thread>

#include "base/file.h"
#include "devnet.h"
#include "ledger/openapi.h"

namespace cairn::ledger {
namespace {

int seconds = 3;
unsigned seed = 1;
std::string keep;

const std::vector<std::string> kOddities = {"", "0", "-1", "1", "18446744073709551615", "18446744073709551616", "1e3", "%", "%0", "%00", "%zz", "%ff%fe", "..",
                                            "../../etc/passwd", "a.b", "1.2", "1.99999999999", "head", std::string(64, '0'), std::string(63, 'f'), std::string(65, 'a'),
                                            std::string(3000, 'x'), "00,00", ",", "settled", "nowhere", "\x01", "\xff\xfe", "\r\n\r\n", " HTTP/1.1", "?", "&&&", "raw=1=1"};

class Fuzz {
 public:
  explicit Fuzz(unsigned from) : random_(from), good_(transfer(genesis_, "A", "B", 0)) {}

  // The bytes of one exchange, all that a client sends.
  std::string request() {
    switch (random_() % 8) {
      case 0: return noise(random_() % 600);
      case 1: return mutated(well_formed());
      case 2: return well_formed() + well_formed() + mutated(well_formed());  // one connection, several requests
      case 3: return well_formed().substr(0, random_() % 200);               // and then silence
      default: return well_formed();
    }
  }
  // Gives what came back; waits for it only briefly, since much of what was sent deserves no answer.
  std::string play(uint16_t port, const std::string& bytes) {
    const int fd = dial(port);
    if (fd < 0) return "";
    timeval brief{0, 20'000};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof brief);
    put_all(fd, bytes);
    std::string text;
    char buffer[16384];
    if (random_() % 4 != 0)  // else it hangs up
      for (ssize_t got = 0; text.size() < (1u << 20) && (got = ::recv(fd, buffer, sizeof buffer, 0)) > 0;) text.append(buffer, static_cast<size_t>(got));
    ::close(fd);
    return text;
  }
  const attest::Genesis& genesis() const { return genesis_; }

 private:
  template <class List>
  const auto& any(const List& list) {
    return list[random_() % list.size()];
  }
  std::string noise(size_t size) {
    std::string out(size, 0);
    for (char& c : out) c = static_cast<char>(random_());
    return out;
  }
  std::string mutated(std::string text) {
    for (unsigned n = 0, changes = 1 + random_() % 8; n < changes && !text.empty(); n++) {
      const size_t at = random_() % text.size();
      switch (random_() % 4) {
        case 0: text[at] = static_cast<char>(random_()); break;
        case 1: text.erase(at, random_() % 20); break;
        case 2: text.insert(at, text.substr(random_() % text.size(), random_() % 50)); break;
        default: text.insert(at, any(kOddities));
      }
    }
    return text;
  }
  std::string value(RouteParameter::Kind kind) {
    if (random_() % 3 == 0) return any(kOddities);
    switch (kind) {
      case RouteParameter::Kind::id: return random_() % 2 ? account_named("A").hex() : to_hex(as_bytes(noise(32)));
      case RouteParameter::Kind::number: return std::to_string(random_() % 5000);
      case RouteParameter::Kind::keys: return to_hex(make_key('a', account_named("A"))) + (random_() % 2 ? "," + to_hex(as_bytes(noise(random_() % 80))) : "");
      case RouteParameter::Kind::height: return random_() % 2 ? "head" : std::to_string(random_() % 10);
      case RouteParameter::Kind::place: return std::to_string(random_() % 10) + "." + std::to_string(random_() % 10);
      case RouteParameter::Kind::flag: return "1";
      case RouteParameter::Kind::state: return "settled";
    }
    return "";
  }
  std::string well_formed() {
    const Route& route = any(routes());
    std::string path = route.path, query, headers;
    for (const auto& parameter : route.parameters) {
      std::string text = value(parameter.kind);
      if (parameter.in == RouteParameter::In::path) {
        const size_t from = path.find('{');
        path.replace(from, path.find('}') - from + 1, text);
      } else if (random_() % 2) {
        if (std::string_view(parameter.name) == "wait_ms") text = std::to_string(random_() % 30);
        if (parameter.in == RouteParameter::In::query) query += (query.empty() ? "?" : "&") + std::string(parameter.name) + "=" + text;
        else headers += std::string(parameter.name) + ": " + text + "\r\n";
      }
    }
    if (random_() % 5 == 0) headers += "Accept: text/event-stream\r\n";
    if (random_() % 10 == 0) headers += "X: " + std::string(random_() % 40'000, 'y') + "\r\n";
    if (random_() % 20 == 0) headers += "Expect: 100-continue\r\n";
    if (random_() % 20 == 0) headers += "Transfer-Encoding: chunked\r\n";
    std::string body;
    if (*route.body || random_() % 10 == 0) {
      body.assign(good_.begin(), good_.end());
      if (random_() % 4) body = mutated(body);
      if (random_() % 30 == 0) body.assign(random_() % 300'000, 'z');
    }
    const std::string length = random_() % 15 == 0 ? any(kOddities) : std::to_string(body.size() + (random_() % 20 == 0 ? 7 : 0));
    return (random_() % 20 == 0 ? "DELETE" : std::string(route.method)) + " " + path + query + " HTTP/1." + (random_() % 10 ? "1" : "0") +
           "\r\nHost: x\r\nContent-Length: " + length + "\r\n" + headers + "\r\n" + body;
  }

  std::minstd_rand random_;
  const attest::Genesis genesis_ = devnet_genesis({"A", "B"});
  const Bytes good_;
};

// Empty when the text is what a node may say.
std::string wrong_with(const std::string& text) {
  if (text.empty()) return "";
  if (!text.starts_with("HTTP/1.")) return "no status line";
  const int status = std::atoi(text.c_str() + 9);
  if (status < 100 || status > 599) return "no status";
  return "";
}

class HttpFuzz : public ::testing::Test {
 protected:
  // An honest client, of another address than those that play: what came back of its answer within so many seconds.
  struct Asked {
    int fd;
    ~Asked() { ::close(fd); }
    std::string status(int within_s) const {
      timeval timeout{within_s, 0};
      ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
      char text[16] = {};
      const ssize_t got = ::recv(fd, text, 12, MSG_WAITALL);
      return got > 0 ? text : got == 0 ? "closed" : errno == EAGAIN ? "" : std::strerror(errno);
    }
  };
  Asked ask(const std::string& path) const {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(node_.port());
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0) << std::strerror(errno);
    put_all(fd, "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    return {fd};
  }
  // What keeps it from a good answer; empty: nothing. It is patient, since a machine with much else to do starves the node and all that
  // it serves alike: only a connection that is forgotten while others are answered is the node's fault at once.
  std::string wrong_with_node(const std::string& path) const {
    const Asked first = ask(path);
    std::string status;
    for (int others = 0, rounds = 0; (status = first.status(10)).empty(); rounds++) {
      if (rounds == 60) return "no answer in 600 s";
      if (ask("/v1/status").status(10) == "HTTP/1.1 200" && ++others == 3) return "no answer, while others of the same time have theirs";
    }
    return status == "HTTP/1.1 200" ? "" : status;
  }
  // Plays one exchange, and looks whether the node still serves.
  void play(Fuzz& fuzz, const std::string& bytes, bool look) {
    const std::string text = fuzz.play(node_.port(), bytes);
    EXPECT_EQ(wrong_with(text), "") << text.substr(0, 200);
    if (!look) return;
    if (const std::string wrong = wrong_with_node("/v1/status"); !wrong.empty()) {
      if (!keep.empty()) std::ofstream(keep + "/stopped-" + std::to_string(seed), std::ios::binary) << bytes;
      FAIL() << "the node does not serve an honest client any more: " << wrong;
    }
  }
  Fuzz fuzz_{seed};
  Scratch scratch_;
  RunningNode node_{scratch_.path / "chain", fuzz_.genesis()};
};

TEST_F(HttpFuzz, TheCorpus) {
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator("tests/ledger/http_corpus")) {
    const Bytes bytes = must(read_file(entry.path(), 1u << 22));
    play(fuzz_, {bytes.begin(), bytes.end()}, true);
    files++;
  }
  EXPECT_GE(files, 20u);
}

TEST_F(HttpFuzz, NewRequests) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  std::atomic<size_t> played{0};
  std::vector<std::thread> clients;
  for (unsigned c = 0; c < 8; c++)
    clients.emplace_back([&, c] {
      for (Fuzz fuzz(seed * 1000 + c); std::chrono::steady_clock::now() < end && !HasFailure();) play(fuzz, fuzz.request(), ++played % 50 == 0);
    });
  for (auto& client : clients) client.join();
  for (const char* path : {"/v1/health", "/v1/supply"}) EXPECT_EQ(wrong_with_node(path), "") << path;
  std::printf("%zu exchanges, seed %u\n", played.load(), seed);
}

}  // namespace
}  // namespace cairn::ledger

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    if (flag == "--seconds") cairn::ledger::seconds = std::atoi(argv[i + 1]);
    if (flag == "--seed") cairn::ledger::seed = static_cast<unsigned>(std::atoi(argv[i + 1]));
    if (flag == "--keep") cairn::ledger::keep = argv[i + 1];
    if (flag == "--write") {  // a corpus of as many as stand in --seed's random order
      cairn::ledger::Fuzz fuzz(cairn::ledger::seed);
      std::filesystem::create_directories(argv[i + 1]);
      for (int n = 0; n < 40; n++) {
        std::string bytes = fuzz.request();
        if (bytes.size() > 4000) bytes.resize(4000);
        std::ofstream(std::string(argv[i + 1]) + "/" + std::to_string(n), std::ios::binary) << bytes;
      }
      return 0;
    }
  }
  return RUN_ALL_TESTS();
}
