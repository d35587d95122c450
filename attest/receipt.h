// A receipt: everything that happened to one attempt at a job, checkable offline with the chain's genesis alone.
//
//   receipt root := hash_of("cairn.receipt.v1", ReceiptBody)      what stays in the ledger's state, 32 bytes
//   state key    :  'R' receipt_key(job, attempt):32;  record := receipt_key:32 receipt_root:32
//
// The ledger writes the body when an attempt ends; the node adds the header and the path when it is asked for a receipt.
// Every byte of a receipt is bound: by the root, by the path, or by the producer's signature.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "attest/dispute.h"
#include "attest/header.h"
#include "attest/records.h"
#include "attest/state_map.h"

namespace cairn::attest {

enum class Ended : uint8_t { settled = 1, voided, cancelled, slashed, preempted, lapsed };
constexpr bool is_valid(Ended e) { return e >= Ended::settled && e <= Ended::lapsed; }
std::string_view name(Ended e);

enum class Blame : uint8_t { none = 0, requester, provider, verifier, network };
constexpr bool is_valid(Blame f) { return f <= Blame::network; }
std::string_view name(Blame f);

// How much of the job was checked by somebody else who proved that it ran it. `judged`: a native job's judges gave their opinion,
// which proves nothing.
enum class Audit : uint8_t { unaudited = 1, partly = 2, as_ordered = 3, judged = 4 };
constexpr bool is_valid(Audit a) { return a >= Audit::unaudited && a <= Audit::judged; }
std::string_view name(Audit a);

// What a drawn verifier did. `agreed`: revealed knowledge equal to the provider's. `differed`: another; it became a game, or a
// private jury's voice. A judge agreed or differed by its word.
enum class Checked : uint8_t { silent = 1, agreed, differed, undelivered };
constexpr bool is_valid(Checked c) { return c >= Checked::silent && c <= Checked::undelivered; }
std::string_view name(Checked c);

struct CheckRecord {
  DrawnCheck draw;
  uint32_t round = 0;                       // 0 = first draw, 1 and 2 = redraws of what the one before left without a verdict
  Checked did = Checked::silent;
  Hash verdict;                             // as committed; zero when silent
  Hash salt;                                // as revealed
  std::optional<Knowledge> knowledge;       // as revealed by the verifier
  std::optional<Knowledge> provider;        // as revealed by the provider
  static constexpr auto fields() {
    return std::tuple{field("draw", &CheckRecord::draw),       field("round", &CheckRecord::round),
                      field("did", &CheckRecord::did),         field("verdict", &CheckRecord::verdict),
                      field("salt", &CheckRecord::salt),       field("knowledge", &CheckRecord::knowledge),
                      field("provider", &CheckRecord::provider)};
  }
};

struct CandidateRecord {
  AccountId account;
  Amount bond;
  static constexpr auto fields() {
    return std::tuple{field("account", &CandidateRecord::account), field("bond", &CandidateRecord::bond)};
  }
};

// One draw: enough to make it again. The beacon is that of the block at `height`.
struct DrawRecord {
  Height height{};
  Hash beacon;
  Hash secret;                              // the requester's, zero when it did not reveal in time
  uint64_t segments = 0;                    // k as ordered; 0 = all
  std::vector<CandidateRecord> candidates;  // sorted by account
  static constexpr auto fields() {
    return std::tuple{field("height", &DrawRecord::height), field("beacon", &DrawRecord::beacon),
                      field("secret", &DrawRecord::secret), field("segments", &DrawRecord::segments),
                      field("candidates", &DrawRecord::candidates)};
  }
};

// A game as it ended. `game` = hash_of("cairn.game.v1", Game): whoever keeps the moves can show that it was this one.
struct GameRecord {
  GameTerms terms;
  AccountId challenger;
  std::optional<Party> winner;
  bool by_clock = false;
  std::string reason;
  Hash game;
  static constexpr auto fields() {
    return std::tuple{field("terms", &GameRecord::terms),     field("challenger", &GameRecord::challenger),
                      field("winner", &GameRecord::winner),   field("by_clock", &GameRecord::by_clock),
                      field("reason", &GameRecord::reason),   field("game", &GameRecord::game)};
  }
};
GameRecord record_of(const Game& game, const AccountId& challenger, bool by_clock);

enum class Purpose : uint8_t {
  pay = 1,        // to the payee, for the work
  royalty,        // to an asset's holder
  audit,          // to a verifier
  change,         // back to the requester
  stake_back,     // to the provider
  slash_burn,     // to nobody
  slash_requester,
  slash_challenger,
  late,           // a missed deadline's share of the stake
  game_fee,       // of a lost game
  vested,         // a starter's pay that became stake
  refund,
};
constexpr bool is_valid(Purpose p) { return p >= Purpose::pay && p <= Purpose::refund; }
std::string_view name(Purpose p);

// One line of the settlement: who got how much, for what. `asset` for royalties; `to` is zero for a burn.
struct SettlementLine {
  AccountId to;
  Amount amount;
  Purpose purpose = Purpose::pay;
  AssetId asset;
  static constexpr auto fields() {
    return std::tuple{field("to", &SettlementLine::to), field("amount", &SettlementLine::amount),
                      field("purpose", &SettlementLine::purpose), field("asset", &SettlementLine::asset)};
  }
};

struct ReceiptBody {
  static constexpr uint16_t kVersion = 1;
  uint16_t version = kVersion;
  Hash genesis;
  JobId job;
  uint32_t attempt = 0;                 // counts matches of this job that did not lapse, from 0
  JobSpec spec;
  AccountId requester;
  AccountId provider;                   // zero when never matched
  AccountId payee;
  uint32_t rules = 0;                   // number of those that the attempt was matched under; 0 when never matched
  OfferId offer;
  Amount price;                         // as matched; pebbles per 10^9 reference seconds
  Amount reward;                        // R = pay_for(spec, price)
  Amount held;                          // escrow and stake that this attempt's end paid out: the sum of `lines`
  ChainTime opened{};
  ChainTime matched{};
  ChainTime committed{};
  ChainTime ended{};
  std::optional<Commitment> commitment;
  std::vector<DrawRecord> draws;        // the draw, and the redraws, two at most
  std::vector<CheckRecord> checks;
  std::vector<GameRecord> games;
  std::vector<SettlementLine> lines;
  Audit audit = Audit::unaudited;
  Ended state = Ended::settled;
  Code code = Code::internal;           // meaning only when the state is not `settled`
  Blame fault = Blame::none;
  std::string sentence;
  static constexpr auto fields() {
    using R = ReceiptBody;
    return std::tuple{field("version", &R::version),   field("genesis", &R::genesis),
                      field("job", &R::job),           field("attempt", &R::attempt),
                      field("spec", &R::spec),         field("requester", &R::requester),
                      field("provider", &R::provider), field("payee", &R::payee),
                      field("rules", &R::rules),
                      field("offer", &R::offer),       field("price", &R::price),
                      field("reward", &R::reward),     field("held", &R::held),
                      field("opened", &R::opened),     field("matched", &R::matched),
                      field("committed", &R::committed), field("ended", &R::ended),
                      field("commitment", &R::commitment), field("draws", &R::draws),
                      field("checks", &R::checks),     field("games", &R::games),
                      field("lines", &R::lines),       field("audit", &R::audit),
                      field("state", &R::state),       field("code", &R::code),
                      field("fault", &R::fault),       field("sentence", &R::sentence)};
  }
};

struct RulesProof {
  Rules rules;
  MapProof path;  // from the record to the receipt's header
  static constexpr auto fields() { return std::tuple{field("rules", &RulesProof::rules), field("path", &RulesProof::path)}; }
};

struct Receipt {
  ReceiptBody body;
  SignedHeader header;                       // a block whose state holds the receipt root
  MapProof path;                             // from the receipt root to header.state_root
  std::vector<SignedHeader> draw_headers;    // of body.draws, in order: the beacons are theirs
  std::optional<RulesProof> rules;           // of body.rules, where they are not the genesis's
  static constexpr auto fields() {
    return std::tuple{field("body", &Receipt::body), field("header", &Receipt::header), field("path", &Receipt::path),
                      field("draw_headers", &Receipt::draw_headers), field("rules", &Receipt::rules)};
  }
};

// floor(step work x steps x price / 10^18); nullopt if it does not fit.
std::optional<Amount> pay_for(const JobSpec& spec, Amount price);
// k of a job: how many of its segments its policy draws.
uint64_t drawn_segments(const ChainParams& params, const JobSpec& spec);
// The least stake that covers a harm of one poisoned segment: ceil(H (n - k) / k); nullopt if it does not fit.
std::optional<Amount> stake_for_harm(Amount harm, uint64_t segments, uint64_t drawn);
Hash commitment_hash(const Commitment& commitment);  // what the draw is mixed with
// Of the drawn segments: all agreed -> as_ordered, some -> partly, none -> unaudited. In a private job a segment is agreed when
// all who revealed agree. In a native one: any judge that spoke -> judged.
Audit audit_reached(const ReceiptBody& body);

Hash receipt_root(const ReceiptBody& body);
Hash receipt_key(const JobId& job, uint32_t attempt);
// Where its record stands in the state's tree, and the leaf: as of any record, the BLAKE3 of the state key and of the record.
Hash receipt_place(const JobId& job, uint32_t attempt);
MapEntry receipt_entry(const ReceiptBody& body);

// One thing that was checked. For people: "draw: 1 segment of 10 ... ok".
struct Finding {
  std::string what;
  std::string expected;
  std::string found;
  std::string proof;  // what binds it: "header 812", "body", "draw beacon of block 807"
  bool ok = true;
  static constexpr auto fields() {
    return std::tuple{field("what", &Finding::what), field("expected", &Finding::expected), field("found", &Finding::found),
                      field("proof", &Finding::proof), field("ok", &Finding::ok)};
  }
};

// Checks a receipt against the chain whose genesis the caller trusts. The findings say what was checked, in order; the first
// that is not ok ends the list.
std::vector<Finding> examine(const Receipt& receipt, const Genesis& genesis);
// The same as a verdict. Errors: wrong_chain, malformed (bytes), proof (the first finding that is not ok, as a sentence).
Result<std::vector<Finding>> check_receipt(const Receipt& receipt, const Genesis& genesis);
Result<std::vector<Finding>> check_receipt(ByteSpan bytes, const Genesis& genesis);

}  // namespace cairn::attest

CODEC_ELSEWHERE(attest::CheckRecord)
CODEC_ELSEWHERE(attest::ReceiptBody)
CODEC_ELSEWHERE(attest::Receipt)
