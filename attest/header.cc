#include "attest/header.h"

#include <algorithm>

#include "attest/tree.h"
#include "base/vrf.h"

namespace cairn::attest {
namespace {

Error no_proof(std::string text) { return {Code::proof, std::move(text), "ask another node, and report this one"}; }

}  // namespace

Hash genesis_hash(const Genesis& genesis) { return hash_of("cairn.genesis.v1", genesis); }
Rules first_rules(const Genesis& genesis) { return {1, Height{1}, genesis.protocol, genesis.params}; }
Bytes rules_key(uint32_t number) {
  Bytes key{'P'};
  for (int shift = 56; shift >= 0; shift -= 8) key.push_back(static_cast<uint8_t>(uint64_t{number} >> shift));
  return key;
}
Hash header_id(const Header& header) { return hash_of("cairn.header.v1", header); }

Bytes beacon_input(const Hash& previous_beacon, Height height) {
  Writer writer;
  writer.put(previous_beacon);
  writer.put(height);
  return writer.take();
}
Hash next_beacon(const Hash& previous_beacon, const std::array<uint8_t, 64>& vrf_output) {
  return tagged_hash("cairn.beacon.v1", {previous_beacon.span(), vrf_output});
}
Hash first_beacon(const Hash& genesis) { return tagged_hash("cairn.first_beacon.v1", {genesis.span()}); }

u128 genesis_supply(const Genesis& genesis) {
  u128 sum = 0;
  for (const auto& entry : genesis.accounts) sum += entry.balance.pebbles;
  for (const auto& validator : genesis.validators) sum += validator.stake.pebbles;
  return sum;
}

BeaconEntry make_beacon(const Hash& previous_beacon, Height height, const PublicKey& producer, const SecretKey& vrf) {
  BeaconEntry entry{producer, vrf_prove(vrf, beacon_input(previous_beacon, height)), {}};
  entry.beacon = next_beacon(previous_beacon, vrf_output(entry.vrf_proof));
  return entry;
}

Result<> check_beacon(const Hash& previous_beacon, Height height, const BeaconEntry& entry, const PublicKey& vrf) {
  TRY_LET(output, vrf_verify(vrf, beacon_input(previous_beacon, height), entry.vrf_proof));
  if (entry.beacon != next_beacon(previous_beacon, output))
    return no_proof("header " + std::to_string(number(height)) + ": the beacon is not the VRF's");
  return {};
}

SignedHeader sign_header(const SecretKey& producer, const Header& header) {
  const Hash id = header_id(header);
  return {header, ProducerSeal{sign(producer, header.genesis, SignKind::header, account_of(producer.public_key()), id.span())}};
}

Result<> check_header(const Genesis& genesis, const SignedHeader& signed_header) {
  const Header& header = signed_header.header;
  const Hash chain = genesis_hash(genesis);
  if (header.genesis != chain)
    return Error{Code::wrong_chain, "a header of chain " + header.genesis.hex().substr(0, 16) + ", not " + chain.hex().substr(0, 16),
                 "use the genesis file of the chain that wrote it"};
  if (genesis.validators.empty()) return no_proof("a chain without a validator");
  if (genesis.engine == Engine::solo) {
    const auto* seal = std::get_if<ProducerSeal>(&signed_header.seal);
    const PublicKey& producer = genesis.validators.front().key;
    if (!seal || !verify(producer, chain, SignKind::header, account_of(producer), header_id(header).span(), seal->signature))
      return Error{Code::bad_signature, "header " + std::to_string(number(header.height)) + " is not signed by the chain's producer",
                   "ask another node, and report this one"};
  } else {
    const auto* seal = std::get_if<CometSeal>(&signed_header.seal);
    if (!seal) return no_proof("header " + std::to_string(number(header.height)) + " has no votes");
    std::vector<CometValidator> set;
    for (const auto& validator : genesis.validators) set.push_back({validator.key, votes_of(validator.stake)});
    TRY(check_seal(*seal, comet_chain_id(chain), header.height, header_id(header), std::move(set)));
  }
  if (number(header.height) == 0) return no_proof("a header without a height");
  if ((number(header.height) == 1) != header.previous.is_zero()) return no_proof("only the first header has no previous one");
  return {};
}

Result<> check_double_signing(const Genesis& genesis, const SignedHeader& one, const SignedHeader& other) {
  TRY(check_header(genesis, one));
  TRY(check_header(genesis, other));
  if (one.header.height != other.header.height || header_id(one.header) == header_id(other.header))
    return no_proof("two headers that are no contradiction: another height, or the same header");
  return {};
}

Result<> check_anchored(const Genesis& genesis, const SignedHeader& anchor, const SignedHeader& header) {
  TRY(check_header(genesis, anchor));
  TRY(check_header(genesis, header));
  if (check_double_signing(genesis, anchor, header))
    return no_proof("two different headers of height " + std::to_string(number(header.header.height)) + ": the producer signed twice");
  const auto [earlier, later] = std::minmax(anchor.header.time, header.header.time);
  if (ms(later) - ms(earlier) > genesis.params.unbonding_ms)
    return Error{Code::too_old, "the anchor and header " + std::to_string(number(header.header.height)) + " are " +
                                    std::to_string((ms(later) - ms(earlier)) / 1000) + " s of chain time apart; at most " +
                                    std::to_string(genesis.params.unbonding_ms / 1000), "take a newer anchor from a node that you trust"};
  return {};
}

Result<> check_successor(const Genesis& genesis, const ChainParams& params, const Header* previous, const Header& header, const PublicKey& vrf) {
  const uint64_t height = number(header.height);
  const uint64_t before = previous ? number(previous->height) : 0;
  if (height != before + 1) return no_proof("header " + std::to_string(height) + " does not follow " + std::to_string(before));
  if (header.previous != (previous ? header_id(*previous) : Hash{}))
    return no_proof("header " + std::to_string(height) + " names another predecessor");
  if (previous) {
    if (header.wall_ms < previous->wall_ms) return no_proof("header " + std::to_string(height) + ": the producer's clock went back");
    const uint64_t passed = std::min(header.wall_ms - previous->wall_ms, 2 * params.interval_ms);
    if (header.time != after(previous->time, passed)) return no_proof("header " + std::to_string(height) + ": chain time does not follow rule R2");
  }
  return check_beacon(previous ? previous->beacon.beacon : first_beacon(genesis_hash(genesis)), header.height, header.beacon, vrf);
}

}  // namespace cairn::attest

CODEC_HERE(attest::ChainParams)
CODEC_HERE(attest::Genesis)
CODEC_HERE(attest::SignedHeader)
