// What stands in the ledger's state, and what the node answers: one struct each, its grammar is fields() in order.
//
// Every record has an id or an owner that is its key; keys.h says how keys are ordered. A node answers any of these as JSON
// (to_json) or, with ?raw=1, as these bytes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "attest/dispute.h"
#include "attest/header.h"
#include "attest/receipt.h"
#include "attest/records.h"
#include "base/amount.h"
#include "base/codec.h"

namespace cairn::ledger {

using GameId = Bytes32<struct GameIdTag>;  // hash of (job, segment, challenger)
using TransactionId = Hash;                // hash of the transaction's bytes

// ---- value --------------------------------------------------------------------------------------------------------

// Who can hold value (R7). `id` is the account, job, game or record that the kind speaks of, zero for the chain's own.
enum class HolderKind : uint8_t {
  account = 1,    // what a sender spends
  stake = 2,      // a provider's free stake
  bond = 3,       // a verifier's bond
  unbonding = 4,  // stake or bond on its way back to the account
  escrow = 5,     // a job: the requester's money
  job_stake = 6,  // a job: the provider's stake in it
  game = 7,       // a game: the challenger's flat fee
  deposit = 8,    // a record in state: its creator's deposit by the byte
  fees = 9,
  burned = 10,
  mint = 11,  // what genesis has not given out: nothing, once it has run
  validator = 12,  // a validator's stake
};
constexpr bool is_valid(HolderKind k) { return k >= HolderKind::account && k <= HolderKind::validator; }
constexpr std::string_view name(HolderKind k) {
  constexpr std::string_view kNames[] = {"?",    "account", "stake",   "bond", "unbonding", "escrow",
                                         "job_stake", "game", "deposit", "fees", "burned",    "mint", "validator"};
  return kNames[static_cast<uint8_t>(k)];
}

struct Holder {
  HolderKind kind = HolderKind::account;
  Hash id;
  friend auto operator<=>(const Holder&, const Holder&) = default;
  static constexpr auto fields() { return std::tuple{field("kind", &Holder::kind), field("id", &Holder::id)}; }

  static Holder account(const AccountId& a) { return {HolderKind::account, a.as<HashTag>()}; }
  static Holder stake(const AccountId& a) { return {HolderKind::stake, a.as<HashTag>()}; }
  static Holder bond(const AccountId& a) { return {HolderKind::bond, a.as<HashTag>()}; }
  static Holder unbonding(const AccountId& a) { return {HolderKind::unbonding, a.as<HashTag>()}; }
  static Holder escrow(const JobId& j) { return {HolderKind::escrow, j.as<HashTag>()}; }
  static Holder job_stake(const JobId& j) { return {HolderKind::job_stake, j.as<HashTag>()}; }
  static Holder game(const GameId& g) { return {HolderKind::game, g.as<HashTag>()}; }
  static Holder deposit(const Hash& record) { return {HolderKind::deposit, record}; }
  static Holder fees() { return {HolderKind::fees, {}}; }
  static Holder burned() { return {HolderKind::burned, {}}; }
  static Holder mint() { return {HolderKind::mint, {}}; }
  static Holder validator(const AccountId& a) { return {HolderKind::validator, a.as<HashTag>()}; }
};

// What is held. CRN is the zero id and, today, the only currency.
using Currency = Bytes32<struct CurrencyTag>;

struct Holding {
  Holder holder;
  Currency currency;
  Amount amount;  // never stored when 0
  static constexpr auto fields() {
    return std::tuple{field("holder", &Holding::holder), field("currency", &Holding::currency),
                      field("amount", &Holding::amount)};
  }
};

struct Account {
  AccountId id;
  KeySet keys;         // none until the account first signs
  uint64_t nonce = 0;  // of the next transaction that they sign
  static constexpr auto fields() {
    return std::tuple{field("id", &Account::id), field("keys", &Account::keys), field("nonce", &Account::nonce)};
  }
};

// What a hot key may be allowed to do. Each transaction names the scopes that cover it; one that names none, and so every
// change of keys, is for the account's own keys alone.
enum class Scope : uint8_t {
  pay = 1,      // transfers
  provide = 2,  // offers, stake, jobs that are run, their disputes
  verify = 3,   // bond, verdicts, challenges, their disputes
  request = 4,  // jobs that are bought, their disputes
  publish = 5,  // assets: whoever publishes names who is paid for them
};
constexpr bool is_valid(Scope s) { return s >= Scope::pay && s <= Scope::publish; }
constexpr std::string_view name(Scope s) {
  constexpr std::string_view kNames[] = {"?", "pay", "provide", "verify", "request", "publish"};
  return kNames[is_valid(s) ? static_cast<size_t>(s) : 0];
}

// A key that a machine holds and that its account's keys can take back at any time. Whoever steals it can do what its scopes
// say, until then, and lose at most `limit` in a period.
//
// What counts is what the account can lose by a transaction: everything that leaves its balance, free stake and unbonding money
// together (fees, deposits, escrow, payments, bond, stake that enters a job).
struct HotKey {
  AccountId account;
  PublicKey key;
  std::vector<Scope> scopes;
  Amount limit;
  uint64_t period_ms = 0;  // chain time; it begins with the first use after the last one ended. 0: the limit is for good
  ChainTime expiry{};      // of no use from here on
  uint64_t nonce = 0;      // of the next transaction that it signs; its own, so that the account's keys can sign offline
  Amount spent;            // in the present period
  ChainTime period_start{};
  static constexpr auto fields() {
    return std::tuple{field("account", &HotKey::account), field("key", &HotKey::key),
                      field("scopes", &HotKey::scopes),   field("limit", &HotKey::limit),
                      field("period_ms", &HotKey::period_ms), field("expiry", &HotKey::expiry),
                      field("nonce", &HotKey::nonce),     field("spent", &HotKey::spent),
                      field("period_start", &HotKey::period_start)};
  }
  Amount left(ChainTime now) const;
};

// Whose nonce a transaction takes: the account's, or one of its hot keys'.
struct Signer {
  AccountId account;
  PublicKey hot_key;  // zero: the account's own keys
  friend auto operator<=>(const Signer&, const Signer&) = default;
};

// Stake or bond on its way back to its account.
struct Unbonding {
  AccountId account;
  Amount amount;
  ChainTime due{};
  uint64_t seq = 0;
  ChainTime since{};     // taken back then; what must stay at `due` waits a quarter of the time since
  static constexpr auto fields() {
    return std::tuple{field("account", &Unbonding::account), field("amount", &Unbonding::amount),
                      field("due", &Unbonding::due), field("seq", &Unbonding::seq), field("since", &Unbonding::since)};
  }
};

// A bonded account that may be drawn. Its weight is what bond(account) holds.
struct Verifier {
  AccountId account;
  std::string endpoint;
  static constexpr auto fields() {
    return std::tuple{field("account", &Verifier::account), field("endpoint", &Verifier::endpoint)};
  }
};

// A verifier is drawn for an attempt at a job that is not over, and may yet lose `at_stake`: so much of what it takes back from `since`
// on waits for the end, where its bond does not cover it.
struct Duty {
  AccountId verifier;
  Height since{};
  JobId job;
  Amount at_stake;
  static constexpr auto fields() {
    return std::tuple{field("verifier", &Duty::verifier), field("since", &Duty::since), field("job", &Duty::job), field("at_stake", &Duty::at_stake)};
  }
};

// Who may propose and vote on blocks. Its stake is what validator(account) holds.
struct Validator {
  AccountId account;
  PublicKey key;            // signs votes, or solo's headers
  PublicKey vrf;            // makes the beacon
  uint64_t votes = 0;       // as last told to the engine; in force two blocks later
  uint64_t absent = 0;      // blocks in a row without its vote
  bool resigned = false;    // the record goes when its stake is free
  bool equivocated = false; // it signed two blocks of one height: no votes before it has resigned, its stake is free and it joins anew
  std::optional<ChainTime> jailed_until;
  static constexpr auto fields() {
    using V = Validator;
    return std::tuple{field("account", &V::account), field("key", &V::key),           field("vrf", &V::vrf),
                      field("votes", &V::votes),     field("absent", &V::absent),     field("resigned", &V::resigned),
                      field("equivocated", &V::equivocated), field("jailed_until", &V::jailed_until)};
  }
};

// ---- the deadline queue -------------------------------------------------------------------------------------------

enum class Due : uint8_t { job = 1, game = 2, offer = 3, unbonding = 4, prune = 5, validator = 6 };
constexpr bool is_valid(Due d) { return d >= Due::job && d <= Due::validator; }
constexpr std::string_view name(Due d) {
  constexpr std::string_view kNames[] = {"?", "job", "game", "offer", "unbonding", "prune", "validator"};
  return kNames[static_cast<uint8_t>(d)];
}

// A place in the queue, kept by the record that waits so that it can be taken out. seq 0: it waits for nothing.
struct Timer {
  ChainTime due{};
  uint64_t seq = 0;
  static constexpr auto fields() { return std::tuple{field("due", &Timer::due), field("seq", &Timer::seq)}; }
};
struct Deadline {
  Timer timer;
  Due what = Due::job;
  Hash id;
  static constexpr auto fields() {
    return std::tuple{field("timer", &Deadline::timer), field("what", &Deadline::what), field("id", &Deadline::id)};
  }
};

// ---- market -------------------------------------------------------------------------------------------------------

struct Offer {
  OfferId id;
  AccountId owner;   // accepts, stakes, commits
  AccountId payee;   // is paid; never drawn for its own jobs
  attest::OfferClass klass;
  Amount price;      // pebbles per 10^9 reference seconds
  std::string endpoint;
  uint64_t memory_bytes = 0;
  uint32_t jobs_max = 1;
  uint32_t jobs = 0;  // matched or running now
  std::vector<attest::Policy> policies;
  bool native = false;  // takes native jobs too
  uint64_t speed = 0;   // reference ns in a millisecond of the chain, as its last exact jobs showed; 0: not known
  uint64_t seq = 0;   // older first among equal prices
  Timer expiry;
  static constexpr auto fields() {
    return std::tuple{field("id", &Offer::id),
                      field("owner", &Offer::owner),
                      field("payee", &Offer::payee),
                      field("class", &Offer::klass),
                      field("price", &Offer::price),
                      field("endpoint", &Offer::endpoint),
                      field("memory_bytes", &Offer::memory_bytes),
                      field("jobs_max", &Offer::jobs_max),
                      field("jobs", &Offer::jobs),
                      field("policies", &Offer::policies),
                      field("native", &Offer::native),
                      field("speed", &Offer::speed),
                      field("seq", &Offer::seq),
                      field("expiry", &Offer::expiry)};
  }
};

// What a job costs, exactly, before it is opened.
struct Quote {
  Amount reward;    // R at the ceiling
  Amount audits;    // each check at R/n, at least 1 pebble
  Amount assets;    // prices of the distinct assets among its inputs
  Amount deposit;   // by the byte; back when the job is pruned
  Amount total;     // what OpenJob takes from the balance, the transaction's fee beside
  Amount stake;     // what a provider must stake at the ceiling
  uint64_t segments = 0;
  uint64_t checks = 0;
  static constexpr auto fields() {
    return std::tuple{field("reward", &Quote::reward), field("audits", &Quote::audits),
                      field("assets", &Quote::assets), field("deposit", &Quote::deposit),
                      field("total", &Quote::total),   field("stake", &Quote::stake),
                      field("segments", &Quote::segments), field("checks", &Quote::checks)};
  }
};

// ---- jobs ---------------------------------------------------------------------------------------------------------

enum class JobState : uint8_t {
  open = 1,       // on the book, waiting for an offer
  matched = 2,    // the provider stages inputs and accepts, or the match lapses
  running = 3,    // stake is in the job; Commit before the deadline
  committed = 4,  // see JobPhase
  disputed = 5,   // committed, with at least one game open
  settled = 6,
  voided = 7,
  cancelled = 8,
};
constexpr bool is_valid(JobState s) { return s >= JobState::open && s <= JobState::cancelled; }
constexpr bool is_terminal(JobState s) { return s >= JobState::settled; }
constexpr std::string_view name(JobState s) {
  constexpr std::string_view kNames[] = {"?",         "open",     "matched", "running",  "committed",
                                         "disputed", "settled", "void", "cancelled"};
  return kNames[static_cast<uint8_t>(s)];
}

// How far a committed job has come. Each phase ends at the job's deadline, or as soon as nobody is waited for.
enum class JobPhase : uint8_t {
  none = 0,
  secret = 1,    // the requester may reveal its secret
  draw = 2,      // waiting for the beacon of block `draw_height`
  verdicts = 3,  // drawn verifiers run their segments and commit verdicts
  answers = 4,   // the provider answers every committed check
  reveals = 5,   // verifiers reveal
  window = 6,    // anybody may challenge any segment
  consent = 7,   // a private job's jury disagrees: its requester may have the leaf opened
};
constexpr bool is_valid(JobPhase p) { return p <= JobPhase::consent; }
constexpr std::string_view name(JobPhase p) {
  constexpr std::string_view kNames[] = {"none", "secret", "draw", "verdicts", "answers", "reveals", "window", "consent"};
  return kNames[static_cast<uint8_t>(p)];
}

enum class CheckState : uint8_t {
  drawn = 1,        // the verifier runs the segment
  committed = 2,    // its verdict is committed
  answered = 3,     // the provider has revealed its call id and roots
  agreed = 4,       // paid at settlement
  differs = 5,      // another end root: a game, or a private jury's voice; a judge's no
  unproven = 6,     // same end root, another call id, and no proof which call that is: counts for nothing
  silent = 7,       // the verifier was silent and paid for it
  undelivered = 8,  // the verifier says that it was not served
};
constexpr bool is_valid(CheckState s) { return s >= CheckState::drawn && s <= CheckState::undelivered; }
constexpr std::string_view name(CheckState s) {
  constexpr std::string_view kNames[] = {"?",      "drawn",   "committed", "answered",   "agreed",
                                         "differs", "unproven", "silent",    "undelivered"};
  return kNames[static_cast<uint8_t>(s)];
}

// Which call of the plan a check drew: the one whose work interval holds the check's `work_offset`.
struct DrawnCall {
  uint32_t index = 0;
  attest::PlanHead head;
  attest::Call call;
  attest::SumPath path;
  static constexpr auto fields() {
    return std::tuple{field("index", &DrawnCall::index), field("head", &DrawnCall::head), field("call", &DrawnCall::call),
                      field("path", &DrawnCall::path)};
  }
};
// Error: proof.
Result<> check(const DrawnCall& call, const attest::JobSpec& spec, uint64_t work_offset);

// The roots at both ends of a segment, with their paths in the commitment's checkpoint tree. Segment 0 starts at the
// job's initial state and needs no start path.
struct SegmentRoots {
  Hash start_root;
  attest::TreePath start_path;  // leaf segment - 1
  Hash end_root;
  attest::TreePath end_path;    // leaf segment
  static constexpr auto fields() {
    return std::tuple{field("start_root", &SegmentRoots::start_root), field("start_path", &SegmentRoots::start_path),
                      field("end_root", &SegmentRoots::end_root), field("end_path", &SegmentRoots::end_path)};
  }
};
// Errors: invalid (no such segment), proof.
Result<> check(const SegmentRoots& roots, const attest::JobSpec& spec, const attest::Commitment& commitment, uint64_t segment);

// One drawn segment on its way from draw to verdict. What a receipt keeps of it stands in `record`.
struct Check {
  attest::CheckRecord record;
  CheckState state = CheckState::drawn;
  uint64_t seq = 0;  // of the verdict: the earliest of equal ones takes a reward
  Hash start_root;   // shown by the provider's answer, against its commitment
  std::optional<uint32_t> call;  // which call was drawn, where a verifier has shown it
  static constexpr auto fields() {
    return std::tuple{field("record", &Check::record), field("state", &Check::state), field("seq", &Check::seq),
                      field("start_root", &Check::start_root), field("call", &Check::call)};
  }
};

struct Job {
  JobId id;
  AccountId requester;
  attest::JobSpec spec;
  uint64_t seq = 0;        // older first on the book
  Amount audits;           // as quoted, at the ceiling
  Amount assets;           // as quoted
  JobState state = JobState::open;
  JobPhase phase = JobPhase::none;
  Timer timer;             // what ends the state or phase when nobody acts
  uint32_t tries = 0;      // matches so far, but for those that lapsed
  uint32_t rules = 0;      // number of the rules that the present match, and all that follows from it, is under
  std::vector<AccountId> met;  // providers that lapsed or failed here: never matched again
  ContentKey key;          // of a private job whose requester has consented to openings: public from then on

  ChainTime opened{};

  // of the present match
  OfferId offer;
  AccountId provider;
  AccountId payee;
  std::string provider_endpoint;
  Amount price;            // the matched offer's
  Amount reward;           // R at that price
  Amount stake;            // what the job asks of it; in job_stake(id) from Accept on
  ChainTime matched{};
  ChainTime accepted{};

  // of the present commitment
  std::optional<attest::Commitment> commitment;
  ChainTime committed{};
  Height draw_height{};         // the block whose beacon draws; known from phase `draw` on
  std::optional<Hash> secret;   // the requester's, once revealed
  std::vector<attest::DrawRecord> draws;
  std::vector<Check> checks;
  std::vector<GameId> games;    // open ones
  std::vector<attest::GameRecord> played;

  // of its end
  Code code = Code::internal;   // meaning only when void or cancelled
  attest::Blame fault = attest::Blame::none;
  std::string sentence;
  attest::Audit audit = attest::Audit::unaudited;
  Amount paid_provider;
  Amount paid_verifiers;
  Amount paid_royalties;
  static constexpr auto fields() {
    return std::tuple{field("id", &Job::id),
                      field("requester", &Job::requester),
                      field("spec", &Job::spec),
                      field("seq", &Job::seq),
                      field("audits", &Job::audits),
                      field("assets", &Job::assets),
                      field("state", &Job::state),
                      field("phase", &Job::phase),
                      field("timer", &Job::timer),
                      field("tries", &Job::tries),
                      field("rules", &Job::rules),
                      field("met", &Job::met),
                      field("key", &Job::key),
                      field("opened", &Job::opened),
                      field("offer", &Job::offer),
                      field("provider", &Job::provider),
                      field("payee", &Job::payee),
                      field("provider_endpoint", &Job::provider_endpoint),
                      field("price", &Job::price),
                      field("reward", &Job::reward),
                      field("stake", &Job::stake),
                      field("matched", &Job::matched),
                      field("accepted", &Job::accepted),
                      field("commitment", &Job::commitment),
                      field("committed", &Job::committed),
                      field("draw_height", &Job::draw_height),
                      field("secret", &Job::secret),
                      field("draws", &Job::draws),
                      field("checks", &Job::checks),
                      field("games", &Job::games),
                      field("played", &Job::played),
                      field("code", &Job::code),
                      field("fault", &Job::fault),
                      field("sentence", &Job::sentence),
                      field("audit", &Job::audit),
                      field("paid_provider", &Job::paid_provider),
                      field("paid_verifiers", &Job::paid_verifiers),
                      field("paid_royalties", &Job::paid_royalties)};
  }
};

// A dispute about one segment. The ledger keeps the clock, attest/dispute.h the rules.
struct Dispute {
  GameId id;
  JobId job;
  AccountId provider;
  AccountId challenger;
  std::optional<uint64_t> check;  // index of the drawn check that it grew from; none for a Challenge
  uint64_t claimed_seq = 0;       // when the challenger bound its claim
  Timer clock;                    // of the side to move
  Amount fee;                     // the challenger's, locked in game(id); of a drawn verifier what its account could spare: the rest burns of its bond if it loses
  attest::Game game;
  static constexpr auto fields() {
    return std::tuple{field("id", &Dispute::id),
                      field("job", &Dispute::job),
                      field("provider", &Dispute::provider),
                      field("challenger", &Dispute::challenger),
                      field("check", &Dispute::check),
                      field("claimed_seq", &Dispute::claimed_seq),
                      field("clock", &Dispute::clock),
                      field("fee", &Dispute::fee),
                      field("game", &Dispute::game)};
  }
};

// ---- assets -------------------------------------------------------------------------------------------------------

enum class AssetKind : uint8_t { model = 1, dataset = 2, program = 3, service = 4 };
constexpr bool is_valid(AssetKind k) { return k >= AssetKind::model && k <= AssetKind::service; }
constexpr std::string_view name(AssetKind k) {
  constexpr std::string_view kNames[] = {"?", "model", "dataset", "program", "service"};
  return kNames[static_cast<uint8_t>(k)];
}

struct Share {
  AccountId account;
  uint64_t parts = 0;
  static constexpr auto fields() { return std::tuple{field("account", &Share::account), field("parts", &Share::parts)}; }
};
struct Parent {
  AssetId asset;
  uint32_t basis_points = 0;
  static constexpr auto fields() {
    return std::tuple{field("asset", &Parent::asset), field("basis_points", &Parent::basis_points)};
  }
};

struct Asset {
  AssetId id;
  AccountId owner;
  AssetKind kind = AssetKind::model;
  std::string title;
  Hash content;
  Amount price;                 // per use in a job
  std::vector<Share> holders;
  std::vector<Parent> parents;
  uint8_t depth = 0;            // longest way to an asset without parents; at most 8
  std::vector<Share> split;     // who is paid, ancestors included, in parts of 10^9
  JobId origin;                 // the settled job that made it; zero: imported, unproven
  uint64_t reserved_seq = 0;
  uint64_t uses = 0;
  Amount earned;
  static constexpr auto fields() {
    return std::tuple{field("id", &Asset::id),
                      field("owner", &Asset::owner),
                      field("kind", &Asset::kind),
                      field("title", &Asset::title),
                      field("content", &Asset::content),
                      field("price", &Asset::price),
                      field("holders", &Asset::holders),
                      field("parents", &Asset::parents),
                      field("depth", &Asset::depth),
                      field("split", &Asset::split),
                      field("origin", &Asset::origin),
                      field("reserved_seq", &Asset::reserved_seq),
                      field("uses", &Asset::uses),
                      field("earned", &Asset::earned)};
  }
};

// Reserve(H(content id, owner, salt)): holds a content's place in time without naming it.
struct Reservation {
  Hash hash;
  AccountId owner;
  Height height{};
  uint64_t seq = 0;
  static constexpr auto fields() {
    return std::tuple{field("hash", &Reservation::hash), field("owner", &Reservation::owner),
                      field("height", &Reservation::height), field("seq", &Reservation::seq)};
  }
};
Hash reservation_hash(const Hash& content, const AccountId& owner, const Hash& salt);

// ---- what the node answers ----------------------------------------------------------------------------------------

struct AccountView {
  Account account;
  std::vector<HotKey> hot_keys;
  Amount balance;
  Amount stake;      // free
  Amount bond;
  Amount unbonding;
  static constexpr auto fields() {
    return std::tuple{field("account", &AccountView::account), field("hot_keys", &AccountView::hot_keys), field("balance", &AccountView::balance),
                      field("stake", &AccountView::stake), field("bond", &AccountView::bond),
                      field("unbonding", &AccountView::unbonding)};
  }
};

struct VerifierView {
  Verifier verifier;
  Amount bond;
  static constexpr auto fields() {
    return std::tuple{field("verifier", &VerifierView::verifier), field("bond", &VerifierView::bond)};
  }
};

// A part of a table, in the order of its ids.
template <class Item>
struct Page {
  std::vector<Item> items;
  std::optional<Hash> next;  // `after` of the page behind it; none: it is the last
  static constexpr auto fields() { return std::tuple{field("items", &Page::items), field("next", &Page::next)}; }
};

struct Status {
  Hash genesis;
  std::string name;
  Height height{};
  ChainTime time{};
  Hash beacon;
  Hash state_root;
  Hash header;             // id of the last header
  uint64_t pending = 0;    // transactions that wait for a block
  uint64_t next_event = 0;
  uint32_t rules = 0;      // number of the rules in force
  uint32_t protocol = 0;   // their protocol
  Height upgrade{};        // where the next rules begin; 0: none are announced
  uint32_t upgrade_protocol = 0;  // a node that does not know it stops there
  std::string halted;      // why the node makes no more blocks; empty while it does
  static constexpr auto fields() {
    return std::tuple{field("genesis", &Status::genesis),       field("name", &Status::name),
                      field("height", &Status::height),         field("time", &Status::time),
                      field("beacon", &Status::beacon),         field("state_root", &Status::state_root),
                      field("header", &Status::header),         field("pending", &Status::pending),
                      field("next_event", &Status::next_event), field("rules", &Status::rules),
                      field("protocol", &Status::protocol),     field("upgrade", &Status::upgrade),
                      field("upgrade_protocol", &Status::upgrade_protocol), field("halted", &Status::halted)};
  }
};

// What became of a transaction: code 0 is success. A code from the ladder cost nothing; any other cost the fee.
struct TxResult {
  TransactionId id;
  Height height{};     // 0: in no block
  uint16_t code = 0;   // of base/codes.def
  std::string text;
  static constexpr auto fields() {
    return std::tuple{field("id", &TxResult::id), field("height", &TxResult::height), field("code", &TxResult::code),
                      field("text", &TxResult::text)};
  }
};

// Something that happened, in order. `seq` counts from 1 and never skips; `id` is the job, game, offer, account or asset
// that `kind` ("job.matched") speaks of; `json` is an object with what else matters.
struct Event {
  uint64_t seq = 0;
  Height height{};
  ChainTime time{};
  std::string kind;
  Hash id;
  std::string json;
  static constexpr auto fields() {
    return std::tuple{field("seq", &Event::seq),   field("height", &Event::height), field("time", &Event::time),
                      field("kind", &Event::kind), field("id", &Event::id),         field("json", &Event::json)};
  }
};

struct Block {
  attest::SignedHeader header;
  std::vector<Bytes> transactions;
  std::vector<TxResult> results;  // derived; kept for people
  static constexpr auto fields() {
    return std::tuple{field("header", &Block::header), field("transactions", &Block::transactions),
                      field("results", &Block::results)};
  }
};

}  // namespace cairn::ledger

CODEC_ELSEWHERE(ledger::Account)
CODEC_ELSEWHERE(ledger::Offer)
CODEC_ELSEWHERE(ledger::Job)
CODEC_ELSEWHERE(ledger::Dispute)
CODEC_ELSEWHERE(ledger::Asset)
CODEC_ELSEWHERE(ledger::Block)
