// What a node makes of the votes that its CometBFT tells: seals that a client believes.
#include <gtest/gtest.h>
#include <sodium.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <future>
#include <map>
#include <thread>

#include "comet_driver.h"
#include "ledger/comet/base64.h"
#include "ledger/comet/comet.h"
#include "ledger/comet/home.h"

namespace cairn::ledger::comet {
namespace {

// A CometBFT that gives the same answer about a block to whatever its socket is asked.
class Answering {
 public:
  Answering(const std::filesystem::path& socket, std::map<uint64_t, std::string> results) : results_(std::move(results)) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::strcpy(at.sun_path, socket.c_str());
    fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    EXPECT_EQ(::listen(fd_, 8), 0);
    thread_ = std::thread([this] {
      for (int client; (client = ::accept(fd_, nullptr, nullptr)) >= 0; ::close(client)) {
        char asked[4096];
        const ssize_t got = ::recv(client, asked, sizeof asked, 0);
        if (got <= 0) continue;
        std::string answer = R"({"error":{"message":"height must be less than the last"}})";
        for (const auto& [height, result] : results_)
          if (std::string_view(asked, static_cast<size_t>(got)).find(R"("height":")" + std::to_string(height) + '"') != std::string_view::npos) answer = R"({"result":)" + result + "}";
        const std::string out = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " + std::to_string(answer.size()) + "\r\n\r\n" + answer;
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
  const std::map<uint64_t, std::string> results_;  // by height
  int fd_ = -1;
  std::thread thread_;
};

struct Vote {
  const char* timestamp;  // as CometBFT writes it
  int64_t seconds;        // as it was signed
  bool odd;               // its signature holds for nobody
};
constexpr Vote kGood{"2026-11-27T00:00:00Z", 1'795'737'600, false};

// CometBFT's answer about a block that holds `app`, and its header.
struct Told {
  attest::CometHeader header;
  std::string answer;
};
Told commit_for(const attest::Genesis& genesis, uint64_t height, const Hash& app, const std::vector<Vote>& votes, const Hash& last_block = {}) {
  std::vector<attest::CometValidator> set;
  for (const auto& validator : genesis.validators) set.push_back({validator.key, attest::votes_of(validator.stake)});
  attest::sort_set(set);
  attest::CometHeader header;
  header.block_version = 11;
  header.chain_id = attest::comet_chain_id(attest::genesis_hash(genesis));
  header.height = Height{height};
  header.last_block.hash = last_block;
  header.time = {static_cast<uint64_t>(kGood.seconds), 0};
  header.validators = header.next_validators = attest::set_hash(set);
  header.app = app;
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
  const std::string last = last_block.is_zero() ? "" : last_block.hex();
  return {header, R"({"signed_header":{"header":{"version":{"block":"11"},"chain_id":")" + header.chain_id + R"(","height":")" + std::to_string(number(header.height)) +
         R"(","time":")" + kGood.timestamp + R"(","last_block_id":{"hash":")" + last + R"(","parts":{"total":0,"hash":""}},"last_commit_hash":"","data_hash":"","validators_hash":")" +
         header.validators.hex() + R"(","next_validators_hash":")" + header.next_validators.hex() + R"(","consensus_hash":"","app_hash":")" + header.app.hex() +
         R"(","last_results_hash":"","evidence_hash":"","proposer_address":"0000000000000000000000000000000000000000"},"commit":{"round":0,"block_id":{"hash":")" +
         commit.block.hash.hex() + R"(","parts":{"total":0,"hash":""}},"signatures":[)" + signatures + "]}}}"};
}

Result<attest::SignedHeader> sealed_by(const std::filesystem::path& home, const attest::Genesis& genesis, const attest::Header& header) {
  const SystemClock clock;
  const auto chain = must(Chain::open(home / "chain", genesis));
  Pool pool(*chain, {});
  CometConfig config;
  config.home = home;
  Comet engine(*chain, pool, clock, config);
  std::promise<Result<std::vector<attest::SignedHeader>>> told;
  engine.seal({{header, attest::CometSeal{}}}, [&](auto sealed) { told.set_value(std::move(sealed)); });
  TRY_LET(sealed, told.get_future().get());
  return sealed.front();
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
    const Answering comet(rpc_socket(scratch.path), {{2, commit_for(genesis, 2, attest::header_id(header), {row.first, kGood, kGood, kGood}).answer}});
    const auto sealed = sealed_by(scratch.path, genesis, header);
    ASSERT_TRUE(sealed) << row.what << ": " << sealed.error().text;
    const auto believed = attest::check_header(genesis, *sealed);
    EXPECT_TRUE(believed) << row.what << ": " << believed.error().text;
    EXPECT_EQ(std::get<attest::CometSeal>(sealed->seal).commit.votes[0].flag, row.kept) << row.what;
  }
}

// Two votes of four that no client counts leave too few: those of the first block after it that has enough stand for all before.
TEST(NodesSeal, GoesByALaterBlockWhereTooFewVotesCount) {
  const auto genesis = comet_genesis(4);
  attest::Header header;
  header.genesis = attest::genesis_hash(genesis);
  header.height = Height{1};
  const Vote odd{kGood.timestamp, kGood.seconds, true};
  for (size_t later = 0; later < 4; later++) {
    std::map<uint64_t, std::string> results;
    Hash last, app = attest::header_id(header);
    for (uint64_t height = 2; height <= 2 + later; height++, app = {}) {
      const Told told = commit_for(genesis, height, app, {height < 2 + later ? odd : kGood, odd, kGood, kGood}, last);
      results[height] = told.answer;
      last = attest::header_hash(told.header);
    }
    const Scratch scratch;
    const Answering comet(rpc_socket(scratch.path), results);
    const auto sealed = sealed_by(scratch.path, genesis, header);
    ASSERT_TRUE(sealed) << later << ": " << sealed.error().text;
    EXPECT_EQ(std::get<attest::CometSeal>(sealed->seal).then.size(), later);
    const auto believed = attest::check_header(genesis, *sealed);
    EXPECT_TRUE(believed) << later << ": " << believed.error().text;
  }
}

}  // namespace
}  // namespace cairn::ledger::comet
