// CometBFT's header and commit (v0.38), as far as a light client needs them: which validators signed which app hash.
//
// Our header of height H is sealed by CometBFT's block H + 1: its app hash is header_id(H), and validators with more than two
// thirds of the votes have signed it. Whoever knows the set of one height follows the sets from there. A header leads on when
// more than two thirds of its own set's votes and more than two thirds of the known set's stand behind it: those who could
// forge that could as well forge the next header of the known set. So a seal grows with how often a third of the stake has changed hands,
// whatever the number of blocks and of lesser changes between.
//
//   seal := changes:{header commit set:validator* next:validator*}* header commit set:validator*
//   set  := of the header, in full; empty where it is the known one      next := of the header after, empty where it is the same
//
// Hashes and signed bytes are CometBFT's own: protobuf, SHA-256 trees by RFC 6962, ed25519.
// Source: CometBFT spec/core/data_structures.md and encoding.md, v0.38.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "base/amount.h"
#include "base/bytes.h"
#include "base/keys.h"

namespace cairn::attest {

using ValidatorAddress = std::array<uint8_t, 20>;  // the first bytes of the key's SHA-256
ValidatorAddress address_of(const PublicKey& key);

struct CometValidator {
  PublicKey key;
  uint64_t votes = 0;
  friend bool operator==(const CometValidator&, const CometValidator&) = default;
  static constexpr auto fields() { return std::tuple{field("key", &CometValidator::key), field("votes", &CometValidator::votes)}; }
};
// One for each whole CRN of stake.
inline uint64_t votes_of(Amount stake) { return stake.pebbles / Amount::kPerCrn; }

struct CometTime {
  uint64_t seconds = 0;  // since 1970
  uint32_t nanos = 0;
  static constexpr auto fields() { return std::tuple{field("seconds", &CometTime::seconds), field("nanos", &CometTime::nanos)}; }
};

// Zero: there is none, as before the first block.
struct CometBlockId {
  Hash hash;
  uint32_t parts = 0;
  Hash parts_hash;
  static constexpr auto fields() {
    return std::tuple{field("hash", &CometBlockId::hash), field("parts", &CometBlockId::parts), field("parts_hash", &CometBlockId::parts_hash)};
  }
};

struct CometHeader {
  uint64_t block_version = 0;
  uint64_t app_version = 0;
  std::string chain_id;
  Height height{};
  CometTime time;
  CometBlockId last_block;
  Hash last_commit;
  Hash data;
  Hash validators;
  Hash next_validators;
  Hash consensus;
  Hash app;
  Hash last_results;
  Hash evidence;
  ValidatorAddress proposer{};
  static constexpr auto fields() {
    using H = CometHeader;
    return std::tuple{field("block_version", &H::block_version),
                      field("app_version", &H::app_version),
                      field("chain_id", &H::chain_id),
                      field("height", &H::height),
                      field("time", &H::time),
                      field("last_block", &H::last_block),
                      field("last_commit", &H::last_commit),
                      field("data", &H::data),
                      field("validators", &H::validators),
                      field("next_validators", &H::next_validators),
                      field("consensus", &H::consensus),
                      field("app", &H::app),
                      field("last_results", &H::last_results),
                      field("evidence", &H::evidence),
                      field("proposer", &H::proposer)};
  }
};

// A validator's place in a commit, in the order of its set. Only votes `for` the block count.
enum class CometVoteFlag : uint8_t { absent = 1, commit = 2, nil = 3 };
constexpr bool is_valid(CometVoteFlag f) { return f >= CometVoteFlag::absent && f <= CometVoteFlag::nil; }
struct CometVote {
  CometVoteFlag flag = CometVoteFlag::absent;
  CometTime time;
  Signature signature;
  static constexpr auto fields() {
    return std::tuple{field("flag", &CometVote::flag), field("time", &CometVote::time), field("signature", &CometVote::signature)};
  }
};
struct CometCommit {
  uint32_t round = 0;
  CometBlockId block;
  std::vector<CometVote> votes;
  static constexpr auto fields() {
    return std::tuple{field("round", &CometCommit::round), field("block", &CometCommit::block), field("votes", &CometCommit::votes)};
  }
};

// Leads from a known set to another.
struct SetChange {
  CometHeader header;
  CometCommit commit;
  std::vector<CometValidator> set;
  std::vector<CometValidator> next;
  static constexpr auto fields() {
    using C = SetChange;
    return std::tuple{field("header", &C::header), field("commit", &C::commit), field("set", &C::set), field("next", &C::next)};
  }
};
struct CometSeal {
  static constexpr uint16_t kTag = 2;
  static constexpr std::string_view kName = "comet";
  std::vector<SetChange> changes;  // since the set that the reader knows
  CometHeader header;              // of the height after the sealed one
  std::vector<CometHeader> then;   // that follow it, to the one that is voted for: none where that is `header`
  CometCommit commit;              // for the last of them
  std::vector<CometValidator> set;
  static constexpr auto fields() {
    using S = CometSeal;
    return std::tuple{field("changes", &S::changes), field("header", &S::header), field("then", &S::then), field("commit", &S::commit),
                      field("set", &S::set)};
  }
  const CometHeader& voted() const { return then.empty() ? header : then.back(); }
};

std::string comet_chain_id(const Hash& genesis);
// In the order of CometBFT: most votes first, then by address.
void sort_set(std::vector<CometValidator>& set);
Hash set_hash(std::span<const CometValidator> sorted);
Hash header_hash(const CometHeader& header);
Bytes vote_bytes(const std::string& chain_id, Height height, const CometCommit& commit, const CometTime& time);

// Makes votes absent that CometBFT counts and a check refuses: it takes more signatures (ZIP-215 of ed25519) and times before 1970.
// No hash covers what is left out.
void drop_unsigned(const CometHeader& header, CometCommit& commit, std::span<const CometValidator> sorted);

// That more than two thirds of the votes of the header's set, which is `set` or the known one where that is empty, and more than
// two thirds of the known set's votes stand behind the header. Gives the header's set, sorted. Errors: proof, bad_signature.
Result<std::vector<CometValidator>> check_led(std::span<const CometValidator> known, const CometHeader& header, const CometCommit& commit,
                                              std::vector<CometValidator> set);
// Where a change leads. Errors: as above.
Result<std::vector<CometValidator>> check_change(std::span<const CometValidator> known, const SetChange& change);
inline constexpr size_t kMaxThen = 16;  // blocks in a row whose votes no client counts
// That what the seal votes for holds `app` as the outcome of `height`. Errors: proof.
Result<> check_outcome(const CometSeal& seal, const std::string& chain_id, Height height, const Hash& app);
// That, and that the set, or one that follows from it by the seal's changes, has voted for it. Gives the set that did. Errors: proof,
// bad_signature.
Result<std::vector<CometValidator>> check_seal(const CometSeal& seal, const std::string& chain_id, Height height, const Hash& app,
                                               std::vector<CometValidator> set);

}  // namespace cairn::attest
