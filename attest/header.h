// Block headers, genesis and the chain's parameters: what a light client, a receipt and the ledger share.
#pragma once

#include <string>
#include <vector>

#include "attest/comet.h"
#include "attest/records.h"
#include "base/keys.h"

namespace cairn::attest {

struct AuditRule {
  uint32_t segments = 1;       // k; 0 means all of them
  uint32_t stake_permille = 1000;  // stake in thousandths of the reward R
  static constexpr auto fields() {
    return std::tuple{field("segments", &AuditRule::segments), field("stake_permille", &AuditRule::stake_permille)};
  }
};

// Every number that is consensus, in one table. Defaults are a devnet's; times in chain milliseconds.
struct ChainParams {
  uint64_t interval_ms = 100;          // block interval; chain time advances at most two of them a block
  uint64_t draw_delay_blocks = 1;      // D
  uint64_t secret_window_ms = 400;     // for the requester's reveal after a commitment
  uint64_t verdict_ms = 60'000;        // for a drawn verifier to commit its verdict, beside the segment's work
  uint64_t reveal_ms = 5'000;          // for the provider's, then the verifiers' reveal
  uint64_t window_ms = 1'000;          // after the last reveal, for anybody's challenge
  uint64_t move_ms = 20'000;           // a side's clock in a game, for each move
  uint64_t first_move_factor = 50;     // the first answer gets this many times the segment's reference time on top
  uint64_t unbonding_ms = 600'000;
  uint64_t receipt_keep_ms = 600'000;  // ended jobs are pruned to their receipt root after this
  uint64_t fee_per_byte = 1;           // pebbles
  uint64_t deposit_per_byte = 10;      // pebbles for each byte of state its creator keeps
  uint64_t game_fee = 900'000;         // pebbles, locked by the challenger of a game: about what the winner's moves cost at most
  uint64_t verifier_silence = 2'000;   // pebbles of bond lost by a drawn verifier that stays silent
  uint32_t late_permille = 100;        // of R, lost by a provider that misses its deadline
  uint32_t slash_burn_permille = 500;
  uint32_t slash_requester_permille = 300;   // the rest goes to the challenger
  uint32_t max_block_bytes = 4u << 20;
  uint32_t max_deadlines_per_block = 1000;
  uint32_t max_looks_per_block = 4096;       // at offers and jobs, by the matcher
  uint64_t upgrade_notice_blocks = 10;       // between the announcement of new rules and their first block
  uint32_t max_validators = 100;
  uint64_t validator_stake = 1'000'000;     // pebbles, the least; each whole CRN of stake is one vote
  uint32_t equivocation_permille = 500;     // of a validator's stake, burned when it signed two blocks of one height
  uint64_t absent_blocks = 10'000;          // missed in a row: the validator is jailed
  uint64_t jail_ms = 600'000;               // before it may come back
  AuditRule starter{0, 0};
  AuditRule standard{1, 1000};
  AuditRule careful{5, 5000};
  AuditRule all{0, 1000};
  WorkTable work;
  static constexpr auto fields() {
    using P = ChainParams;
    return std::tuple{field("interval_ms", &P::interval_ms),
                      field("draw_delay_blocks", &P::draw_delay_blocks),
                      field("secret_window_ms", &P::secret_window_ms),
                      field("verdict_ms", &P::verdict_ms),
                      field("reveal_ms", &P::reveal_ms),
                      field("window_ms", &P::window_ms),
                      field("move_ms", &P::move_ms),
                      field("first_move_factor", &P::first_move_factor),
                      field("unbonding_ms", &P::unbonding_ms),
                      field("receipt_keep_ms", &P::receipt_keep_ms),
                      field("fee_per_byte", &P::fee_per_byte),
                      field("deposit_per_byte", &P::deposit_per_byte),
                      field("game_fee", &P::game_fee),
                      field("verifier_silence", &P::verifier_silence),
                      field("late_permille", &P::late_permille),
                      field("slash_burn_permille", &P::slash_burn_permille),
                      field("slash_requester_permille", &P::slash_requester_permille),
                      field("max_block_bytes", &P::max_block_bytes),
                      field("max_deadlines_per_block", &P::max_deadlines_per_block),
                      field("max_looks_per_block", &P::max_looks_per_block),
                      field("upgrade_notice_blocks", &P::upgrade_notice_blocks),
                      field("max_validators", &P::max_validators),
                      field("validator_stake", &P::validator_stake),
                      field("equivocation_permille", &P::equivocation_permille),
                      field("absent_blocks", &P::absent_blocks),
                      field("jail_ms", &P::jail_ms),
                      field("starter", &P::starter),
                      field("standard", &P::standard),
                      field("careful", &P::careful),
                      field("all", &P::all),
                      field("work", &P::work)};
  }
  const AuditRule& rule(Policy policy) const {
    switch (policy) {
      case Policy::starter: return starter;
      case Policy::standard: return standard;
      case Policy::careful: return careful;
      case Policy::all: return all;
    }
    return all;
  }
};

// What the ledger does differently from one protocol to the next; a program knows all from 1 to kProtocol, since a job ends under
// the protocol of its match.
//
//   2   a verifier whose accusation is proven wrong is fined from its unbonding money too, where its bond is short
inline constexpr uint32_t kProtocol = 2;

// What a chain is ruled by from a height on. Number 1 is the genesis's; each upgrade makes the next. The parameters change in
// no other way. All of them stay in the state, so that a receipt can show those it ended under:
//
//   state key    :  'P' number:u64, big-endian; in the tree, like any record, the BLAKE3 of the key and of the record
struct Rules {
  uint32_t number = 1;
  Height from{1};
  uint32_t protocol = kProtocol;
  ChainParams params;
  static constexpr auto fields() {
    return std::tuple{field("number", &Rules::number), field("from", &Rules::from), field("protocol", &Rules::protocol),
                      field("params", &Rules::params)};
  }
};
Bytes rules_key(uint32_t number);

struct GenesisAccount {
  AccountId account;
  Amount balance;
  static constexpr auto fields() {
    return std::tuple{field("account", &GenesisAccount::account), field("balance", &GenesisAccount::balance)};
  }
};

// Who decides the blocks. `solo`: the one validator, alone. `comet`: CometBFT among the validators, by stake.
enum class Engine : uint8_t { solo = 1, comet = 2 };
constexpr bool is_valid(Engine e) { return e == Engine::solo || e == Engine::comet; }
constexpr std::string_view name(Engine e) { return e == Engine::solo ? "solo" : "comet"; }

struct GenesisValidator {
  AccountId account;   // whose stake it is
  PublicKey key;       // signs headers (solo) or votes (comet)
  PublicKey vrf;       // makes the beacon; never the same
  Amount stake;        // beside what the accounts hold
  static constexpr auto fields() {
    using V = GenesisValidator;
    return std::tuple{field("account", &V::account), field("key", &V::key), field("vrf", &V::vrf), field("stake", &V::stake)};
  }
};

// The chain's first value; its hash names the chain in every signature.
struct Genesis {
  std::string name;               // "devnet-..."
  uint64_t created_wall_ms = 0;   // comet: the time of the first block; else shown, never used
  Engine engine = Engine::solo;
  std::vector<GenesisValidator> validators;  // solo: a set of one
  AccountId governor;             // announces upgrades, best by several keys; zero: the rules never change
  AccountId faucet;               // zero outside devnets
  std::vector<GenesisAccount> accounts;
  uint32_t protocol = kProtocol;  // the first
  ChainParams params;             // the first
  static constexpr auto fields() {
    return std::tuple{field("name", &Genesis::name),       field("created_wall_ms", &Genesis::created_wall_ms),
                      field("engine", &Genesis::engine),   field("validators", &Genesis::validators),
                      field("governor", &Genesis::governor), field("faucet", &Genesis::faucet),
                      field("accounts", &Genesis::accounts), field("protocol", &Genesis::protocol),
                      field("params", &Genesis::params)};
  }
};
Hash genesis_hash(const Genesis& genesis);
u128 genesis_supply(const Genesis& genesis);  // all that it hands out, in pebbles
Rules first_rules(const Genesis& genesis);

// Carried as the block's first entry, checked by every node: beacon = H(previous beacon, VRF output).
struct BeaconEntry {
  PublicKey producer;                   // the proposer's, as registered
  std::array<uint8_t, 80> vrf_proof{};  // RFC 9381 ECVRF-EDWARDS25519-SHA512-TAI over (previous beacon, height)
  Hash beacon;
  static constexpr auto fields() {
    return std::tuple{field("producer", &BeaconEntry::producer), field("vrf_proof", &BeaconEntry::vrf_proof),
                      field("beacon", &BeaconEntry::beacon)};
  }
};

// The first header of a chain has height 1 and `previous` zero.
struct Header {
  Hash genesis;
  Height height{};
  ChainTime time{};
  uint64_t wall_ms = 0;       // the producer's clock; chain time advances by min(difference, two intervals)
  Hash previous;              // id of the previous header; zero at height 1
  Hash transactions_root;     // tree_root over transaction ids
  Hash state_root;            // sparse Merkle root after this block
  BeaconEntry beacon;
  static constexpr auto fields() {
    return std::tuple{field("genesis", &Header::genesis),
                      field("height", &Header::height),
                      field("time", &Header::time),
                      field("wall_ms", &Header::wall_ms),
                      field("previous", &Header::previous),
                      field("transactions_root", &Header::transactions_root),
                      field("state_root", &Header::state_root),
                      field("beacon", &Header::beacon)};
  }
};
Hash header_id(const Header& header);

// Why a header is to be believed: solo's is signed by its producer; comet's by the block after it, see comet.h.
struct ProducerSeal {
  static constexpr uint16_t kTag = 1;
  static constexpr std::string_view kName = "producer";
  Signature signature;  // SignKind::header by the producer's account
  static constexpr auto fields() { return std::tuple{field("signature", &ProducerSeal::signature)}; }
};
using Seal = std::variant<ProducerSeal, CometSeal>;

struct SignedHeader {
  Header header;
  Seal seal;
  static constexpr auto fields() {
    return std::tuple{field("header", &SignedHeader::header), field("seal", &SignedHeader::seal)};
  }
};
// What the producer's VRF is asked for a block, and the beacon that its output gives.
Bytes beacon_input(const Hash& previous_beacon, Height height);
Hash next_beacon(const Hash& previous_beacon, const std::array<uint8_t, 64>& vrf_output);
Hash first_beacon(const Hash& genesis);  // stands before block 1

SignedHeader sign_header(const SecretKey& producer, const Header& header);
// A header alone: of this chain, sealed by its validators, a height above 0. Errors: wrong_chain, bad_signature, proof.
Result<> check_header(const Genesis& genesis, const SignedHeader& header);
// Evidence: two different headers of one height, both sealed. Errors: wrong_chain, bad_signature, proof.
Result<> check_double_signing(const Genesis& genesis, const SignedHeader& one, const SignedHeader& other);
// What a light client that remembers `anchor` may believe of `header`: the same chain and producer, not a fork of the anchor
// itself, and no more chain time apart than the unbonding time, after which old keys have nothing left to lose.
// Errors: those of check_header, proof, too_old.
Result<> check_anchored(const Genesis& genesis, const SignedHeader& anchor, const SignedHeader& header);
// A header after its predecessor: height, previous id, chain time by rule R2 (ARCHITECTURE.md), VRF and beacon. Error: proof.
// `params` are those in force at its height; `previous` is null at height 1; `vrf` is the key that the header's producer has registered.
Result<> check_successor(const Genesis& genesis, const ChainParams& params, const Header* previous, const Header& header, const PublicKey& vrf);
// The beacon entry alone, for a block of this height after that beacon. Error: proof.
Result<> check_beacon(const Hash& previous_beacon, Height height, const BeaconEntry& entry, const PublicKey& vrf);
BeaconEntry make_beacon(const Hash& previous_beacon, Height height, const PublicKey& producer, const SecretKey& vrf);

}  // namespace cairn::attest

CODEC_ELSEWHERE(attest::ChainParams)
CODEC_ELSEWHERE(attest::Genesis)
CODEC_ELSEWHERE(attest::SignedHeader)
