#include "attest/comet.h"

#include <algorithm>
#include <bit>

#include "base/sha256.h"

namespace cairn::attest {
namespace {

Error no_proof(Height height, const std::string& text) {
  return {Code::proof, "CometBFT's header " + std::to_string(number(height)) + " " + text, "ask another node, and report this one"};
}

// The little of protobuf that these messages use. As in protobuf, what is 0 or empty is left out.
class Message {
 public:
  Message& number(uint32_t field, uint64_t value) {
    if (value != 0) key(field, 0).varint(value);
    return *this;
  }
  Message& fixed(uint32_t field, uint64_t value) {
    if (value == 0) return *this;
    key(field, 1);
    for (int i = 0; i < 8; i++) bytes_.push_back(static_cast<uint8_t>(value >> (8 * i)));
    return *this;
  }
  Message& bytes(uint32_t field, ByteSpan value) { return value.empty() ? *this : embed(field, value); }
  // Of a message: there even when it is empty.
  Message& embed(uint32_t field, ByteSpan value) {
    key(field, 2).varint(value.size());
    bytes_.insert(bytes_.end(), value.begin(), value.end());
    return *this;
  }
  Message& embed(uint32_t field, const Message& message) { return embed(field, message.done()); }
  const Bytes& done() const { return bytes_; }

 private:
  Message& key(uint32_t field, uint32_t kind) { return varint(field << 3 | kind); }
  Message& varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<uint8_t>(value | 0x80));
    bytes_.push_back(static_cast<uint8_t>(value));
    return *this;
  }
  Bytes bytes_;
};

ByteSpan bytes_of(const Hash& hash) { return hash.is_zero() ? ByteSpan() : hash.span(); }
Message message_of(const CometTime& time) { return Message().number(1, time.seconds).number(2, time.nanos); }
Message message_of(const CometBlockId& id) {
  return Message().bytes(1, bytes_of(id.hash)).embed(2, Message().number(1, id.parts).bytes(2, bytes_of(id.parts_hash)));
}
Bytes value_of(ByteSpan bytes) { return Message().bytes(1, bytes).done(); }

// RFC 6962.
Hash merkle(std::span<const Bytes> leaves) {
  if (leaves.empty()) return sha256({});
  Bytes text;
  if (leaves.size() == 1) {
    text.push_back(0);
    text.insert(text.end(), leaves[0].begin(), leaves[0].end());
  } else {
    const size_t split = std::bit_floor(leaves.size() - 1);
    const Hash left = merkle(leaves.first(split)), right = merkle(leaves.subspan(split));
    text.push_back(1);
    text.insert(text.end(), left.v.begin(), left.v.end());
    text.insert(text.end(), right.v.begin(), right.v.end());
  }
  return sha256(text);
}

bool counts(const CometCommit& commit, size_t place) { return commit.votes[place].flag == CometVoteFlag::commit; }
bool has_signed(const CometValidator& validator, const CometHeader& header, const CometCommit& commit, size_t place) {
  const CometVote& vote = commit.votes[place];
  return verify_plain(validator.key, vote_bytes(header.chain_id, header.height, commit, vote.time), vote.signature);
}

}  // namespace

ValidatorAddress address_of(const PublicKey& key) {
  ValidatorAddress out;
  const Hash hash = sha256(key.span());
  std::copy_n(hash.v.begin(), out.size(), out.begin());
  return out;
}

std::string comet_chain_id(const Hash& genesis) { return "cairn-" + genesis.hex().substr(0, 40); }

void sort_set(std::vector<CometValidator>& set) {
  std::sort(set.begin(), set.end(), [](const CometValidator& a, const CometValidator& b) {
    return a.votes != b.votes ? a.votes > b.votes : address_of(a.key) < address_of(b.key);
  });
}

Hash set_hash(std::span<const CometValidator> sorted) {
  std::vector<Bytes> leaves;
  for (const auto& validator : sorted)
    leaves.push_back(Message().embed(1, Message().bytes(1, validator.key.span())).number(2, validator.votes).done());
  return merkle(leaves);
}

Hash header_hash(const CometHeader& h) {
  const Bytes leaves[] = {Message().number(1, h.block_version).number(2, h.app_version).done(),
                          value_of(as_bytes(h.chain_id)),
                          Message().number(1, number(h.height)).done(),
                          message_of(h.time).done(),
                          message_of(h.last_block).done(),
                          value_of(bytes_of(h.last_commit)),
                          value_of(bytes_of(h.data)),
                          value_of(bytes_of(h.validators)),
                          value_of(bytes_of(h.next_validators)),
                          value_of(bytes_of(h.consensus)),
                          value_of(bytes_of(h.app)),
                          value_of(bytes_of(h.last_results)),
                          value_of(bytes_of(h.evidence)),
                          value_of(h.proposer)};
  return merkle(leaves);
}

Bytes vote_bytes(const std::string& chain_id, Height height, const CometCommit& commit, const CometTime& time) {
  constexpr uint64_t kPrecommit = 2;
  const Message vote = Message()
                           .number(1, kPrecommit)
                           .fixed(2, number(height))
                           .fixed(3, commit.round)
                           .embed(4, message_of(commit.block))
                           .embed(5, message_of(time))
                           .bytes(6, as_bytes(chain_id));
  // With its length before it.
  Bytes out = Message().embed(0, vote).done();
  out.erase(out.begin());
  return out;
}

void drop_unsigned(const CometHeader& header, CometCommit& commit, std::span<const CometValidator> sorted) {
  for (size_t i = 0; i < std::min(commit.votes.size(), sorted.size()); i++)
    if (counts(commit, i) && !has_signed(sorted[i], header, commit, i)) commit.votes[i] = {};
}

Result<std::vector<CometValidator>> check_led(std::span<const CometValidator> known, const CometHeader& header, const CometCommit& commit,
                                              std::vector<CometValidator> set) {
  if (set.empty()) set.assign(known.begin(), known.end());
  sort_set(set);
  if (set_hash(set) != header.validators) return no_proof(header.height, "names another validator set");
  if (header_hash(header) != commit.block.hash) return no_proof(header.height, "is not the one that was voted for");
  if (commit.votes.size() != set.size()) return no_proof(header.height, "has votes of another number of validators");
  u128 all = 0, agreed = 0;
  for (size_t i = 0; i < set.size(); i++) {
    all += set[i].votes;
    if (counts(commit, i)) agreed += set[i].votes;
  }
  if (3 * agreed <= 2 * all) return no_proof(header.height, "has no two thirds of the votes behind it");
  all = agreed = 0;
  std::vector<bool> is_known(set.size());
  for (const CometValidator& validator : known) {
    all += validator.votes;
    const auto at = std::find_if(set.begin(), set.end(), [&](const CometValidator& v) { return v.key == validator.key; });
    if (at == set.end()) continue;
    const auto place = static_cast<size_t>(at - set.begin());
    is_known[place] = true;
    if (counts(commit, place)) agreed += validator.votes;
  }
  if (3 * agreed <= 2 * all) return no_proof(header.height, "does not follow from the validators known before it");
  // Those of the known ones first: a set of a liar's own making, of whatever size, costs its reader one verification.
  for (const bool known_ones : {true, false})
    for (size_t i = 0; i < set.size(); i++)
      if (counts(commit, i) && is_known[i] == known_ones && !has_signed(set[i], header, commit, i))
        return Error{Code::bad_signature, "CometBFT's header " + std::to_string(number(header.height)) + " has a vote that its validator did not sign",
                     "ask another node, and report this one"};
  return set;
}

Result<std::vector<CometValidator>> check_change(std::span<const CometValidator> known, const SetChange& change) {
  TRY_LET(set, check_led(known, change.header, change.commit, change.set));
  if (!change.next.empty()) set = change.next;
  sort_set(set);
  if (set_hash(set) != change.header.next_validators) return no_proof(change.header.height, "names another next set");
  return set;
}

Result<> check_outcome(const CometSeal& seal, const std::string& chain_id, Height height, const Hash& app) {
  if (number(seal.header.height) != number(height) + 1) return no_proof(seal.header.height, "does not seal height " + std::to_string(number(height)));
  if (seal.header.app != app) return no_proof(seal.header.height, "seals another outcome");
  if (seal.then.size() > kMaxThen) return no_proof(seal.header.height, "is further from its votes than 16 blocks");
  const CometHeader* last = &seal.header;
  for (const CometHeader& next : seal.then) {
    if (number(next.height) != number(last->height) + 1 || next.last_block.hash != header_hash(*last))
      return no_proof(next.height, "does not follow the one before it");
    last = &next;
  }
  if (last->chain_id != chain_id) return no_proof(last->height, "is of another chain");
  return {};
}

Result<std::vector<CometValidator>> check_seal(const CometSeal& seal, const std::string& chain_id, Height height, const Hash& app,
                                               std::vector<CometValidator> set) {
  sort_set(set);
  uint64_t before = 0;
  for (const SetChange& change : seal.changes) {
    const CometHeader& header = change.header;
    if (header.chain_id != chain_id) return no_proof(header.height, "is of another chain");
    if (number(header.height) <= before || header.height >= seal.voted().height)
      return no_proof(header.height, "changes the set out of order");
    before = number(header.height);
    TRY_LET(next, check_change(set, change));
    set = std::move(next);
  }
  TRY(check_outcome(seal, chain_id, height, app));
  return check_led(set, seal.voted(), seal.commit, seal.set);
}

}  // namespace cairn::attest
