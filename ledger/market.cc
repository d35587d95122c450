#include "ledger/market.h"

#include <set>

namespace cairn::ledger {
namespace {

// Cost in state of a job beside its spec, and of each check, on the generous side.
constexpr size_t kJobBytes = 1024;
constexpr size_t kCheckBytes = 512;

Error too_large(std::string what) { return {Code::limit, what + " is more than can be counted", "ask for less"}; }

bool fits(const State& state, const BlockContext& block, const Job& job, const Offer& offer, Amount& reward, Amount& stake) {
  if (offer.jobs >= offer.jobs_max || offer.memory_bytes < job.spec.memory_bytes) return false;
  if (ms(offer.expiry.due) <= ms(block.now)) return false;
  if (std::find(offer.policies.begin(), offer.policies.end(), job.spec.policy) == offer.policies.end()) return false;
  if (std::find(job.met.begin(), job.met.end(), offer.owner) != job.met.end()) return false;
  const auto pay = attest::pay_for(job.spec, offer.price);
  if (!pay) return false;
  const auto needed = stake_of(block.params(), job.spec.policy, *pay);
  if (!needed || state.balance(Holder::stake(offer.owner)) < *needed) return false;
  reward = *pay;
  stake = *needed;
  return true;
}

// The cheapest, then oldest, offer that fits. Matches and stores the job; false when there is none among those that may be
// looked at.
bool try_book(State& state, BlockContext& block, Job& job, size_t& tries_left) {
  std::optional<Offer> best;
  state.scan<BookEntry>(
      make_key('b', static_cast<uint8_t>(job.spec.klass.device), static_cast<uint8_t>(job.spec.klass.numeric)),
      [&](const BookEntry& entry) {
        if (entry.price > job.spec.price_ceiling || tries_left == 0) return false;
        tries_left--;
        auto offer = state.offer(entry.offer);
        CHECK(offer.has_value());
        if (fits(state, block, job, *offer, job.reward, job.stake)) best = std::move(offer);
        return !best;
      });
  if (!best) return false;

  unlist_job(state, job);
  best->jobs++;
  state.put(*best);
  job.state = JobState::matched;
  job.offer = best->id;
  job.provider = best->owner;
  job.payee = best->payee;
  job.provider_endpoint = best->endpoint;
  job.price = best->price;
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
  return true;
}

}  // namespace

uint64_t checks_of(const attest::ChainParams& params, const attest::JobSpec& spec) {
  const uint64_t k = params.rule(spec.policy).segments;
  return k == 0 ? spec.segments() : std::min<uint64_t>(k, spec.segments());
}

Amount check_pay(const attest::JobSpec& spec, Amount reward) {
  return std::max(Amount{1}, Amount{reward.pebbles / std::max<uint64_t>(1, spec.segments())});
}

std::optional<Amount> stake_of(const attest::ChainParams& params, attest::Policy policy, Amount reward) {
  return scale(reward, params.rule(policy).stake_permille, 1000);
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
  if (spec.tier != attest::Tier::exact)
    return Error{Code::invalid, "this chain takes exact jobs only", "set the tier to exact"};
  Quote out;
  out.segments = spec.segments();
  out.checks = checks_of(params, spec);
  if (out.checks > kMaxChecks)
    return Error{Code::limit,
                 "the policy draws " + std::to_string(out.checks) + " segments; a job may have " + std::to_string(kMaxChecks),
                 "take a longer checkpoint interval or another policy"};

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
  for (const AssetId& id : assets) {
    const auto sum = add(out.assets, state.asset(id)->price);
    if (!sum) return too_large("the assets' price");
    out.assets = *sum;
  }

  out.deposit = deposit_of(params, encode(spec).size() + kJobBytes + kCheckBytes * out.checks);
  const auto stake = stake_of(params, spec.policy, *reward);
  if (!stake) return too_large("the stake");
  out.stake = *stake;
  std::optional<Amount> total = out.reward;
  for (const Amount part : {out.audits, out.assets, out.deposit})
    if (total) total = add(*total, part);
  if (!total) return too_large("the price");
  out.total = *total;
  return out;
}

void list_job(State& state, BlockContext& block, Job& job) {
  job.state = JobState::open;
  state.put(WaitingJob{job.spec.klass, job.seq, job.id});
  state.put(job);
  size_t tries_left = kOffersTried;
  try_book(state, block, job, tries_left);
}

void unlist_job(State& state, const Job& job) { state.erase(WaitingJob{job.spec.klass, job.seq, job.id}); }

void match_waiting(State& state, BlockContext& block, const attest::OfferClass& klass) {
  const auto waiting = state.all<WaitingJob>(
      make_key('w', static_cast<uint8_t>(klass.device), static_cast<uint8_t>(klass.numeric)), kJobsTried);
  size_t tries_left = kOffersTried;
  for (const auto& entry : waiting) {
    auto job = state.job(entry.job);
    CHECK(job.has_value());
    try_book(state, block, *job, tries_left);
  }
}

void list_offer(State& state, BlockContext& block, const Offer& offer) {
  state.put(offer);
  state.put(BookEntry{offer.klass, offer.price, offer.seq, offer.id});
  match_waiting(state, block, offer.klass);
}

void remove_offer(State& state, BlockContext& block, Offer offer, std::string_view why) {
  const Hash id = offer.id.as<HashTag>();
  state.disarm(offer.expiry);
  state.erase(BookEntry{offer.klass, offer.price, offer.seq, offer.id});
  state.erase(offer);
  state.move_all(Holder::deposit(id), Holder::account(offer.owner));
  block.emit("offer.removed", id, {{"owner", to_json(offer.owner)}, {"why", json_quote(why)}});
}

void free_slot(State& state, const OfferId& id) {
  auto offer = state.offer(id);
  if (!offer) return;
  CHECK(offer->jobs > 0);
  offer->jobs--;
  state.put(*offer);
}

}  // namespace cairn::ledger
