#include "attest/light_client.h"

namespace cairn::attest {

Result<> check_record(const Hash& state_root, const Bytes& key, const ProvenRecord& record) {
  const Hash place = blake3(key);
  if (!record.value) return check_absent(state_root, place, record.path);
  return check_present(state_root, {place, blake3(*record.value)}, record.path);
}

LightClient::LightClient(Genesis genesis, std::optional<SignedHeader> seen)
    : genesis_(std::move(genesis)), chain_(genesis_hash(genesis_)), seen_(std::move(seen)) {}

Result<> LightClient::begin(const SignedHeader& header) {
  if (header.header.genesis != chain_)
    return Error{Code::wrong_chain, "a header of chain " + header.header.genesis.hex().substr(0, 16), "name one of chain " + chain_.hex().substr(0, 16)};
  seen_ = header;
  return {};
}

Result<> LightClient::believe(const SignedHeader& header, uint64_t now_wall_ms) {
  if (seen_ && genesis_.engine != Engine::solo && now_wall_ms > seen_->header.wall_ms && now_wall_ms - seen_->header.wall_ms > genesis_.params.unbonding_ms)
    return Error{Code::too_old, "the last header seen, of block " + std::to_string(number(seen_->header.height)) + ", is " +
                                    std::to_string((now_wall_ms - seen_->header.wall_ms) / 1000) + " s old; after " +
                                    std::to_string(genesis_.params.unbonding_ms / 1000) + " s its validators may have left with their stakes",
                 "begin anew from a header that somebody you trust names: cairn chain trust"};
  if (seen_ && encode(*seen_) == encode(header)) return {};
  TRY(check_header(genesis_, header));
  const uint64_t height = number(header.header.height);
  if (seen_ && height < number(seen_->header.height))
    return Error{Code::too_old, "the node answers with block " + std::to_string(height) + ", but block " +
                                    std::to_string(number(seen_->header.height)) + " was seen before",
                 "ask another node, and report this one"};
  if (seen_ && height == number(seen_->header.height) && header_id(header.header) != header_id(seen_->header))
    return Error{Code::proof, "two different headers of height " + std::to_string(height) + ": the producer signed twice",
                 "stop, keep both, and report the fork"};
  seen_ = header;
  return {};
}

Result<std::vector<std::optional<Bytes>>> LightClient::read(std::span<const Bytes> keys, const ProvenState& answer, uint64_t now_wall_ms) {
  if (answer.records.size() != keys.size())
    return Error{Code::proof, "the node answers " + std::to_string(answer.records.size()) + " of " + std::to_string(keys.size()) + " keys", "ask another node"};
  TRY(believe(answer.header, now_wall_ms));
  std::vector<std::optional<Bytes>> out;
  for (size_t i = 0; i < keys.size(); i++) {
    TRY(check_record(answer.header.header.state_root, keys[i], answer.records[i]));
    out.push_back(answer.records[i].value);
  }
  return out;
}

}  // namespace cairn::attest
