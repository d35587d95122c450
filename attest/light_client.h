// Reading the chain's state from a node that nobody trusts.
//
//   light client := genesis, whose hash the user trusts; the highest header seen so far
//   answer       := header, signed; for each key that was asked: its record or none, and the path to the header's root
//
// A header is believed when the chain's producer signed it, it is no fork of one seen before, and it lies no lower than the
// highest one seen: a node cannot answer with a state that has passed. What a node leaves out of a list cannot be seen here.
//
// Where validators come and go, whoever has left has nothing more to lose once its stake is free, and could sign another history
// from then on. So a header must follow from the validators of the highest one seen, and not of the genesis alone; and that one is of
// use for the unbonding time, by the reader's own clock: after that somebody who is trusted must name a newer one (begin()). Who has
// seen none yet trusts the genesis's validators.
#pragma once

#include "attest/header.h"
#include "attest/state_map.h"

namespace cairn::attest {

struct ProvenRecord {
  std::optional<Bytes> value;  // none: the path shows the key absent
  MapProof path;
  static constexpr auto fields() { return std::tuple{field("value", &ProvenRecord::value), field("path", &ProvenRecord::path)}; }
};
struct ProvenState {
  SignedHeader header;
  std::vector<ProvenRecord> records;  // of the keys, in the order in which they were asked
  static constexpr auto fields() { return std::tuple{field("header", &ProvenState::header), field("records", &ProvenState::records)}; }
};

// Of a record under its state key (ledger/state.h), or none. Error: proof.
Result<> check_record(const Hash& state_root, const Bytes& key, const ProvenRecord& record);

// A later header than one that is believed. Where validators come and go, more than two thirds of the votes that sealed that one, or
// of the next set that it names, must lead on to it, whoever else the genesis named. Errors: those of check_header.
Result<> check_header_after(const Genesis& genesis, const SignedHeader& believed, const SignedHeader& header);

// What somebody trusted names a header by: its id, or of comet's the hash of the CometBFT header whose votes seal it, which says who had
// votes too; no vote is looked at. Errors: wrong_chain, proof (it has no such seal).
Result<Hash> trusted_name(const Genesis& genesis, const SignedHeader& header);

class LightClient {
 public:
  // `seen`: the highest header that this user has believed before, remembered.
  explicit LightClient(Genesis genesis, std::optional<SignedHeader> seen = std::nullopt);

  // Errors: too_old (the highest header seen is older than the unbonding time; or this one's height is below it); those of
  // check_header_after; proof (another header of a height already seen: the producer signed twice). The seal first seen of a header
  // stays, whoever brings another: what follows is judged by its validators.
  Result<> believe(const SignedHeader& header, uint64_t now_wall_ms);
  // The records at `keys` in their order, none for those that are proven absent. Errors: those of believe, proof.
  Result<std::vector<std::optional<Bytes>>> read(std::span<const Bytes> keys, const ProvenState& answer, uint64_t now_wall_ms);
  // Forgets what was seen for a header that somebody trusted has named (trusted_name). Errors: wrong_chain, proof (not that one).
  Result<> begin(const SignedHeader& header, const Hash& name);

  const Genesis& genesis() const { return genesis_; }
  const Hash& chain() const { return chain_; }
  const std::optional<SignedHeader>& seen() const { return seen_; }

 private:
  Genesis genesis_;
  Hash chain_;
  std::optional<SignedHeader> seen_;
};

}  // namespace cairn::attest
