// The light client against chance: whatever bytes a node answers, nothing but the truth is read from them.
//
//   CAIRN_FUZZ_SECONDS=600 build/release/tests/light_client_test      for as long; otherwise a sample
#include "attest/light_client.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <random>

#include "base/blake3.h"

namespace cairn::attest {
namespace {

Bytes numbered(const char* what, uint64_t n) {
  const std::string text = what + std::to_string(n);
  return Bytes(text.begin(), text.end());
}

class Chain {
 public:
  Chain() {
    const SecretKey producer = SecretKey::from_seed({1});
    std::vector<MapEntry> sorted;
    genesis.name = "test";
    genesis.validators = {{{}, producer.public_key(), {}, {}}};
    for (uint64_t n = 0; n < 300; n++) {
      records[numbered("key ", n)] = numbered("value ", n);
      sorted.push_back({blake3(numbered("key ", n)), blake3(numbered("value ", n))});
    }
    std::sort(sorted.begin(), sorted.end());
    Header header;
    header.genesis = genesis_hash(genesis);
    header.height = Height{9};
    header.previous = header.genesis;
    header.state_root = map_root(sorted);
    signed_ = sign_header(producer, header);
    for (uint64_t n = 0; n < kKeys; n++) {
      const Bytes key = numbered("key ", n);
      proven_[key] = {records.contains(key) ? std::optional(records.at(key)) : std::nullopt, map_prove(sorted, blake3(key))};
    }
  }
  ProvenState answer(const std::vector<Bytes>& keys) const {
    ProvenState out{signed_, {}};
    for (const Bytes& key : keys) out.records.push_back(proven_.at(key));
    return out;
  }

  static constexpr uint64_t kKeys = 400;  // of which the first 300 are there
  Genesis genesis;
  std::map<Bytes, Bytes> records;

 private:
  SignedHeader signed_;
  std::map<Bytes, ProvenRecord> proven_;
};

// A bit, a byte, a cut, a doubled or moved piece.
void mutate(Bytes& bytes, std::mt19937_64& rng) {
  for (uint64_t times = 1 + rng() % 3; times > 0 && !bytes.empty(); times--) {
    const size_t at = rng() % bytes.size(), size = std::min<size_t>(1 + rng() % 40, bytes.size() - at);
    const auto piece = [&] { return Bytes(bytes.begin() + static_cast<long>(at), bytes.begin() + static_cast<long>(at + size)); };
    switch (rng() % 6) {
      case 0: bytes[at] ^= static_cast<uint8_t>(1u << rng() % 8); break;
      case 1: bytes[at] = static_cast<uint8_t>(rng()); break;
      case 2: bytes.resize(at); break;
      case 3: {
        const Bytes copy = piece();
        bytes.insert(bytes.begin() + static_cast<long>(rng() % bytes.size()), copy.begin(), copy.end());
        break;
      }
      case 4: bytes.erase(bytes.begin() + static_cast<long>(at), bytes.begin() + static_cast<long>(at + size)); break;
      case 5: {
        const Bytes copy = piece();  // over another place
        std::copy(copy.begin(), copy.end(), bytes.begin() + static_cast<long>(rng() % (bytes.size() - size + 1)));
        break;
      }
    }
  }
}

// The record or absence is believed only if it is the truth, however the answer came about.
void expect_truth(const Chain& chain, const std::vector<Bytes>& keys, const ProvenState& answer, uint64_t& believed) {
  LightClient client(chain.genesis);
  const auto read = client.read(keys, answer, 0);
  if (!read) return;
  believed++;
  for (size_t i = 0; i < keys.size(); i++) {
    const auto at = chain.records.find(keys[i]);
    ASSERT_EQ(at != chain.records.end(), (*read)[i].has_value());
    if (at != chain.records.end()) {
      ASSERT_EQ(at->second, *(*read)[i]);
    }
  }
}

TEST(LightClient, NothingButTheTruthIsReadFromRandomAnswers) {
  const char* seconds = std::getenv("CAIRN_FUZZ_SECONDS");
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(seconds ? std::atoi(seconds) : 0);
  const uint64_t sample = 20'000;
  std::mt19937_64 rng(11);
  const Chain chain;
  uint64_t tried = 0, decoded = 0, believed = 0;
  for (; tried < sample || std::chrono::steady_clock::now() < until; tried++) {
    const std::vector<Bytes> keys = {numbered("key ", rng() % Chain::kKeys), numbered("key ", rng() % Chain::kKeys)};
    ProvenState answer = chain.answer(keys);
    auto& record = answer.records[rng() % 2];
    const auto any_hash = [&] { return hash_of("random", rng()); };
    switch (rng() % 8) {
      case 0: record.value = numbered("value ", rng() % Chain::kKeys); break;
      case 1: record.path = chain.answer({numbered("key ", rng() % Chain::kKeys)}).records[0].path; break;
      case 2: {  // a path of nothing but chance
        record.path.steps.clear();
        uint64_t bit = rng() % 8;
        for (uint64_t n = rng() % 12; n > 0 && bit < 256; n--, bit += 1 + rng() % 5) record.path.steps.push_back({static_cast<uint8_t>(bit), any_hash()});
        record.path.found = MapEntry{any_hash(), any_hash()};
        break;
      }
      case 3:
        if (!record.path.steps.empty()) record.path.steps[rng() % record.path.steps.size()].sibling = any_hash();
        break;
      case 4:
        if (!record.path.steps.empty()) record.path.steps[rng() % record.path.steps.size()].bit = static_cast<uint8_t>(rng());
        break;
      case 5: record.path.found = std::nullopt; break;
      case 6: answer.records = chain.answer({keys[1], keys[0]}).records; break;
      default: {
        Bytes bytes = encode(answer);
        mutate(bytes, rng);
        const auto again = decode<ProvenState>(bytes);
        if (!again) continue;
        ASSERT_EQ(encode(*again), bytes) << "one value, one encoding";
        answer = *again;
      }
    }
    decoded++;
    expect_truth(chain, keys, answer, believed);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(decoded, tried / 2);
  EXPECT_LT(believed, tried / 4) << "most of it must be lies";
  EXPECT_GT(believed, 0u);
  std::printf("%llu answers, %llu decoded, %llu true and believed\n", static_cast<unsigned long long>(tried),
              static_cast<unsigned long long>(decoded), static_cast<unsigned long long>(believed));
}

}  // namespace
}  // namespace cairn::attest
