#include "attest/receipt.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/blake3.h"

namespace cairn::attest {
namespace {

constexpr uint64_t kPriceUnit = 1'000'000'000'000'000'000;  // pebbles are priced per 10^9 seconds of 10^9 ns

template <class E, size_t N>
std::string_view named(const std::string_view (&names)[N], E value) {
  const auto i = static_cast<size_t>(value);
  return i < N ? names[i] : "?";
}

std::string brief(const Hash& hash) { return hash.hex().substr(0, 16); }
std::string brief(const AccountId& id) { return id.is_zero() ? "nobody" : id.hex().substr(0, 16); }
std::string count_of(size_t n, const char* what) { return std::to_string(n) + " " + what + (n == 1 ? "" : "s"); }

// The findings of one receipt, in order; nothing is added after the first that is not ok.
class Examination {
 public:
  Examination(const Receipt& receipt, const Genesis& genesis) : receipt_(receipt), body_(receipt.body), genesis_(genesis) {}

  std::vector<Finding> run() {
    chain();
    root();
    rules();
    job();
    pay();
    commitment();
    draws();
    checks();
    games();
    settlement();
    outcome();
    return std::move(findings_);
  }

 private:
  bool failed() const { return !findings_.empty() && !findings_.back().ok; }
  void add(std::string what, std::string expected, std::string found, std::string proof, bool ok) {
    if (!failed()) findings_.push_back({std::move(what), std::move(expected), std::move(found), std::move(proof), ok});
  }
  void same(std::string what, const std::string& expected, const std::string& found, std::string proof) {
    add(std::move(what), expected, found, std::move(proof), expected == found);
  }
  void holds(std::string what, std::string expected, const Result<>& result, std::string found_if_ok, std::string proof) {
    add(std::move(what), std::move(expected), result ? std::move(found_if_ok) : result.error().text, std::move(proof),
        static_cast<bool>(result));
  }
  std::string header_name() const { return "header " + std::to_string(number(receipt_.header.header.height)); }

  void chain() {
    same("chain", brief(genesis_hash(genesis_)), brief(body_.genesis), "genesis");
    same("receipt version", std::to_string(ReceiptBody::kVersion), std::to_string(body_.version), "body");
    holds("block " + std::to_string(number(receipt_.header.header.height)), "sealed by the chain's validators",
          check_header(genesis_, receipt_.header), "sealed, chain time " + std::to_string(ms(receipt_.header.header.time)) + " ms",
          genesis_.engine == Engine::solo && !genesis_.validators.empty() ? "signature of " + genesis_.validators.front().key.hex().substr(0, 16)
                                          : "votes of " + std::to_string(genesis_.validators.size()) + " validators and their successors");
  }

  void root() {
    if (failed()) return;
    const std::string root = brief(receipt_root(body_));
    holds("receipt root", root + " in the state", check_present(receipt_.header.header.state_root, receipt_entry(body_), receipt_.path),
          root, count_of(receipt_.path.steps.size(), "hash") + " up to the state root of " + header_name());
  }

  // The rules of the match: the genesis's, or those that the same state holds under their number.
  void rules() {
    params_ = genesis_.params;
    if (failed() || (body_.rules <= 1 && !receipt_.rules)) return;
    if (!receipt_.rules) return add("rules", "rules " + std::to_string(body_.rules), "none", "body", false);
    const Rules& shown = receipt_.rules->rules;
    same("rules", "rules " + std::to_string(body_.rules), "rules " + std::to_string(shown.number), "body");
    holds("rules: in the state", blake3(encode(shown)).hex().substr(0, 16),
          check_present(receipt_.header.header.state_root, {blake3(rules_key(shown.number)), blake3(encode(shown))}, receipt_.rules->path),
          "from block " + std::to_string(number(shown.from)), header_name());
    params_ = shown.params;
  }

  void job() {
    if (failed()) return;
    holds("job " + brief(body_.job.as<HashTag>()), "a well-formed job", check(body_.spec),
          body_.spec.title + ": " + std::to_string(body_.spec.steps) + " steps, tier " + std::string(name(body_.spec.tier)) + ", audit " +
              std::string(name(body_.spec.policy)),
          "body");
    add("tier " + std::string(name(body_.spec.tier)), "", body_.spec.tier == Tier::exact ? "one defined result, which a dispute can decide"
                                                                                        : "checked within tolerances by named judges; no proof",
        "body", true);
    if (body_.spec.viewers)
      add("private", "", "checked by a jury that the data's owner chose; nothing was opened on the chain, so it is no proof", "body", true);
    const bool matched = !body_.provider.is_zero();
    const uint64_t times[] = {ms(body_.opened), matched ? ms(body_.matched) : ms(body_.opened),
                              body_.commitment ? ms(body_.committed) : matched ? ms(body_.matched) : ms(body_.opened), ms(body_.ended),
                              ms(receipt_.header.header.time)};
    std::string found;
    for (uint64_t time : times) found += (found.empty() ? "" : " ") + std::to_string(time);
    add("times", "opened, matched, committed, ended, header: in order", found + " ms", "body", std::is_sorted(std::begin(times), std::end(times)));
  }

  void pay() {
    if (failed() || body_.provider.is_zero()) return;
    const auto reward = pay_for(body_.spec, body_.price);
    same("pay at the matched price", reward ? pretty(*reward) : "an amount", pretty(body_.reward), "body");
    add("price", "at most " + pretty(body_.spec.price_ceiling), pretty(body_.price), "body", body_.price <= body_.spec.price_ceiling);
  }

  void commitment() {
    if (failed() || !body_.commitment) return;
    const Commitment& c = *body_.commitment;
    same("commitment: job", brief(body_.job.as<HashTag>()), brief(c.job.as<HashTag>()), "body");
    same("commitment: plan", brief(body_.spec.plan_root), brief(c.plan_root), "body");
    same("commitment: inputs", brief(input_root(body_.spec)), brief(c.input_root), "body");
    same("commitment: steps", std::to_string(body_.spec.steps), std::to_string(c.steps), "body");
  }

  void draws() {
    if (failed()) return;
    same("draws", count_of(body_.draws.size(), "draw"), count_of(receipt_.draw_headers.size(), "draw"), "headers of the draws");
    add("draws", "after a commitment, at most three", count_of(body_.draws.size(), "draw"), "body",
        body_.draws.size() <= 3 && (body_.draws.empty() || body_.commitment.has_value()));
    for (size_t round = 0; round < body_.draws.size() && !failed(); round++) draw_of(round);
    for (const CheckRecord& check : body_.checks)
      if (check.round >= body_.draws.size()) add("check", "of a draw", "of no draw", "body", false);
  }

  void draw_of(size_t round) {
    const DrawRecord& record = body_.draws[round];
    const SignedHeader& signed_header = receipt_.draw_headers[round];
    const std::string block = "block " + std::to_string(number(record.height));
    holds("draw " + std::to_string(round), block + " sealed by the chain's validators", check_header(genesis_, signed_header), "sealed", block);
    same("draw: block", block, "block " + std::to_string(number(signed_header.header.height)), block);
    same("draw: beacon", brief(signed_header.header.beacon.beacon), brief(record.beacon), "beacon of " + block);
    add("draw: later than the commitment", "after " + std::to_string(ms(body_.committed)) + " ms",
        std::to_string(ms(signed_header.header.time)) + " ms", block, signed_header.header.time >= body_.committed);
    if (!record.secret.is_zero())
      same("draw: the requester's secret", brief(body_.spec.secret_hash), brief(tagged_hash("cairn.secret.v1", {record.secret.span()})), "body");
    same("draw: segments ordered", std::to_string(params_.rule(body_.spec.policy).segments), std::to_string(record.segments), "rules " + std::to_string(body_.rules));
    std::vector<Candidate> candidates;
    bool fit = true;
    for (const CandidateRecord& candidate : record.candidates) {
      fit &= candidate.account != body_.provider && candidate.account != body_.payee;
      if (const auto& viewers = body_.spec.viewers)
        fit &= std::binary_search(viewers->verifiers.begin(), viewers->verifiers.end(), candidate.account);
      fit &= candidates.empty() || candidates.back().account < candidate.account;
      candidates.push_back({candidate.account, candidate.bond});
    }
    add("draw: candidates", "in order, without provider and payee", count_of(candidates.size(), "candidate"), "body", fit);
    if (failed()) return;
    const Hash randomness = draw_randomness(record.beacon, record.secret, body_.job, commitment_hash(*body_.commitment));
    std::vector<DrawnCheck> before, earlier, found;
    bool first = true;
    for (const CheckRecord& check : body_.checks) {
      if (check.round == round) found.push_back(check.draw);
      if (check.round >= round) continue;
      first = false;
      earlier.push_back(check.draw);
      if (check.verdict.is_zero() && check.round + 1 == round) before.push_back(check.draw);
    }
    const std::vector<DrawnCheck> expected = first ? draw(randomness, body_.spec, record.segments, candidates)
                                                   : redraw(randomness, body_.spec, before, earlier, candidates);
    add("draw: made again", count_of(expected.size(), "check"), count_of(found.size(), "check"), "beacon of " + block, encode(expected) == encode(found));
  }

  void checks() {
    for (const CheckRecord& check : body_.checks) {
      if (failed()) return;
      const std::string what = "check of segment " + std::to_string(check.draw.segment) + " by " + brief(check.draw.verifier);
      if (body_.spec.tier == Tier::native) {
        add("judge " + brief(check.draw.verifier) + " on segment " + std::to_string(check.draw.segment), "a judge that the job names, by its word",
            std::string(name(check.did)), "body; no proof", std::binary_search(body_.spec.judges.begin(), body_.spec.judges.end(), check.draw.verifier));
        continue;
      }
      const bool revealed = check.knowledge.has_value();
      if (revealed)
        same(what + ": verdict", brief(check.verdict), brief(verdict_hash(check.salt, check.draw.verifier, body_.job, check.draw.segment, *check.knowledge)),
             "committed before the provider's answer");
      const bool equal = revealed && check.provider && *check.knowledge == *check.provider;
      switch (check.did) {
        case Checked::agreed: add(what, "the provider's knowledge", equal ? "the same" : "another", "body", equal); break;
        case Checked::differed: add(what, "another knowledge than the provider's", equal ? "the same" : "another", "body", revealed && !equal); break;
        case Checked::silent:
        case Checked::undelivered: add(what, "nothing revealed", std::string(name(check.did)), "body", !revealed); break;
      }
    }
    if (failed()) return;
    same("audit", std::string(name(audit_reached(body_))), std::string(name(body_.audit)), count_of(body_.checks.size(), "check"));
  }

  void games() {
    for (const GameRecord& game : body_.games) {
      if (failed()) return;
      const std::string what = "game on segment " + std::to_string(game.terms.segment) + " by " + brief(game.challenger);
      const JobSpec& spec = body_.spec;
      bool fits = check(game.terms) && game.terms.job == body_.job && game.terms.plan_root == spec.plan_root &&
                  game.terms.calls == spec.calls && game.terms.state_slots == spec.state_slots && game.terms.seed == spec.seed &&
                  game.terms.segment < spec.segments() && game.terms.inputs == spec.inputs.size() && game.terms.input_root == input_root(spec);
      if (fits)
        fits = game.terms.start_step == spec.segment_start(game.terms.segment) && game.terms.end_step == spec.segment_end(game.terms.segment);
      fits = fits && game.terms.key.has_value() == spec.viewers.has_value() &&
             (!game.terms.key || private_key_hash(*game.terms.key) == spec.viewers->key_hash);
      add(what, "about this job", fits ? (game.winner ? "the " + std::string(name(*game.winner)) + " won: " + game.reason : game.reason) : "another job",
          "body", fits);
    }
  }

  void settlement() {
    if (failed()) return;
    u128 sum = 0;
    for (const SettlementLine& line : body_.lines) sum += line.amount.pebbles;
    add("settlement", pretty(body_.held), sum > UINT64_MAX ? "more than all" : pretty(Amount{static_cast<uint64_t>(sum)}),
        count_of(body_.lines.size(), "line"), sum == body_.held.pebbles);
    if (body_.state != Ended::settled) return;
    u128 paid = 0;
    for (const SettlementLine& line : body_.lines)
      if (line.purpose == Purpose::pay || line.purpose == Purpose::vested) paid += line.amount.pebbles;
    add("settlement: the provider's pay", pretty(body_.reward), paid > UINT64_MAX ? "more than all" : pretty(Amount{static_cast<uint64_t>(paid)}), "body",
        paid == body_.reward.pebbles);
  }

  void outcome() {
    if (failed()) return;
    const bool lost = std::any_of(body_.games.begin(), body_.games.end(), [](const GameRecord& g) { return g.winner == Party::challenger; });
    std::string expected = "no fault";
    bool fits = true;
    switch (body_.state) {
      case Ended::settled: fits = body_.fault == Blame::none && !lost && body_.commitment.has_value(); break;
      case Ended::slashed:
        expected = "the provider's fault";
        fits = body_.fault == Blame::provider;
        break;
      default: expected = "a fault of one of the parties, or none"; break;
    }
    add("outcome: " + std::string(name(body_.state)), expected, body_.sentence, header_name(), fits);
  }

  const Receipt& receipt_;
  const ReceiptBody& body_;
  const Genesis& genesis_;
  ChainParams params_;  // of body_.rules
  std::vector<Finding> findings_;
};

}  // namespace

std::string_view name(Ended e) {
  constexpr std::string_view kNames[] = {"?", "settled", "void", "cancelled", "slashed", "preempted", "lapsed"};
  return named(kNames, e);
}
std::string_view name(Blame b) {
  constexpr std::string_view kNames[] = {"none", "requester", "provider", "verifier", "network"};
  return named(kNames, b);
}
std::string_view name(Audit a) {
  constexpr std::string_view kNames[] = {"?", "unaudited", "partly", "as_ordered", "judged"};
  return named(kNames, a);
}
std::string_view name(Checked c) {
  constexpr std::string_view kNames[] = {"?", "silent", "agreed", "differed", "undelivered"};
  return named(kNames, c);
}
std::string_view name(Purpose p) {
  constexpr std::string_view kNames[] = {"?",          "pay",             "royalty",          "audit", "change",   "stake_back", "slash_burn",
                                         "slash_requester", "slash_challenger", "late",  "game_fee", "vested",     "refund"};
  return named(kNames, p);
}

GameRecord record_of(const Game& game, const AccountId& challenger, bool by_clock) {
  return {game.terms, challenger, game.winner, by_clock, game.reason, hash_of("cairn.game.v1", game)};
}

std::optional<Amount> pay_for(const JobSpec& spec, Amount price) {
  const u128 work = static_cast<u128>(spec.step_work_ns) * spec.steps;  // below 2^128
  const u128 whole = work / kPriceUnit, rest = work % kPriceUnit;       // below 2^69 and 2^60
  if (whole > UINT64_MAX) return price.pebbles == 0 ? std::optional(Amount{}) : std::nullopt;
  const u128 low = rest * price.pebbles / kPriceUnit;
  const u128 pay = whole * price.pebbles;  // below 2^128
  if (pay > UINT64_MAX || pay + low > UINT64_MAX) return std::nullopt;
  return Amount{static_cast<uint64_t>(pay + low)};
}

uint64_t drawn_segments(const ChainParams& params, const JobSpec& spec) {
  const uint64_t k = params.rule(spec.policy).segments;
  return k == 0 ? spec.segments() : std::min<uint64_t>(k, spec.segments());
}

std::optional<Amount> stake_for_harm(Amount harm, uint64_t segments, uint64_t drawn) {
  if (drawn == 0) return std::nullopt;
  const u128 stake = (static_cast<u128>(harm.pebbles) * (segments - std::min(drawn, segments)) + drawn - 1) / drawn;
  if (stake > UINT64_MAX) return std::nullopt;
  return Amount{static_cast<uint64_t>(stake)};
}

Hash commitment_hash(const Commitment& commitment) { return hash_of("cairn.commitment.v1", commitment); }

Audit audit_reached(const ReceiptBody& body) {
  std::map<uint64_t, bool> agreed;  // by drawn segment
  std::set<uint64_t> contradicted;
  for (const CheckRecord& check : body.checks) {
    agreed[check.draw.segment] |= check.did == Checked::agreed;
    if (check.did == Checked::differed) contradicted.insert(check.draw.segment);
  }
  if (body.spec.tier == Tier::native)
    return std::any_of(agreed.begin(), agreed.end(), [](const auto& a) { return a.second; }) || !contradicted.empty() ? Audit::judged : Audit::unaudited;
  if (body.spec.viewers)
    for (const uint64_t segment : contradicted) agreed[segment] = false;
  const auto count = std::count_if(agreed.begin(), agreed.end(), [](const auto& a) { return a.second; });
  return count == 0 ? Audit::unaudited : count == static_cast<long>(agreed.size()) ? Audit::as_ordered : Audit::partly;
}

Hash receipt_root(const ReceiptBody& body) { return hash_of("cairn.receipt.v1", body); }
Hash receipt_key(const JobId& job, uint32_t attempt) {
  const Bytes number = encode(attempt);
  return tagged_hash("cairn.receipt_key.v1", {job.span(), number});
}
Hash receipt_place(const JobId& job, uint32_t attempt) {
  Bytes key{'R'};
  const Hash own = receipt_key(job, attempt);
  key.insert(key.end(), own.v.begin(), own.v.end());
  return blake3(key);
}
MapEntry receipt_entry(const ReceiptBody& body) {
  Bytes record = encode(receipt_key(body.job, body.attempt));
  const Hash root = receipt_root(body);
  record.insert(record.end(), root.v.begin(), root.v.end());
  return {receipt_place(body.job, body.attempt), blake3(record)};
}

std::vector<Finding> examine(const Receipt& receipt, const Genesis& genesis) { return Examination(receipt, genesis).run(); }

Result<std::vector<Finding>> check_receipt(const Receipt& receipt, const Genesis& genesis) {
  std::vector<Finding> findings = examine(receipt, genesis);
  const Finding& last = findings.back();
  if (last.ok) return findings;
  return Error{findings.size() == 1 ? Code::wrong_chain : Code::proof,
               last.what + ": expected " + last.expected + ", found " + last.found + " (" + last.proof + ")",
               findings.size() == 1 ? "use the genesis file of the chain that wrote the receipt" : "do not rely on this receipt; ask for another copy"};
}

Result<std::vector<Finding>> check_receipt(ByteSpan bytes, const Genesis& genesis) {
  TRY_LET(receipt, decode<Receipt>(bytes));
  return check_receipt(receipt, genesis);
}

}  // namespace cairn::attest

CODEC_HERE(attest::CheckRecord)
CODEC_HERE(attest::ReceiptBody)
CODEC_HERE(attest::Receipt)
