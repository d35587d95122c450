#include "ledger/market.h"

#include <algorithm>
#include <set>

#include "ledger/checks.h"

namespace cairn::ledger {
namespace {

// Cost in state of a job beside its spec, and of each check, on the generous side.
constexpr size_t kJobBytes = 1024;
constexpr size_t kCheckBytes = 512;
constexpr uint64_t kAcceptLeastIntervals = 5;  // a provider must see that it is matched, and answer
constexpr uint64_t kAcceptMaxMs = 3'600'000;   // a match binds an offer that nobody asked
constexpr uint64_t kRerunMaxMs = 86'400'000;  // a day: parties wait so long for one who runs a segment again

Error too_large(std::string what) { return {Code::limit, what + " is more than can be counted", "ask for less"}; }

u128 work_of(const attest::JobSpec& spec) { return std::max<u128>(1, static_cast<u128>(spec.step_work_ns) * spec.steps); }
BookEntry place_of(const Offer& offer) { return {offer.klass, offer.price, offer.seq, offer.id}; }
Bytes book_of(const attest::OfferClass& klass) {
  return make_key('b', static_cast<uint8_t>(klass.device), static_cast<uint8_t>(klass.numeric));
}
Bytes waiting_in(const attest::OfferClass& klass) {
  return make_key('w', static_cast<uint8_t>(klass.device), static_cast<uint8_t>(klass.numeric));
}

constexpr size_t kSliceLooks = 256;       // that one search has before the next one's turn
constexpr size_t kLookBytes = 16u << 10;  // of a job's record; a larger one costs a look for each

void queue(State& state, BlockContext& block, const Seeking& search) {
  const uint64_t seq = block.next_seq();
  state.put(PlaceInQueue{search.what, search.id, seq});
  state.put(Seeking{seq, search.what, search.id, search.from});
}

void leave_queue(State& state, const Seeking& search) {
  state.erase(PlaceInQueue{search.what, search.id, search.seq});
  state.erase(search);
}

// From its beginning, at the queue's end: what seeks already begins anew there, so that nobody has two places.
void seek(State& state, BlockContext& block, Sought what, const Hash& id) {
  if (const auto place = state.find<PlaceInQueue>(key_of(PlaceInQueue{what, id, 0}))) state.erase(Seeking{place->seq, what, id, {}});
  queue(state, block, {0, what, id, {}});
}

void match(State& state, BlockContext& block, Job job, Offer offer, const MatchTerms& terms) {
  unlist_job(state, job);
  offer.jobs++;
  if (offer.jobs == offer.jobs_max) state.erase(place_of(offer));
  state.put(offer);
  job.state = JobState::matched;
  job.rules = block.rules().number;
  job.offer = offer.id;
  job.provider = offer.owner;
  job.payee = offer.payee;
  job.provider_endpoint = offer.endpoint;
  job.price = offer.price;
  job.reward = terms.reward;
  job.stake = terms.stake;
  job.matched = block.now;
  job.tries++;
  state.disarm(job.timer);
  job.timer = state.arm(Due::job, job.id.as<HashTag>(), after(block.now, job.spec.accept_ms), block.next_seq());
  state.put(job);
  block.emit("job.matched", job.id.as<HashTag>(),
             {{"offer", to_json(job.offer)},
              {"provider", to_json(job.provider)},
              {"requester", to_json(job.requester)},
              {"price", to_json(job.price)},
              {"reward", to_json(job.reward)},
              {"stake", to_json(job.stake)},
              {"accept_by", to_json(job.timer.due)}});
}

// Each goes on with a search until it is over (true) or `looks` are spent.

// The cheapest, then oldest, offer that fits.
bool seek_offer(State& state, BlockContext& block, Seeking& search, size_t& looks) {
  auto job = state.job(search.id.as<JobIdTag>());
  if (!job || job->state != JobState::open) return true;
  std::optional<Offer> best;
  std::optional<MatchTerms> terms;
  bool over = true;
  Bytes next;
  state.scan<BookEntry>(book_of(job->spec.klass), [&](const BookEntry& entry) {
    if (entry.price > job->spec.price_ceiling) return false;
    if (looks == 0) {
      next = key_of(entry);
      return over = false;
    }
    looks--;
    auto offer = state.offer(entry.offer);
    CHECK(offer.has_value());
    terms = fits(state, block.params(), block.now, *job, *offer);
    if (terms) best = std::move(offer);
    return !best;
  }, search.from);
  search.from = next;
  if (best) match(state, block, *std::move(job), *std::move(best), *terms);
  return over;
}

// The oldest waiting jobs that the offer fits, as many as it has room for.
bool seek_jobs(State& state, BlockContext& block, Seeking& search, size_t& looks) {
  for (;;) {
    const auto offer = state.offer(search.id.as<OfferIdTag>());
    if (!offer || offer->jobs >= offer->jobs_max) return true;
    std::optional<Job> next;
    std::optional<MatchTerms> terms;
    bool over = true;
    Bytes from = search.from;  // the scan has its own while it goes on
    state.scan<WaitingJob>(waiting_in(offer->klass), [&](const WaitingJob& entry) {
      from = key_of(entry);
      if (looks == 0) return over = false;
      auto job = state.job(entry.job);
      CHECK(job.has_value());
      looks -= std::min(looks, 1 + state.bytes(key_of(*job))->size() / kLookBytes);
      terms = fits(state, block.params(), block.now, *job, *offer);
      if (terms) next = std::move(job);
      return !next;
    }, search.from);
    search.from = from;
    if (!next) return over;
    match(state, block, *std::move(next), *offer, *terms);
  }
}

bool seek_jobs_of_all(State& state, BlockContext& block, Seeking& search, size_t& looks) {
  std::vector<OfferId> found;
  bool over = true;
  Bytes next;
  state.scan<OwnedOffer>(make_key('p', search.id), [&](const OwnedOffer& entry) {
    if (looks == 0) {
      next = key_of(entry);
      return over = false;
    }
    looks--;
    found.push_back(entry.offer);
    return true;
  }, search.from);
  search.from = next;
  for (const OfferId& offer : found) seek(state, block, Sought::jobs, offer.as<HashTag>());
  return over;
}

}  // namespace

uint64_t checks_of(const attest::ChainParams& params, const attest::JobSpec& spec) {
  return attest::drawn_segments(params, spec) * spec.checkers();
}

Amount check_pay(const attest::JobSpec& spec, Amount reward) {
  return std::max(Amount{1}, Amount{reward.pebbles / std::max<uint64_t>(1, spec.segments())});
}

std::optional<Amount> stake_of(const attest::ChainParams& params, const attest::JobSpec& spec, Amount reward) {
  if (spec.tier == attest::Tier::native) return scale(reward, params.late_permille, 1000);
  const auto of_policy = scale(reward, params.rule(spec.policy).stake_permille, 1000);
  const auto of_harm = attest::stake_for_harm(spec.harm, spec.segments(), attest::drawn_segments(params, spec));
  if (!of_policy || !of_harm) return std::nullopt;
  return std::max(*of_policy, *of_harm);
}

std::vector<AssetId> assets_of(const attest::JobSpec& spec) {
  std::set<AssetId> seen;
  std::vector<AssetId> out;
  const auto add_once = [&](const AssetId& id) {
    if (!id.is_zero() && seen.insert(id).second) out.push_back(id);
  };
  add_once(spec.program_asset);
  for (const auto& input : spec.inputs) add_once(input.asset);
  return out;
}

Result<Quote> quote(const State& state, const attest::ChainParams& params, const attest::JobSpec& spec) {
  TRY(attest::check(spec));
  const size_t bytes = encode(spec).size();
  if (bytes > kMaxSpecBytes)
    return Error{Code::limit, "the order has " + std::to_string(bytes) + " bytes, more than " + std::to_string(kMaxSpecBytes),
                 "bind fewer inputs, or shorten their names"};
  Quote out;
  out.segments = spec.segments();
  out.checks = checks_of(params, spec);
  if (out.checks > kMaxChecks)
    return Error{Code::limit,
                 "the policy draws " + std::to_string(out.checks) + " checks; a job may have " + std::to_string(kMaxChecks),
                 "take a longer checkpoint interval or another policy"};

  if (spec.accept_ms < kAcceptLeastIntervals * params.interval_ms || spec.accept_ms > kAcceptMaxMs)
    return Error{Code::invalid, "a matched provider would have " + std::to_string(spec.accept_ms) + " ms to accept",
                 "give it five block intervals at least (" + std::to_string(kAcceptLeastIntervals * params.interval_ms) + " ms) and an hour at most"};
  if (const uint64_t wait_ms = rerun_ms(params, spec); wait_ms > kRerunMaxMs)
    return Error{Code::limit, "whoever runs a segment again would have " + std::to_string(wait_ms / 1000) + " s for it, more than a day",
                 spec.interval > 1 ? "take a shorter checkpoint interval" : "make a step of less work"};

  const auto reward = attest::pay_for(spec, spec.price_ceiling);
  if (!reward) return too_large("the reward");
  out.reward = *reward;
  const auto audits = scale(check_pay(spec, *reward), out.checks, 1);
  if (!audits) return too_large("the audits' pay");
  out.audits = *audits;

  const auto check_content = [&](const AssetId& id, const Hash& content, std::string_view what) -> Result<> {
    if (id.is_zero()) return {};
    const auto asset = state.asset(id);
    if (!asset) return gone("asset", id.as<HashTag>());
    if (asset->content != content && asset->origin.is_zero())
      return Error{Code::invalid, std::string(what) + " is not the content of asset " + id.hex().substr(0, 16),
                   "name the asset whose bytes these are"};
    return {};
  };
  TRY(check_content(spec.program_asset, spec.program, "the program"));
  for (const auto& input : spec.inputs) TRY(check_content(input.asset, input.id, "input " + input.name));
  const auto assets = assets_of(spec);
  if (assets.size() > kMaxAssets) return Error{Code::limit, "a job may use 64 assets", "use fewer"};
  size_t shares = 0;
  for (const AssetId& id : assets) {
    const auto asset = state.asset(id);
    if ((shares += asset->split.size()) > kMaxShares)
      return Error{Code::limit, "more than 512 shares would be paid out of one job", "use assets of fewer owners"};
    const auto sum = add(out.assets, asset->price);
    if (!sum) return too_large("the assets' price");
    out.assets = *sum;
  }

  out.deposit = deposit_of(params, bytes + kJobBytes + kCheckBytes * out.checks);
  const auto stake = stake_of(params, spec, *reward);
  if (!stake) return too_large("the stake");
  out.stake = *stake;
  std::optional<Amount> total = out.reward;
  for (const Amount part : {out.audits, out.assets, out.deposit})
    if (total) total = add(*total, part);
  if (!total) return too_large("the price");
  out.total = *total;
  return out;
}

std::optional<MatchTerms> fits(const State& state, const attest::ChainParams& params, ChainTime now, const Job& job, const Offer& offer) {
  if (offer.price > job.spec.price_ceiling || !(offer.klass == job.spec.klass)) return std::nullopt;
  if (offer.jobs >= offer.jobs_max || offer.memory_bytes < job.spec.memory_bytes) return std::nullopt;
  if (ms(offer.expiry.due) <= ms(now)) return std::nullopt;
  if (std::find(offer.policies.begin(), offer.policies.end(), job.spec.policy) == offer.policies.end()) return std::nullopt;
  if (std::find(job.met.begin(), job.met.end(), offer.owner) != job.met.end()) return std::nullopt;
  if (job.spec.tier == attest::Tier::native && !offer.native) return std::nullopt;
  if (const auto& viewers = job.spec.viewers)
    if (!std::binary_search(viewers->providers.begin(), viewers->providers.end(), offer.owner)) return std::nullopt;
  if (offer.speed > 0 && work_of(job.spec) > static_cast<u128>(offer.speed) * job.spec.run_ms) return std::nullopt;
  const auto reward = attest::pay_for(job.spec, offer.price), ceiling = attest::pay_for(job.spec, job.spec.price_ceiling);
  if (!reward || !ceiling) return std::nullopt;
  const uint64_t checks = checks_of(params, job.spec);
  const auto audits = scale(check_pay(job.spec, *ceiling), checks, 1);
  if (checks > kMaxChecks || !audits || *audits > job.audits) return std::nullopt;
  const auto stake = stake_of(params, job.spec, *reward);
  if (!stake || state.balance(Holder::stake(offer.owner)) < *stake) return std::nullopt;
  return MatchTerms{*reward, *stake};
}

void list_job(State& state, BlockContext& block, Job& job) {
  job.state = JobState::open;
  state.put(WaitingJob{job.spec.klass, job.seq, job.id});
  state.put(job);
  seek(state, block, Sought::offer, job.id.as<HashTag>());
}

void unlist_job(State& state, const Job& job) { state.erase(WaitingJob{job.spec.klass, job.seq, job.id}); }

void list_offer(State& state, BlockContext& block, const Offer& offer) {
  state.put(offer);
  state.put(place_of(offer));
  state.put(OwnedOffer{offer.owner, offer.seq, offer.id});
  seek(state, block, Sought::jobs, offer.id.as<HashTag>());
}

void remove_offer(State& state, BlockContext& block, Offer offer, std::string_view why) {
  const Hash id = offer.id.as<HashTag>();
  state.disarm(offer.expiry);
  state.erase(place_of(offer));
  state.erase(OwnedOffer{offer.owner, offer.seq, offer.id});
  state.erase(offer);
  state.move_all(Holder::deposit(id), Holder::account(offer.owner));
  block.emit("offer.removed", id, {{"owner", to_json(offer.owner)}, {"why", json_quote(why)}});
}

void note_speed(State& state, const attest::ChainParams& params, const Job& job) {
  constexpr uint64_t kIntervals = 20;
  auto offer = state.offer(job.offer);
  const uint64_t took_ms = ms(job.committed) - ms(job.accepted);
  if (!offer || job.spec.tier != attest::Tier::exact || took_ms < kIntervals * params.interval_ms) return;
  offer->speed = static_cast<uint64_t>(std::min<u128>(work_of(job.spec) / took_ms, UINT64_MAX));
  state.put(*offer);
}

void note_late(State& state, const Job& job) {
  auto offer = state.offer(job.offer);
  if (!offer || job.spec.tier != attest::Tier::exact) return;
  const uint64_t below = static_cast<uint64_t>(std::min<u128>((work_of(job.spec) - 1) / job.spec.run_ms, UINT64_MAX));
  if (offer->speed == 0 || offer->speed > below) offer->speed = std::max<uint64_t>(1, below);
  state.put(*offer);
}

void free_slot(State& state, const OfferId& id) {
  auto offer = state.offer(id);
  if (!offer) return;
  CHECK(offer->jobs > 0);
  if (offer->jobs == offer->jobs_max) state.put(place_of(*offer));
  offer->jobs--;
  state.put(*offer);
}

void look_for_jobs(State& state, BlockContext& block, const AccountId& owner) {
  seek(state, block, Sought::jobs_of_all, owner.as<HashTag>());
}

void run_searches(State& state, BlockContext& block) {
  constexpr size_t kAtOnce = 256;  // taken from the queue: what they add to it comes after them
  size_t looks = block.params().max_looks_per_block;
  for (;;) {
    auto oldest = state.all<Seeking>(make_key('m'), kAtOnce);
    if (oldest.empty()) return;
    for (Seeking& search : oldest) {
      if (looks == 0) return;
      if (!state.bytes(key_of(search))) continue;  // it has begun anew meanwhile
      size_t left = std::min(looks, kSliceLooks);
      looks -= left;
      const bool over = search.what == Sought::offer  ? seek_offer(state, block, search, left)
                        : search.what == Sought::jobs ? seek_jobs(state, block, search, left)
                                                      : seek_jobs_of_all(state, block, search, left);
      looks += left - std::min<size_t>(over ? left : 0, 1);  // one that finds nothing to look at is no work for nothing either
      leave_queue(state, search);
      if (!over) queue(state, block, search);
    }
  }
}

}  // namespace cairn::ledger
