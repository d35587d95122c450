#include "tests/sim/audit.h"

#include <algorithm>

#include "base/blake3.h"
#include "ledger/accounts.h"
#include "ledger/checks.h"
#include "ledger/disputes.h"
#include "ledger/market.h"

namespace cairn::sim {
namespace {

using attest::Ended;
using attest::Purpose;

constexpr size_t kViewsKept = 64;

std::string short_id(const auto& id) { return id.hex().substr(0, 8); }

u128 sum_of(const attest::ReceiptBody& receipt, std::initializer_list<Purpose> purposes) {
  u128 sum = 0;
  for (const auto& line : receipt.lines)
    if (std::find(purposes.begin(), purposes.end(), line.purpose) != purposes.end()) sum += line.amount.pebbles;
  return sum;
}

bool is_native(const attest::JobSpec& spec) { return spec.tier == attest::Tier::native; }
bool is_live(const Job& job) { return !is_terminal(job.state); }
bool has_match(const Job& job) { return is_live(job) && job.state != JobState::open; }

// What may follow what in a job's life.
bool may_follow(const std::string& last, const std::string& next) {
  static const std::map<std::string, std::set<std::string>> kNext = {
      {"", {"job.opened"}},
      {"job.opened", {"job.matched", "job.cancelled"}},
      {"job.matched", {"job.accepted", "job.lapsed", "job.cancelled"}},
      {"job.lapsed", {"job.matched", "job.cancelled"}},
      {"job.accepted", {"job.committed", "job.late"}},
      {"job.late", {"job.matched", "job.cancelled"}},
      {"job.committed", {"job.drawn", "job.window", "job.slashed", "job.void"}},
      {"job.drawn", {"job.drawn", "job.answers", "job.window", "job.settled", "job.slashed", "job.void"}},
      {"job.answers", {"job.reveals", "job.slashed", "job.void"}},
      {"job.reveals", {"job.window", "job.consent", "job.slashed", "job.void"}},
      {"job.consent", {"job.window", "job.void"}},
      {"job.window", {"job.settled", "job.slashed", "job.void"}},
      {"job.slashed", {"job.matched", "job.cancelled"}},
      {"job.settled", {"job.pruned"}},
      {"job.void", {"job.pruned"}},
      {"job.cancelled", {"job.pruned"}},
  };
  const auto at = kNext.find(last);
  return at != kNext.end() && at->second.contains(next);
}

}  // namespace

Audit::Audit(World& world, const attest::Genesis& genesis, const Truth& truth)
    : world_(world), genesis_(genesis), truth_(truth), rng_(world.rng().fork("audit")) {
  App app(genesis);
  must(app.init());
  views_.push_back(Records::of(app));
}

std::optional<TxResult> Audit::result(const TransactionId& id) const {
  const auto at = results_.find(id);
  if (at == results_.end()) return std::nullopt;
  return at->second;
}

void Audit::committed(const Chain& chain, const Block& block) {
  const Height height = block.header.header.height;
  if (number(height) <= blocks_.size()) {
    const Block& ours = this->block(height);
    require(attest::header_id(ours.header.header) == attest::header_id(block.header.header),
            "two nodes hold different blocks of height " + std::to_string(number(height)));
    require(encode(ours.results) == encode(block.results), "two nodes hold different results of one block");
    return;
  }
  require(number(height) == blocks_.size() + 1, "a node skipped a height");
  blocks_.push_back(block);
  views_.push_back(chain.read([](const App& app) { return Records::of(app); }));
  if (views_.size() > kViewsKept) views_[views_.size() - kViewsKept - 1].reset();
  const Records& view = *views_.back();
  const Records& before = *views_[views_.size() - 2];
  world_.note("block " + std::to_string(number(height)) + " " + short_id(attest::header_id(block.header.header)) + " with " +
              std::to_string(block.transactions.size()));
  check_block(block);
  const auto failed = check_fees(before, view, block);
  const auto events = chain.store().events(last_event_ + 1, SIZE_MAX);
  std::set<JobId> ended;
  for (const Event& event : events) {
    require(!failed.contains(event.id), "an event tells what a transaction did that failed: " + event.kind);
    require(event.seq == ++last_event_, "an event's number does not follow the one before");
    require(event.height == height && event.time == view.now, "an event tells another block than its own");
    counts[event.kind]++;
    if (event.kind.starts_with("job.") || event.kind.starts_with("check.") || event.kind.starts_with("game."))
      world_.note(event.kind + " " + short_id(event.id));
    follow(event, before, view);
    for (const char* end : {"job.settled", "job.void", "job.cancelled", "job.slashed", "job.late", "job.lapsed"})
      if (event.kind == end) ended.insert(event.id.as<JobIdTag>());
  }
  for (const JobId& job : ended)
    for (const auto& receipt : chain.store().receipts(job)) {
      const Hash what = blake3(encode(receipt));
      const auto [known, fresh] = receipts_by_.insert({{job, receipt.attempt}, what});
      require(known->second == what, "a second receipt of one attempt");
      if (!fresh) continue;
      check_receipt(receipt, before);
      receipts_.push_back(receipt);
    }
  size_t fired = 0;  // draws and deadlines: a block bounds them together
  for (const DueDraw& draw : before.draws) fired += number(draw.height) <= number(view.height);
  for (const auto& [place, deadline] : before.deadlines) fired += !view.deadlines.contains(place);
  check_holdings(before, view);
  check_duties(before, view);
  check_jobs(view);
  check_consents(before, view, block);
  check_games(before, view);
  check_market(view);
  check_queue(view, fired);
  check_proofs(chain, view);
}

void Audit::check_block(const Block& block) const {
  size_t bytes = 0;
  for (const Bytes& transaction : block.transactions) bytes += transaction.size();
  require(bytes <= genesis_.params.max_block_bytes, "a block holds more bytes than it may");
  require(block.results.size() == block.transactions.size(), "a block has not one result a transaction");
  const attest::Header& header = block.header.header;
  require(static_cast<bool>(attest::check_header(genesis_, block.header)), "a header is not signed by its producer");
  const attest::Header* previous = number(header.height) == 1 ? nullptr : &blocks_[number(header.height) - 2].header.header;
  require(static_cast<bool>(attest::check_successor(genesis_, genesis_.params, previous, header, genesis_.validators.front().vrf)), "a header does not follow the one before");
  if (previous)
    require(ms(header.time) - ms(previous->time) <= 2 * genesis_.params.interval_ms, "chain time ran faster than two intervals a block");
}

// ---- value ----

// Every transaction that passed the ladder took its signer's next nonce and paid its fee, whatever became of it, and never comes
// again. Which ones did follows from the nonces: of several with one nonce, the last that was not refused for it.
std::set<Hash> Audit::check_fees(const Records& before, const Records& view, const Block& block) {
  u128 fees = 0;
  std::set<Hash> failed;
  std::map<Signer, uint64_t> next;  // after what is still to be looked at
  std::map<Signer, u128> lost;      // by hot keys
  for (const auto& [id, account] : view.accounts) next[Signer{id, {}}] = account.nonce;
  for (const auto& [signer, key] : view.hot_keys) next[signer] = key.nonce;
  const auto first = [&](const Signer& signer) {
    const bool fresh = view.hot_keys.contains(signer) && !before.hot_keys.contains(signer);
    return fresh ? view.nonce(signer) : before.nonce(signer);
  };
  for (size_t i = block.transactions.size(); i-- > 0;) {
    const TxResult& result = block.results[i];
    const auto code = static_cast<Code>(result.code);
    const auto transaction = decode<Transaction>(block.transactions[i]);
    const bool refused = !transaction || code == Code::wrong_chain || code == Code::bad_signature || code == Code::unauthorised || code == Code::wrong_nonce;
    const Signer signer = transaction ? signer_of(*transaction) : Signer{};
    const bool took = !refused && next[signer] > first(signer) && transaction->nonce + 1 == next[signer];
    require(took || result.code != 0, "a transaction was applied and took no nonce");
    if (took) {
      next[signer]--;
      fees += transaction->fee.pebbles;
      lost[signer] += transaction->fee.pebbles;
      const auto* transfer = std::get_if<Transfer>(&transaction->body);
      if (transfer && result.code == 0 && transfer->to != transaction->sender) lost[signer] += transfer->amount.pebbles;
      if (result.code != 0) failed.insert(result.id.as<HashTag>());
      require(paid_.insert(result.id).second, "a transaction paid its fee twice");
    }
    if (took || !paid_.contains(result.id)) results_[result.id] = result;
  }
  for (const auto& [signer, nonce] : next) require(nonce == first(signer), "the nonces of " + truth_.name(signer.account) + " are not one a transaction");
  for (const auto& [signer, key] : view.hot_keys) {
    const auto then = before.hot_keys.find(signer);
    const u128 spent = key.period_ms != 0 || then == before.hot_keys.end() ? 0 : then->second.spent.pebbles;
    require(key.spent <= key.limit && key.spent.pebbles >= spent + (key.period_ms != 0 ? 0 : lost[signer]) && lost[signer] <= key.limit.pebbles,
            "a hot key of " + truth_.name(signer.account) + " has lost more than its limit");
  }
  require(view.held(Holder::fees()).pebbles == before.held(Holder::fees()).pebbles + fees, "the fees of a block are not its transactions'");
  return failed;
}

void Audit::check_holdings(const Records& before, const Records& view) const {
  std::map<Currency, u128> supply;
  for (const auto& [place, amount] : view.holdings) {
    require(amount.pebbles != 0, "a holding of 0 is stored");
    supply[place.second] += amount.pebbles;
  }
  u128 given = 0;
  for (const auto& entry : genesis_.accounts) given += entry.balance.pebbles;
  require(supply[Currency{}] == given, "value was made or lost");

  std::map<AccountId, u128> unbonding;
  for (const auto& [seq, record] : view.unbondings) {
    unbonding[record.account] += record.amount.pebbles;
    const auto then = before.unbondings.find(seq);
    if (then != before.unbondings.end() && then->second.due == record.due) continue;
    const bool fresh = then == before.unbondings.end();
    require(record.since == (fresh ? view.now : then->second.since) &&
                record.due == after(view.now, fresh ? genesis_.params.unbonding_ms : (ms(view.now) - ms(record.since)) / 4),
            "an unbonding takes another time than its rule");
  }
  for (const auto& [place, amount] : view.holdings) {
    const Holder& holder = place.first;
    const auto leak = [&, &amount = amount](bool holds) {
      require(holds, "the " + std::string(name(holder.kind)) + " " + short_id(holder.id) + " holds " + pretty(amount) + " that nothing accounts for");
    };
    switch (holder.kind) {
      case HolderKind::escrow: {
        const auto job = view.jobs.find(holder.id.as<JobIdTag>());
        leak(job != view.jobs.end() && is_live(job->second));
        break;
      }
      case HolderKind::job_stake: {
        const auto job = view.jobs.find(holder.id.as<JobIdTag>());
        leak(job != view.jobs.end() && has_match(job->second) && job->second.state != JobState::matched && amount <= job->second.stake);
        break;
      }
      case HolderKind::game: {
        const auto game = view.games.find(holder.id.as<GameIdTag>());
        leak(game != view.games.end() && !game->second.game.over());
        break;
      }
      case HolderKind::deposit: {
        const bool stands = view.jobs.contains(holder.id.as<JobIdTag>()) || view.offers.contains(holder.id.as<OfferIdTag>()) ||
                            view.assets.contains(holder.id.as<AssetIdTag>()) || view.reservations.contains(holder.id) || view.accounts.contains(holder.id.as<AccountIdTag>()) ||
                            view.held(Holder::account(holder.id.as<AccountIdTag>())).pebbles != 0 ||  // these two: of an account's record
                            std::any_of(view.hot_keys.begin(), view.hot_keys.end(), [&](const auto& k) { return deposit_id(k.second) == holder.id; });
        leak(stands);
        break;
      }
      case HolderKind::bond: leak(view.verifiers.contains(holder.id.as<AccountIdTag>())); break;
      case HolderKind::unbonding: leak(amount.pebbles <= unbonding[holder.id.as<AccountIdTag>()]); break;
      case HolderKind::mint: leak(false); break;
      default: break;
    }
  }
  // What must hold a deposit does, and the same one for as long as it stands.
  const auto deposit = [&](const Hash& id, const char* what) {
    const Amount now = view.held(Holder::deposit(id)), then = before.held(Holder::deposit(id));
    require(now.pebbles != 0, std::string(what) + " " + short_id(id) + " stands without a deposit");
    require(then.pebbles == 0 || then == now, std::string("the deposit of ") + what + " " + short_id(id) + " changed");
  };
  if (genesis_.params.deposit_per_byte > 0) {
    for (const auto& [id, r] : view.jobs) deposit(id.as<HashTag>(), "job");
    for (const auto& [id, r] : view.offers) deposit(id.as<HashTag>(), "offer");
    for (const auto& [id, r] : view.assets) deposit(id.as<HashTag>(), "asset");
    for (const auto& [id, r] : view.reservations) deposit(id, "reservation");
  }
  for (const auto& [id, job] : view.jobs) {
    const Amount escrow = view.held(Holder::escrow(id));
    if (!is_live(job)) continue;
    const u128 due = static_cast<u128>(attest::pay_for(job.spec, job.spec.price_ceiling)->pebbles) + job.audits.pebbles + job.assets.pebbles;
    require(escrow.pebbles == due, "the escrow of job " + short_id(id) + " is not its quote");
    const Amount stake = view.held(Holder::job_stake(id));
    if (has_match(job) && job.state != JobState::matched && job.games.empty() && job.played.empty())
      require(stake == job.stake, "the stake in job " + short_id(id) + " is not what its policy asks");
  }
  for (const auto& [id, dispute] : view.games)
    if (!dispute.game.over())
      require(view.held(Holder::game(id)) == dispute.fee, "the fee in game " + short_id(id) + " is not what its challenger locked");
  require(view.held(Holder::burned()) >= before.held(Holder::burned()), "what was burned came back");
}

// ---- jobs and games ----

void Audit::check_jobs(const Records& view) const {
  for (const auto& [id, job] : view.jobs) {
    const std::string what = "job " + short_id(id) + ", " + std::string(name(job.state)) + " (" + std::string(name(job.phase)) + "), ";
    const auto queued = view.deadlines.find({job.timer.due, job.timer.seq});
    const bool timed = job.timer.seq != 0;
    if (timed) {
      require(queued != view.deadlines.end() && queued->second.id == id.as<HashTag>(), what + "has a timer that is not in the queue");
      require(queued->second.what == (is_terminal(job.state) ? Due::prune : Due::job), what + "has a timer of another kind");
    }
    const bool drawing = std::any_of(view.draws.begin(), view.draws.end(), [&id = id](const DueDraw& d) { return d.job == id; });
    require(drawing == (job.phase == JobPhase::draw), what + "and its draw do not agree");
    const bool committed = job.state == JobState::committed || job.state == JobState::disputed;
    require(committed == (job.phase != JobPhase::none), what + "is in a phase that its state has not");
    require((job.state == JobState::disputed) == !job.games.empty(), what + "and its open games do not agree");
    switch (job.state) {
      case JobState::open: require(!timed && job.provider.is_zero() && !job.commitment, what + "keeps something of a match"); break;
      case JobState::matched:
      case JobState::running: require(timed && !job.commitment, what + "waits without a deadline"); break;
      case JobState::committed:
      case JobState::disputed:
        require(job.commitment.has_value(), what + "has no commitment");
        require(job.phase == JobPhase::draw ? !timed && (number(job.draw_height) > number(view.height) || genesis_.params.max_deadlines_per_block < 100)
                                            : timed || (job.phase == JobPhase::window && !job.games.empty()),
                what + "waits without a deadline");
        break;
      default: require(timed, what + "is never pruned");
    }
    for (const GameId& game : job.games) {
      const auto at = view.games.find(game);
      require(at != view.games.end() && !at->second.game.over() && at->second.job == id, what + "lists a game that is not open");
    }
    for (const Check& check : job.checks)
      require(check.state != CheckState::agreed || check.record.knowledge == check.record.provider, what + "counts as agreed what differs");
    check_named(job, what);
  }
}

// Whoever takes part is somebody that the order allows, with the stake that it asks for.
void Audit::check_named(const Job& job, const std::string& what) const {
  const auto& spec = job.spec;
  const auto is_in = [](const std::vector<AccountId>& named, const AccountId& id) { return std::binary_search(named.begin(), named.end(), id); };
  std::map<uint64_t, const attest::DrawnCheck*> places;  // by segment
  std::set<std::pair<uint64_t, AccountId>> asked;
  for (const Check& check : job.checks) {
    const auto& draw = check.record.draw;
    require(asked.insert({draw.segment, draw.verifier}).second, what + "asks somebody twice about one segment");
    if (is_native(spec)) {
      require(is_in(spec.judges, draw.verifier), what + "is judged by somebody whom it does not name");
      continue;
    }
    require(draw.verifier != job.provider && draw.verifier != job.payee, what + "is checked by its own provider");
    if (!spec.viewers) continue;
    require(is_in(spec.viewers->verifiers, draw.verifier), what + "is checked by somebody who may not see it");
    const auto first = places.emplace(draw.segment, &draw).first->second;
    require(first->step == draw.step && first->work_offset == draw.work_offset, what + "asks a segment's jury about different calls");
  }
  if (job.provider.is_zero()) return;
  if (spec.viewers) require(is_in(spec.viewers->providers, job.provider), what + "is computed by somebody who may not see it");
  const auto& p = genesis_.params;
  const u128 reward = job.reward.pebbles, k = p.rule(spec.policy).segments, n = spec.segments(), drawn = k == 0 ? n : std::min(k, static_cast<u128>(n));
  const u128 of_policy = reward * p.rule(spec.policy).stake_permille / 1000, of_harm = (spec.harm.pebbles * (n - drawn) + drawn - 1) / drawn;
  require(job.stake.pebbles == (is_native(spec) ? reward * p.late_permille / 1000 : std::max(of_policy, of_harm)), what + "has another stake than its order asks");
  if (is_native(spec)) require(job.games.empty() && job.played.empty(), what + "is native and has a game");
}

// Nothing of a private job is opened before its owner has said so in this or an earlier block, with the key.
void Audit::check_consents(const Records& before, const Records& view, const Block& block) const {
  std::set<JobId> consented;
  for (size_t i = 0; i < block.transactions.size(); i++) {
    const auto transaction = decode<Transaction>(block.transactions[i]);
    const auto* body = transaction && block.results[i].code == 0 ? std::get_if<Consent>(&transaction->body) : nullptr;
    const auto job = body ? view.jobs.find(body->job) : view.jobs.end();
    if (job != view.jobs.end() && job->second.requester == transaction->sender && job->second.key == body->key) consented.insert(body->job);
  }
  for (const auto& [id, job] : view.jobs) {
    const std::string what = "job " + short_id(id) + " ";
    const auto then = before.jobs.find(id);
    require(!job.key || (then != before.jobs.end() && then->second.key == job.key) || consented.contains(id), what + "is opened without its owner's consent");
    if (job.spec.viewers && !job.key) require(job.games.empty() && job.played.empty(), what + "is private and has a game");
  }
  for (const auto& [id, dispute] : view.games) {
    const auto job = view.jobs.find(dispute.job);
    if (dispute.game.over() || job == view.jobs.end()) continue;
    const std::string what = "game " + short_id(id) + " ";
    require(dispute.game.terms.key == job->second.key, what + "is about other ids than its job's");
    const auto drawn = [&dispute = dispute](const Check& check) { return check.record.draw.verifier == dispute.challenger; };
    require(!job->second.spec.viewers || dispute.challenger == job->second.requester || std::any_of(job->second.checks.begin(), job->second.checks.end(), drawn),
            what + "opens private data for " + truth_.name(dispute.challenger));
  }
}

void Audit::check_games(const Records& before, const Records& view) const {
  for (const auto& [id, dispute] : view.games) {
    const std::string what = "game " + short_id(id) + " ";
    const auto queued = view.deadlines.find({dispute.clock.due, dispute.clock.seq});
    require(dispute.clock.seq != 0 && queued != view.deadlines.end() && queued->second.what == Due::game &&
                queued->second.id == id.as<HashTag>(),
            what + "has no clock");
    if (!dispute.game.over()) {
      const auto job = view.jobs.find(dispute.job);
      require(job != view.jobs.end() && std::count(job->second.games.begin(), job->second.games.end(), id) == 1, what + "is not its job's");
      continue;
    }
    const auto then = before.games.find(id);
    if (then != before.games.end() && then->second.game.over()) continue;
    // Who meant well has not lost.
    const auto& game = dispute.game;
    const bool provider = truth_.honest.contains(dispute.provider), challenger = truth_.honest.contains(dispute.challenger);
    require(!game.plan_false, what + "found a true plan false");
    require(!(provider && game.winner == attest::Party::challenger), what + "was lost by the honest provider " + truth_.name(dispute.provider) + ": " + game.reason);
    require(!(challenger && game.winner == attest::Party::provider), what + "was lost by the honest challenger " + truth_.name(dispute.challenger) + ": " + game.reason);
  }
}

void Audit::follow(const Event& event, const Records& before, const Records& view) {
  if (event.kind == "check.silent" || event.kind == "check.false") {
    for (const AccountId& id : truth_.honest)
      require(event.json.find(id.hex()) == std::string::npos, "the honest verifier " + truth_.name(id) + " was punished: " + event.kind);
    return;
  }
  if (!event.kind.starts_with("job.") || event.kind == "job.judged") return;
  const JobId id = event.id.as<JobIdTag>();
  Life& life = lives_[id];
  require(may_follow(life.last, event.kind), "job " + short_id(id) + ": " + event.kind + " after " + (life.last.empty() ? "nothing" : life.last));
  life.last = event.kind;
  life.height = view.height;

  const auto job_now = view.jobs.find(id);
  const auto job_then = before.jobs.find(id);
  const auto& p = genesis_.params;
  // A wait that began in this block and still stands has the length that its rule says.
  const auto waits = [&](JobState state, JobPhase phase, uint64_t wait_ms) {
    if (job_now == view.jobs.end()) return;
    const Job& job = job_now->second;
    if ((job.state == state || (phase != JobPhase::none && job.state == JobState::disputed)) && job.phase == phase)
      require(job.timer.due == after(view.now, wait_ms), "job " + short_id(id) + ": " + event.kind + " gives another time than its rule");
  };
  // What a deadline did was not early.
  const auto due = [&] {
    if (job_then != before.jobs.end() && job_then->second.timer.seq != 0)
      require(ms(job_then->second.timer.due) <= ms(view.now), "job " + short_id(id) + ": " + event.kind + " before its deadline");
  };
  if (job_now != view.jobs.end()) {
    const Job& job = job_now->second;
    if (event.kind == "job.matched") waits(JobState::matched, JobPhase::none, job.spec.accept_ms);
    if (event.kind == "job.accepted") waits(JobState::running, JobPhase::none, job.spec.run_ms);
    if (event.kind == "job.committed" && !job.spec.secret_hash.is_zero()) waits(JobState::committed, JobPhase::secret, p.secret_window_ms);
    if (event.kind == "job.drawn") waits(JobState::committed, JobPhase::verdicts, p.verdict_ms + rerun_ms(p, job.spec));
    if (event.kind == "job.answers") waits(JobState::committed, JobPhase::answers, p.reveal_ms);
    if (event.kind == "job.reveals") waits(JobState::committed, JobPhase::reveals, p.reveal_ms);
    if (event.kind == "job.consent") waits(JobState::committed, JobPhase::consent, p.reveal_ms);
    if (event.kind == "job.window") waits(JobState::committed, JobPhase::window, p.window_ms);
  }
  if (event.kind == "job.lapsed" || event.kind == "job.late" || event.kind == "job.pruned") due();
  if (event.kind == "job.committed") life.committed = view.height, life.draws = 0;
  if (event.kind == "job.drawn") {
    require(++life.draws <= 3, "job " + short_id(id) + " was drawn a fourth time");
    if (job_now != view.jobs.end() && !job_now->second.draws.empty()) {
      const auto& draw = job_now->second.draws.back();
      require(draw.height == view.height && draw.beacon == blocks_.back().header.header.beacon.beacon, "a draw used another beacon than its block's");
      require(number(draw.height) >= number(life.committed) + std::max<uint64_t>(1, p.draw_delay_blocks), "a draw came before its beacon was out of reach");
    }
  }
  if (event.kind == "job.settled") {
    require(job_then != before.jobs.end(), "a job was settled in its first block");
    const auto& [then_id, then] = *job_then;
    const bool judged = is_native(then.spec);
    require(then.phase == (judged ? JobPhase::verdicts : JobPhase::window), "a job was settled before " + std::string(judged ? "its judges were asked" : "its window"));
    if (!judged) due();
  }
  if (event.kind == "job.settled" || event.kind == "job.void" || event.kind == "job.cancelled") life.ended = true;
  if (event.kind == "job.pruned") lives_.erase(id);
  if (event.kind == "job.slashed" || event.kind == "job.late") {
    const AccountId provider = job_then != before.jobs.end() ? job_then->second.provider : AccountId{};
    // A jury that agrees is believed: check_jury() sees to it that nobody honest was part of it.
    const bool by_jury = event.kind == "job.slashed" && job_then != before.jobs.end() && job_then->second.spec.viewers && !job_then->second.key;
    require(by_jury || !truth_.honest.contains(provider), "the honest provider " + truth_.name(provider) + " was punished: " + event.kind);
  }
}

void Audit::check_receipt(const attest::ReceiptBody& receipt, const Records& before) {
  const std::string what = "receipt " + short_id(receipt.job) + "/" + std::to_string(receipt.attempt) + " ";
  const auto& p = genesis_.params;
  const auto then = before.jobs.find(receipt.job);
  u128 sum = 0;
  for (const auto& line : receipt.lines) sum += line.amount.pebbles;
  require(sum == receipt.held.pebbles, what + "pays another sum than was held");
  const u128 ceiling = attest::pay_for(receipt.spec, receipt.spec.price_ceiling)->pebbles;
  const u128 stake = then == before.jobs.end() ? 0 : before.held(Holder::job_stake(receipt.job)).pebbles;
  const u128 escrow = then == before.jobs.end() ? 0 : before.held(Holder::escrow(receipt.job)).pebbles;
  const bool quiet = then != before.jobs.end();
  u128 audits = 0;  // of a native job everybody that spoke is paid
  for (const auto& check : receipt.checks)
    if (check.did == attest::Checked::agreed || (is_native(receipt.spec) && check.did == attest::Checked::differed))
      audits += check_pay(receipt.spec, receipt.reward).pebbles;
  if (is_native(receipt.spec)) check_judges(receipt, what);
  switch (receipt.state) {
    case Ended::settled: {
      require(sum_of(receipt, {Purpose::pay, Purpose::vested}) == receipt.reward.pebbles, what + "does not pay the reward");
      require(receipt.reward.pebbles <= ceiling, what + "pays more than the ceiling");
      require(sum_of(receipt, {Purpose::audit}) == audits, what + "does not pay who agreed, once each");
      require(sum_of(receipt, {Purpose::pay, Purpose::vested, Purpose::royalty, Purpose::audit, Purpose::change}) == escrow, what + "splits another escrow");
      if (quiet) require(sum_of(receipt, {Purpose::stake_back}) == stake, what + "does not give the stake back");
      require(sum_of(receipt, {Purpose::slash_burn, Purpose::late, Purpose::refund}) == 0, what + "takes from an honest end");
      if (const auto* attempt = truth_.attempt(receipt.job, receipt.attempt); attempt && attempt->run && !is_native(receipt.spec))
        for (const auto& check : receipt.checks)
          require(!(attempt->run->false_segments().contains(check.draw.segment) && truth_.honest.contains(check.draw.verifier) &&
                    check.did != attest::Checked::undelivered),
                  what + "pays for a lie that the honest " + truth_.name(check.draw.verifier) + " was drawn for");
      break;
    }
    case Ended::slashed: {
      require(!is_native(receipt.spec), what + "slashes the stake of a native job");
      if (receipt.spec.viewers && receipt.code == Code::slashed && receipt.games.empty()) check_jury(receipt, what);
      const u128 taken = sum_of(receipt, {Purpose::slash_burn, Purpose::slash_requester, Purpose::slash_challenger});
      require(taken == sum, what + "has other lines than a slash");
      require(taken <= then->second.stake.pebbles, what + "takes more than the stake");
      if (quiet) require(taken == stake, what + "does not take the stake");
      require(sum_of(receipt, {Purpose::slash_burn}) == taken * p.slash_burn_permille / 1000, what + "burns another part");
      require(sum_of(receipt, {Purpose::slash_requester}) == taken * p.slash_requester_permille / 1000, what + "gives the requester another part");
      break;
    }
    case Ended::lapsed:
      require(sum_of(receipt, {Purpose::late, Purpose::stake_back}) == sum, what + "has other lines than a lapse");
      if (quiet) require(sum == stake, what + "does not give the stake back");
      require(sum_of(receipt, {Purpose::late}) <= static_cast<u128>(receipt.reward.pebbles) * p.late_permille / 1000, what + "takes too much for being late");
      break;
    default:
      if (then != before.jobs.end())
        require(sum_of(receipt, {Purpose::refund}) + (is_native(receipt.spec) ? audits : 0) == escrow, what + "does not refund the escrow");
      if (quiet && (is_native(receipt.spec) || then->second.phase == JobPhase::consent))
        require(sum_of(receipt, {Purpose::stake_back}) == stake, what + "takes from the stake although nothing is proven");
      if (quiet && then->second.phase == JobPhase::consent) require(receipt.fault == attest::Blame::none, what + "blames somebody although nothing is proven");
      if (quiet && receipt.state == Ended::voided)
        require(sum_of(receipt, {Purpose::stake_back, Purpose::slash_burn}) <= stake + p.verifier_silence, what + "moves more than the stake");
      if (quiet && receipt.code == Code::undelivered) {
        std::map<uint64_t, int> reports;
        for (const auto& check : receipt.checks) reports[check.draw.segment] += check.did == attest::Checked::undelivered ? 1 : check.verdict.is_zero() ? 0 : -10;
        const bool three = std::any_of(reports.begin(), reports.end(), [](const auto& segment) { return segment.second >= 3; });
        const u128 burned = sum_of(receipt, {Purpose::slash_burn}), fine = p.verifier_silence;
        require(three ? burned >= stake && burned <= std::max(stake, fine) : burned <= fine, what + "burns another part of the stake than its reports say");
      }
  }
  for (const auto& game : receipt.games)
    require(!(truth_.honest.contains(receipt.provider) && game.winner == attest::Party::challenger), what + "has a game lost by an honest provider");
}

// Judges decide by more than half of those that were named, and the honest ones speak, and say what is so.
void Audit::check_judges(const attest::ReceiptBody& receipt, const std::string& what) const {
  require(receipt.games.empty(), what + "has a game about a native job");
  if (receipt.checks.empty()) return;
  std::set<AccountId> against;
  for (const auto& check : receipt.checks)
    if (check.did == attest::Checked::differed) against.insert(check.draw.verifier);
  const bool refused = receipt.state == Ended::voided && receipt.fault == attest::Blame::provider;
  require(refused == (2 * against.size() > receipt.spec.judges.size()), what + "does not do what its judges said");
  const auto* attempt = truth_.attempt(receipt.job, receipt.attempt);
  if (!attempt || !attempt->run) return;
  const auto& wrong = attempt->run->false_segments();
  const bool lied = !attempt->tolerable && std::any_of(receipt.checks.begin(), receipt.checks.end(), [&](const auto& c) { return wrong.contains(c.draw.segment); });
  for (const auto& check : receipt.checks)
    require(!truth_.honest.contains(check.draw.verifier) || check.did == (lied || !attempt->served ? attest::Checked::differed : attest::Checked::agreed),
            what + "has not heard the honest judge " + truth_.name(check.draw.verifier));
}

// At least two jurors of a segment said the same against the provider, and whoever of them is honest was right.
void Audit::check_jury(const attest::ReceiptBody& receipt, const std::string& what) const {
  std::map<uint64_t, std::vector<const attest::CheckRecord*>> voices;
  for (const auto& check : receipt.checks)
    if (check.knowledge) voices[check.draw.segment].push_back(&check);
  const auto together = [&](const auto& segment) {
    const auto& spoke = segment.second;
    return spoke.size() >= 2 && std::all_of(spoke.begin(), spoke.end(), [&](const auto* voice) {
      const bool honest = truth_.honest.contains(voice->draw.verifier) && truth_.honest.contains(receipt.provider);
      return voice->knowledge == spoke.front()->knowledge && voice->knowledge != voice->provider && !honest;
    });
  };
  require(std::any_of(voices.begin(), voices.end(), together), what + "was slashed by no jury");
}

// ---- market ----

void Audit::check_market(const Records& view) const {
  const auto has_room = [](const auto& entry) { return entry.second.jobs < entry.second.jobs_max; };
  require(view.book.size() == static_cast<size_t>(std::count_if(view.offers.begin(), view.offers.end(), has_room)),
          "the book has not one entry an offer with a free slot");
  for (const BookEntry& entry : view.book) {
    const auto offer = view.offers.find(entry.offer);
    require(offer != view.offers.end() && offer->second.klass == entry.klass && offer->second.price == entry.price && offer->second.seq == entry.seq,
            "an entry of the book is not its offer's");
  }
  std::map<OfferId, uint32_t> taken;
  size_t open = 0;
  for (const auto& [id, job] : view.jobs) {
    open += job.state == JobState::open;
    if (has_match(job)) taken[job.offer]++;
  }
  require(view.waiting.size() == open, "the list of waiting jobs has not one entry an open job");
  for (const WaitingJob& entry : view.waiting) {
    const auto job = view.jobs.find(entry.job);
    require(job != view.jobs.end() && job->second.state == JobState::open && job->second.seq == entry.seq, "a waiting job is not open");
  }
  for (const auto& [id, offer] : view.offers) {
    require(offer.jobs == taken[id] && offer.jobs <= offer.jobs_max, "an offer counts other jobs than it has");
    require(offer.expiry.seq != 0 && view.deadlines.contains({offer.expiry.due, offer.expiry.seq}), "an offer never expires");
  }
  require(view.draws.size() == static_cast<size_t>(std::count_if(view.jobs.begin(), view.jobs.end(), [](const auto& j) { return j.second.phase == JobPhase::draw; })),
          "the list of draws has not one entry a waiting job");
  require(view.contents.size() == view.assets.size(), "the contents are not one an asset");
  for (const auto& [id, asset] : view.assets) {
    const auto place = view.contents.find(asset.content);
    require(place != view.contents.end() && place->second == id, "an asset's content names another");
    u128 parts = 0;
    for (const Share& share : asset.split) parts += share.parts;
    require(parts == kSplitParts, "an asset's split is not a whole");
  }
}

// Of what a drawn verifier took back stays what it may lose until the attempts that it was drawn for are over.
void Audit::check_duties(const Records& before, const Records& view) const {
  std::map<Bytes, Amount> expected, standing;
  for (const auto& [id, job] : view.jobs)
    for (const Check& check : job.checks)
      if (has_match(job) && !is_native(job.spec)) {
        const Amount least = least_bond(genesis_.params);
        const auto [duty, first] = expected.emplace(key_of(Duty{check.record.draw.verifier, job.draws.at(check.record.round).height, id, {}}), Amount{});
        duty->second = *add(duty->second, first ? std::max(job.stake, least) : least);
      }
  for (const Duty& duty : view.duties) standing.emplace(key_of(duty), duty.at_stake);
  require(standing == expected, "the duties are not those of the drawn verifiers");
  if (before.held(Holder::burned()) != view.held(Holder::burned())) return;  // fines of this block have taken some of it
  for (const auto& [seq, record] : before.unbondings) {
    const auto now = view.unbondings.find(seq);
    const Amount there = std::min(record.amount, before.held(Holder::unbonding(record.account)));
    const Amount left = now == view.unbondings.end() ? there : *subtract(there, std::min(there, now->second.amount));
    u128 owed = 0;
    for (const Duty& duty : before.duties)
      if (duty.verifier == record.account && duty.since <= height_of(seq) && standing.contains(key_of(duty))) owed += duty.at_stake.pebbles;
    const u128 had = static_cast<u128>(before.held(Holder::bond(record.account)).pebbles) + before.held(Holder::unbonding(record.account)).pebbles;
    require(left.pebbles == 0 || had >= owed + left.pebbles, "bond of " + truth_.name(record.account) + " left before the end of what it was drawn for");
  }
}

void Audit::check_queue(const Records& view, size_t fired) const {
  std::map<std::pair<Due, Hash>, size_t> owners;
  for (const auto& [place, deadline] : view.deadlines) owners[{deadline.what, deadline.id}]++;
  size_t expected = view.games.size() + view.offers.size() + view.unbondings.size();
  for (const auto& [id, job] : view.jobs) expected += job.timer.seq != 0;
  require(view.deadlines.size() == expected && owners.size() == expected, "the deadline queue is not what the records wait for");
  for (const auto& [seq, record] : view.unbondings) require(view.deadlines.contains({record.due, seq}), "an unbonding has no deadline");
  if (fired < genesis_.params.max_deadlines_per_block && !view.deadlines.empty())
    require(ms(view.deadlines.begin()->first.first) > ms(view.now), "a deadline has passed and nothing happened");
}

// ---- proofs ----

void Audit::check_proofs(const Chain& chain, const Records& view) {
  const auto last = must(chain.last());
  const Hash& root = last.header.header.state_root;
  require(last.header.header.height == view.height, "a proof is of another height");
  for (int i = 0; i < 2; i++) {
    Bytes from(2);
    for (auto& byte : from) byte = static_cast<uint8_t>(rng_.below(256));
    std::optional<attest::MapEntry> entry;
    const auto take = [&](ByteSpan key, ByteSpan value) {
      entry = map_entry(key, value);
      return false;
    };
    last.view->records(from, take);
    if (!entry) last.view->records({}, take);
    if (!entry) continue;
    const auto proof = last.prove(entry->key);
    require(static_cast<bool>(attest::check_present(root, *entry, proof)), "a record cannot be proven");
    require(!attest::check_absent(root, entry->key, proof), "a record that is there was proven absent");
    attest::MapEntry other = *entry;
    other.value = rng_.hash();
    require(!attest::check_present(root, other, proof), "another value was proven");
  }
  const Hash absent = rng_.hash();
  const auto proof = last.prove(absent);
  require(static_cast<bool>(attest::check_absent(root, absent, proof)), "an absent record cannot be proven absent");
  require(!attest::check_present(root, {absent, absent}, proof), "an absent record was proven");
}

void Audit::finish(const Chain& chain) {
  require(static_cast<bool>(chain.check()), "the whole state is not what the last header says");
  App again(genesis_);
  must(again.init());
  uint64_t next_event = 1;
  for (uint64_t h = 1; h <= number(chain.store().head()); h++) {
    const Block& block = this->block(Height{h});
    const attest::Header& header = block.header.header;
    ledger::Proposal proposal{header.height, header.wall_ms, attest::address_of(header.beacon.producer), {}, {}, {encode(header.beacon)}};
    proposal.entries.insert(proposal.entries.end(), block.transactions.begin(), block.transactions.end());
    const auto done = must(again.finalize(proposal, next_event));
    next_event += done.events.size();
    require(attest::header_id(done.header) == attest::header_id(block.header.header), "a replay gives another block " + std::to_string(h));
    again.committed(block.header);
  }
  const size_t every = std::max<size_t>(1, receipts_.size() / 8);
  for (size_t i = 0; i < receipts_.size(); i += every) {
    attest::Receipt receipt;
    receipt.body = receipts_[i];
    const auto last = must(chain.last());
    receipt.header = last.header;
    receipt.path = last.prove(attest::receipt_place(receipt.body.job, receipt.body.attempt));
    for (const auto& draw : receipt.body.draws) receipt.draw_headers.push_back(block(draw.height).header);
    const auto checked = attest::check_receipt(receipt, genesis_);
    require(static_cast<bool>(checked), "a receipt does not check out: " + (checked ? "" : checked.error().text));
  }
}

}  // namespace cairn::sim
