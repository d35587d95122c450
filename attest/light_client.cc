#include "attest/light_client.h"

#include <algorithm>

namespace cairn::attest {
namespace {

Error no_proof(Height height, const std::string& text) {
  return {Code::proof, "header " + std::to_string(number(height)) + " " + text, "ask another node, and report this one"};
}

Result<const CometSeal*> votes_for(const SignedHeader& header) {
  const auto* seal = std::get_if<CometSeal>(&header.seal);
  if (!seal) return no_proof(header.header.height, "has no votes");
  return seal;
}

// With every set in it, so that it can be read from anywhere on.
CometSeal in_full(CometSeal seal, const Genesis& genesis) {
  std::vector<CometValidator> set;
  for (const auto& validator : genesis.validators) set.push_back({validator.key, votes_of(validator.stake)});
  for (SetChange& change : seal.changes) {
    if (change.set.empty()) change.set = set;
    if (change.next.empty()) change.next = change.set;
    set = change.next;
  }
  if (seal.set.empty()) seal.set = set;
  sort_set(seal.set);
  return seal;
}

// What is kept of a header that is believed: of its seal that by which what follows is judged, and no more than a chain's bounds allow.
SignedHeader to_keep(const Genesis& genesis, SignedHeader header) {
  if (auto* seal = std::get_if<CometSeal>(&header.seal)) {
    *seal = in_full(std::move(*seal), genesis);
    seal->changes.clear();
  }
  return header;
}

}  // namespace

Result<> check_header_after(const Genesis& genesis, const SignedHeader& believed, const SignedHeader& header) {
  if (genesis.engine == Engine::solo) return check_header(genesis, header);
  const Header& its = header.header;
  const Hash chain = genesis_hash(genesis);
  if (its.genesis != chain)
    return Error{Code::wrong_chain, "a header of chain " + its.genesis.hex().substr(0, 16) + ", not " + chain.hex().substr(0, 16), "ask a node of your chain"};
  TRY_LET(before, votes_for(believed));
  TRY_LET(after, votes_for(header));
  const CometSeal from = in_full(*before, genesis);
  CometSeal to = in_full(*after, genesis);
  const bool is_next = number(to.voted().height) == number(from.voted().height) + 1 && to.voted().validators == from.voted().next_validators;
  std::erase_if(to.changes, [&](const SetChange& change) { return is_next || change.header.height < from.voted().height; });
  TRY(check_seal(to, comet_chain_id(chain), its.height, header_id(its), is_next ? to.set : from.set));
  if (its.previous.is_zero()) return no_proof(its.height, "names no previous one");
  return {};
}

Result<Hash> trusted_name(const Genesis& genesis, const SignedHeader& header) {
  const Hash chain = genesis_hash(genesis), id = header_id(header.header);
  if (header.header.genesis != chain)
    return Error{Code::wrong_chain, "a header of chain " + header.header.genesis.hex().substr(0, 16), "name one of chain " + chain.hex().substr(0, 16)};
  if (genesis.engine == Engine::solo) return id;
  TRY_LET(seal, votes_for(header));
  TRY(check_outcome(*seal, comet_chain_id(chain), header.header.height, id));
  if (set_hash(in_full(*seal, genesis).set) != seal->voted().validators) return no_proof(header.header.height, "has another's seal");
  return header_hash(seal->voted());
}

Result<> check_record(const Hash& state_root, const Bytes& key, const ProvenRecord& record) {
  const Hash place = blake3(key);
  if (!record.value) return check_absent(state_root, place, record.path);
  return check_present(state_root, {place, blake3(*record.value)}, record.path);
}

LightClient::LightClient(Genesis genesis, std::optional<SignedHeader> seen)
    : genesis_(std::move(genesis)), chain_(genesis_hash(genesis_)), seen_(std::move(seen)) {}

Result<> LightClient::begin(const SignedHeader& header, const Hash& name) {
  TRY_LET(its, trusted_name(genesis_, header));
  if (its != name)
    return Error{Code::proof, "the node's header of block " + std::to_string(number(header.header.height)) + " is " + its.hex() + ", not the one that you name",
                 "ask whoever named it for a later one; a node may go by other blocks' votes, or lie"};
  if (genesis_.engine == Engine::solo) TRY(check_header(genesis_, header));
  seen_ = to_keep(genesis_, header);
  if (auto* seal = std::get_if<CometSeal>(&seen_->seal)) seal->commit = {};  // which nobody has looked at
  return {};
}

Result<> LightClient::believe(const SignedHeader& header, uint64_t now_wall_ms) {
  if (seen_ && genesis_.engine != Engine::solo && now_wall_ms > seen_->header.wall_ms && now_wall_ms - seen_->header.wall_ms > genesis_.params.unbonding_ms)
    return Error{Code::too_old, "the last header seen, of block " + std::to_string(number(seen_->header.height)) + ", is " +
                                    std::to_string((now_wall_ms - seen_->header.wall_ms) / 1000) + " s old; after " +
                                    std::to_string(genesis_.params.unbonding_ms / 1000) + " s its validators may have left with their stakes",
                 "begin anew from a header that somebody you trust names: cairn chain trust"};
  if (seen_ && encode(*seen_) == encode(header)) return {};
  if (seen_ && genesis_.engine != Engine::solo && header_id(seen_->header) == header_id(header.header)) return {};  // under whatever votes
  const uint64_t height = number(header.header.height);
  TRY(seen_ && height > number(seen_->header.height) ? check_header_after(genesis_, *seen_, header) : check_header(genesis_, header));
  if (seen_ && height < number(seen_->header.height))
    return Error{Code::too_old, "the node answers with block " + std::to_string(height) + ", but block " +
                                    std::to_string(number(seen_->header.height)) + " was seen before",
                 "ask another node, and report this one"};
  if (seen_ && height == number(seen_->header.height) && header_id(header.header) != header_id(seen_->header))
    return Error{Code::proof, "two different headers of height " + std::to_string(height) + ": the producer signed twice",
                 "stop, keep both, and report the fork"};
  if (!seen_ || height > number(seen_->header.height)) seen_ = to_keep(genesis_, header);  // of one header there are several seals
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
