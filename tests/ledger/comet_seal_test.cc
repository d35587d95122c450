// What a node makes of the votes that its CometBFT tells: seals that a client believes.
#include <gtest/gtest.h>
#include <sodium.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <future>
#include <thread>

#include "comet_driver.h"
#include "ledger/comet/base64.h"
#include "ledger/comet/comet.h"
#include "ledger/comet/home.h"

namespace cairn::ledger::comet {
namespace {

// A CometBFT that gives the same answer to whatever its socket is asked.
class Answering {
 public:
  Answering(const std::filesystem::path& socket, std::string result) : answer_(R"({"result":)" + std::move(result) + "}") {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::strcpy(at.sun_path, socket.c_str());
    fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    EXPECT_EQ(::listen(fd_, 8), 0);
    thread_ = std::thread([this] {
      for (int client; (client = ::accept(fd_, nullptr, nullptr)) >= 0; ::close(client)) {
        char asked[4096];
        if (::recv(client, asked, sizeof asked, 0) <= 0) continue;
        const std::string out = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " + std::to_string(answer_.size()) + "\r\n\r\n" + answer_;
        EXPECT_EQ(::send(client, out.data(), out.size(), MSG_NOSIGNAL), static_cast<ssize_t>(out.size()));
        while (::recv(client, asked, sizeof asked, 0) > 0) continue;
      }
    });
  }
  ~Answering() {
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(fd_);
  }

 private:
  const std::string answer_;
  int fd_ = -1;
  std::thread thread_;
};

struct Vote {
  const char* timestamp;  // as CometBFT writes it
  int64_t seconds;        // as it was signed
  bool odd;               // its signature holds for nobody
};
constexpr Vote kGood{"2026-11-27T00:00:00Z", 1'795'737'600, false};

// CometBFT's answer about the block that seals the header.
std::string commit_for(const attest::Genesis& genesis, const attest::Header& sealed, const std::vector<Vote>& votes) {
  std::vector<attest::CometValidator> set;
  for (const auto& validator : genesis.validators) set.push_back({validator.key, attest::votes_of(validator.stake)});
  attest::sort_set(set);
  attest::CometHeader header;
  header.block_version = 11;
  header.chain_id = attest::comet_chain_id(sealed.genesis);
  header.height = Height{number(sealed.height) + 1};
  header.time = {static_cast<uint64_t>(kGood.seconds), 0};
  header.validators = header.next_validators = attest::set_hash(set);
  header.app = attest::header_id(sealed);
  attest::CometCommit commit;
  commit.block.hash = attest::header_hash(header);
  std::string signatures;
  for (size_t i = 0; i < set.size(); i++) {
    SecretKey key = key_named("none");
    for (size_t v = 0; v < set.size(); v++)
      if (const auto its = key_named("validator " + std::to_string(v)); its.public_key() == set[i].key) key = its;
    const Bytes bytes = attest::vote_bytes(header.chain_id, header.height, commit, {static_cast<uint64_t>(votes[i].seconds), 0});
    uint8_t shown[32], secret[64], signature[64];
    crypto_sign_seed_keypair(shown, secret, key.seed().data());
    crypto_sign_detached(signature, nullptr, bytes.data(), bytes.size(), secret);
    signature[5] ^= votes[i].odd;
    signatures += std::string(i == 0 ? "" : ",") + R"({"block_id_flag":2,"timestamp":")" + votes[i].timestamp + R"(","signature":")" + to_base64(signature) + R"("})";
  }
  const std::string none = R"({"hash":"","parts":{"total":0,"hash":""}})";
  return R"({"signed_header":{"header":{"version":{"block":"11"},"chain_id":")" + header.chain_id + R"(","height":")" + std::to_string(number(header.height)) +
         R"(","time":")" + kGood.timestamp + R"(","last_block_id":)" + none + R"(,"last_commit_hash":"","data_hash":"","validators_hash":")" +
         header.validators.hex() + R"(","next_validators_hash":")" + header.next_validators.hex() + R"(","consensus_hash":"","app_hash":")" + header.app.hex() +
         R"(","last_results_hash":"","evidence_hash":"","proposer_address":"0000000000000000000000000000000000000000"},"commit":{"round":0,"block_id":{"hash":")" +
         commit.block.hash.hex() + R"(","parts":{"total":0,"hash":""}},"signatures":[)" + signatures + "]}}}";
}

TEST(NodesSeal, LeavesOutWhatNoClientCounts) {
  const auto genesis = comet_genesis(4);  // 10 to 13 votes, the most first
  attest::Header header;
  header.genesis = attest::genesis_hash(genesis);
  header.height = Height{1};
  const struct {
    const char* what;
    Vote first;
    attest::CometVoteFlag kept;
  } rows[] = {
      {"a good vote", kGood, attest::CometVoteFlag::commit},
      {"a time before 1970", {"1969-01-01T00:00:00Z", -31'536'000, false}, attest::CometVoteFlag::absent},
      {"a signature by another rule", {kGood.timestamp, kGood.seconds, true}, attest::CometVoteFlag::absent},
  };
  for (const auto& row : rows) {
    const Scratch scratch;
    const Answering comet(rpc_socket(scratch.path), commit_for(genesis, header, {row.first, kGood, kGood, kGood}));
    const SystemClock clock;
    const auto chain = must(Chain::open(scratch.path / "chain", genesis));
    Pool pool(*chain, {});
    CometConfig config;
    config.home = scratch.path;
    Comet engine(*chain, pool, clock, config);
    std::promise<Result<std::vector<attest::SignedHeader>>> told;
    engine.seal({{header, attest::CometSeal{}}}, [&](auto sealed) { told.set_value(std::move(sealed)); });
    const auto sealed = told.get_future().get();
    ASSERT_TRUE(sealed) << row.what << ": " << sealed.error().text;
    const auto believed = attest::check_header(genesis, sealed->front());
    EXPECT_TRUE(believed) << row.what << ": " << believed.error().text;
    EXPECT_EQ(std::get<attest::CometSeal>(sealed->front().seal).commit.votes[0].flag, row.kept) << row.what;
  }
}

}  // namespace
}  // namespace cairn::ledger::comet
