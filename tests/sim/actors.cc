#include "tests/sim/actors.h"

#include "ledger/market.h"

namespace cairn::sim {

using attest::Lie;
using attest::Party;
using attest::Policy;
using attest::Trial;

namespace {

constexpr uint64_t kPrice = 1'000'000'000'000'000'000;  // of a program's whole work: some ten thousand pebbles

Hash secret_of(const AccountId& requester, uint64_t number) { return tagged_hash("secret", {requester.span(), encode(number)}); }
Hash secret_hash(const Hash& secret) { return tagged_hash("cairn.secret.v1", {secret.span()}); }

// What somebody holds against a segment, right or wrong: in every other one about its last step, so that its end is another.
Lie grudge(uint64_t segment) { return {Lie::value, segment * kInterval + segment % kInterval, 0, 0, 0, 5, 2}; }

// The segment as a party holds it that once lied about it.
Trial& lied(const Run& run, uint64_t segment) {
  const Lie& lie = run.lie();
  const bool here = lie.kind == Lie::seed ? segment * kInterval + kInterval > lie.step : lie.step / kInterval == segment;
  return run.rerun(segment, here ? lie : Lie{});
}

bool is_native(const Job& job) { return job.spec.tier == attest::Tier::native; }

bool takes_part(const Job& job, const AccountId& verifier) {
  return std::any_of(job.checks.begin(), job.checks.end(), [&](const Check& c) { return c.record.draw.verifier == verifier; });
}

}  // namespace

// ---- requesters ----

void Requester::open(const Records& view) {
  const bool is_private = !view.offers.empty() && rng_.chance(200);
  attest::JobSpec spec = rng_.of(is_private ? private_programs() : programs()).spec();
  spec.price_ceiling = Amount{kPrice + kPrice / 1000 * rng_.below(300)};
  spec.policy = static_cast<Policy>(rng_.between(1, 4));
  spec.require_audit = rng_.chance(200);
  spec.accept_ms = 3'000;
  spec.run_ms = 6'000;
  spec.endpoint = "tcp://requester";
  if (is_private) name_viewers(spec, view);
  if (rng_.chance(200)) name_judges(spec, view);
  if (spec.tier == attest::Tier::exact && rng_.chance(150)) spec.harm = Amount{rng_.below(40'000)};
  if (rng_.chance(600)) {
    const Hash secret = secret_of(id(), opened_);
    spec.secret_hash = secret_hash(secret);
    secrets_[spec.secret_hash] = secret;
  }
  for (auto& input : spec.inputs)  // nothing private is found here: its ids are keyed
    if (const auto asset = view.contents.find(input.id); asset != view.contents.end() && rng_.chance(700)) input.asset = asset->second;
  send(about("open", opened_), OpenJob{spec});
  opened_++;
}

// An odd number of them; with nobody to name the job stays exact.
void Requester::name_judges(attest::JobSpec& spec, const Records& view) {
  std::set<AccountId> judges;
  for (const auto& [id, verifier] : view.verifiers)
    if (rng_.chance(600)) judges.insert(id);
  if (rng_.chance(200)) judges.insert(id());
  if (judges.size() % 2 == 0 && !judges.empty()) judges.erase(judges.begin());
  if (judges.empty()) return;
  spec.tier = attest::Tier::native;
  spec.judges.assign(judges.begin(), judges.end());
}

void Requester::name_viewers(attest::JobSpec& spec, const Records& view) {
  std::set<AccountId> providers;
  for (const auto& [id, offer] : view.offers)
    if (providers.empty() || rng_.chance(700)) providers.insert(offer.owner);
  spec.viewers = attest::Viewers{{providers.begin(), providers.end()}, {}, attest::private_key_hash(*program_of(spec.plan_root, true).example.key)};
  for (const auto& [id, verifier] : view.verifiers)
    if (rng_.chance(800)) spec.viewers->verifiers.push_back(id);
}

// What nobody else may decide: whether a private job is opened, and what its owner says as its own judge.
void Requester::decide_about(const Job& job) {
  const auto& judges = job.spec.judges;
  if (job.phase == JobPhase::verdicts && std::binary_search(judges.begin(), judges.end(), id()))
    send(about("judge", job.id, job.tries), Judge{job.id, false});
  if (!job.spec.viewers || !job.commitment || is_native(job)) return;
  enum { never, when_asked, at_once, attitudes };
  const int attitude = job.id.v[0] % attitudes;
  if (!job.key && (attitude == at_once || (attitude == when_asked && job.phase == JobPhase::consent)))
    send(about("consent", job.id), Consent{job.id, *program_of(job.spec).example.key});
  const auto* attempt = network_.truth.attempt(job.id, job.tries - 1);
  if (!attempt || !attempt->run) return;
  const auto challenge = [&](uint64_t segment, const Lie& lie) {
    const Hash end = attempt->run->rerun(segment, lie).step_roots().back();
    send(about("challenge", job.id, job.tries), Challenge{job.id, segment, end, attempt->run->segment(job.spec, segment)});
  };
  const auto& wrong = attempt->run->false_segments();
  if (attitude == never) challenge(1, grudge(1));  // a game, and nothing opened
  else if (job.key && attempt->served && !wrong.empty()) challenge(*wrong.begin(), {});
}

void Requester::act(const Records& view) {
  size_t mine = 0;
  for (const auto& [id, job] : view.jobs) {
    if (job.requester != this->id() || is_terminal(job.state)) continue;
    mine++;
    if (job.phase == JobPhase::secret)
      if (const auto secret = secrets_.find(job.spec.secret_hash); secret != secrets_.end())
        send(about("reveal", id, job.tries), RevealSecret{id, secret->second});
    decide_about(job);
    const bool unwanted = network_.draining || rng_.chance(4);
    if (unwanted && (job.state == JobState::open || job.state == JobState::matched)) send(about("cancel", id, job.tries), CancelJob{id});
  }
  play_challenges(view, [](const Run& run, uint64_t segment) -> Trial& { return run.rerun(segment); });
  if (!network_.draining && mine < 2 && rng_.chance(200)) open(view);
}

// ---- providers ----

Provider::Provider(Network& network, Place place, std::string name, const SecretKey& key, Rng rng, Kind kind, AccountId payee)
    : Client(network, place, std::move(name), key, rng), kind_(kind), payee_(payee) {
  urgent_ = true;
  if (kind == Kind::honest) network.truth.honest.insert(id());
}

const Run& Provider::run_of(const Job& job) {
  auto& mine = runs_[{job.id, job.tries}];
  if (!mine) {
    const Program& program = program_of(job.spec);
    const bool rounds = kind_ == Kind::honest && is_native(job) && rng_.chance(300);
    const bool lies = kind_ == Kind::liar && rng_.chance(700);
    mine = run(program, rounds || lies ? random_lie(program, rng_) : Lie{});
    network_.truth.attempts[{job.id, job.tries - 1}] = {mine, kind_ != Kind::withholder, rounds};
  }
  return *mine;
}

void Provider::act(const Records& view) {
  bool offers = false;
  for (const auto& [id, offer] : view.offers) offers |= offer.owner == this->id();
  if (!network_.draining) {
    if (view.held(Holder::stake(id())).pebbles < 600'000 && view.held(Holder::account(id())).pebbles > 3'000'000 && rng_.chance(500))
      send(about("stake", stakes_++), Stake{Amount{400'000 + rng_.below(200'000)}});
    if (!offers && rng_.chance(500)) {
      PostOffer offer;
      offer.price = Amount{kPrice - kPrice / 1000 * rng_.below(200)};
      offer.payee = payee_;
      offer.endpoint = "tcp://provider";
      offer.memory_bytes = UINT64_MAX;
      offer.jobs_max = static_cast<uint32_t>(rng_.between(1, 3));
      offer.policies = {Policy::starter, Policy::standard, Policy::careful, Policy::all};
      if (rng_.chance(300)) offer.policies.erase(offer.policies.begin());
      offer.expiry = after(view.now, rng_.between(3'000, 14'000));
      offer.native = rng_.chance(600);
      send(about("offer", offers_++), offer);
    }
    if (rng_.chance(15))
      for (const auto& [id, offer] : view.offers)
        if (offer.owner == this->id()) send(about("withdraw", id), WithdrawOffer{id});
    if (rng_.chance(15)) {
      const Amount amount{1 + rng_.below(300'000)};
      send(about("unstake", rng_.next()), Unstake{amount});
    }
  }
  for (const auto& [id, job] : view.jobs)
    if (job.provider == this->id() && !is_terminal(job.state)) serve(job);
  for (const auto& [id, dispute] : view.games) {
    if (dispute.provider != this->id() || dispute.game.over() || kind_ == Kind::mute) continue;
    const auto job = view.jobs.find(dispute.job);
    if (job == view.jobs.end()) continue;
    play(dispute, Party::provider, lied(run_of(job->second), dispute.game.terms.segment));
  }
}

void Provider::serve(const Job& job) {
  if (job.state == JobState::matched) {
    if (kind_ == Kind::late && job.tries % 3 == 0) return;  // lapses
    run_of(job);
    send(about("accept", job.id, job.tries), Accept{job.id});
  } else if (job.state == JobState::running) {
    if (rng_.chance(100)) send(about("again", rng_.next()), Accept{job.id});  // refused
    if (kind_ == Kind::late) return;
    if (rng_.chance(500)) send(about("commit", job.id, job.tries), Commit{run_of(job).commitment(job.id, job.spec)});
  } else if (job.phase == JobPhase::answers) {
    if (kind_ == Kind::mute) return;
    for (const Check& check : job.checks) {
      if (check.state != CheckState::committed) continue;
      const uint64_t segment = check.record.draw.segment;
      Trial& mine = lied(run_of(job), segment);
      Hash call_id = knowledge(program_of(job.spec), check.record.draw, mine).call_id;
      if (kind_ == Kind::false_answer) call_id = tagged_hash("no call", {call_id.span()});
      send(about("answer", job.id, job.tries, segment),  // all who check a segment look at one call
           AnswerCheck{job.id, segment, call_id, run_of(job).segment(job.spec, segment)});
    }
  }
}

// ---- verifiers ----

VerifierActor::VerifierActor(Network& network, Place place, std::string name, const SecretKey& key, Rng rng, Kind kind)
    : Client(network, place, std::move(name), key, rng), kind_(kind) {
  urgent_ = true;
  if (kind == Kind::honest) network.truth.honest.insert(id());
}

Trial& VerifierActor::rerun(const Run& run, uint64_t segment) {
  if (kind_ == Kind::accomplice) return lied(run, segment);
  if (kind_ == Kind::framer) return run.rerun(segment, grudge(segment));
  return run.rerun(segment);
}

void VerifierActor::act(const Records& view) {
  const Amount bond = view.held(Holder::bond(id()));
  const bool drawn = std::any_of(view.jobs.begin(), view.jobs.end(), [&](const auto& j) { return !is_terminal(j.second.state) && takes_part(j.second, id()); });
  if (!network_.draining && bond.pebbles < 50'000 && rng_.chance(500))
    send(about("bond", bonds_++), Bond{Amount{910'000 + rng_.below(1'000'000)}, "tcp://verifier"});
  if (!network_.draining && rng_.chance(10) && (!drawn || kind_ != Kind::honest)) {
    const Amount amount = rng_.chance(500) ? bond : Amount{1 + rng_.below(bond.pebbles + 1)};
    send(about("unbond", rng_.next()), Unbond{amount});
  }
  if (kind_ == Kind::silent) return;
  for (const auto& [id, job] : view.jobs) {
    if (is_native(job)) {
      if (takes_part(job, this->id())) judge(job);
      continue;
    }
    for (const Check& check : job.checks)
      if (check.record.draw.verifier == this->id()) this->check(job, check);
  }
  if (kind_ != Kind::lazy) play_challenges(view, [this](const Run& run, uint64_t segment) -> Trial& { return rerun(run, segment); });
}

void VerifierActor::judge(const Job& job) {
  const auto* attempt = network_.truth.attempt(job.id, job.tries - 1);
  if (job.phase != JobPhase::verdicts || !attempt || !attempt->run) return;
  const auto& wrong = attempt->run->false_segments();
  bool pays = attempt->served && (attempt->tolerable || std::none_of(job.checks.begin(), job.checks.end(), [&](const Check& c) { return wrong.contains(c.record.draw.segment); }));
  if (kind_ == Kind::lazy || kind_ == Kind::accomplice) pays = true;
  if (kind_ == Kind::framer || kind_ == Kind::never_served) pays = false;
  send(about("judge", job.id, job.tries), Judge{job.id, pays});
}

void VerifierActor::check(const Job& job, const Check& check) {
  const auto* attempt = network_.truth.attempt(job.id, job.tries - 1);
  if (!attempt || !attempt->run) return;
  const auto& draw = check.record.draw;
  const Hash salt = tagged_hash("salt", {id().span(), job.id.span(), encode(draw.segment)});
  const Program& program = program_of(job.spec);
  if (job.phase == JobPhase::verdicts && check.state == CheckState::drawn) {
    const bool served = attempt->served && kind_ != Kind::never_served;
    if (!served && kind_ != Kind::lazy) return send(about("undelivered", job.id, job.tries, draw.segment), ReportUndelivered{job.id, draw.segment});
    Trial& mine = rerun(*attempt->run, draw.segment);
    attest::Knowledge known = knowledge(program, draw, mine);
    if (kind_ == Kind::lazy) known = {tagged_hash("guess", {}), attempt->run->roots()[draw.segment]};
    send(about("verdict", job.id, job.tries, draw.segment), CommitVerdict{job.id, draw.segment, attest::verdict_hash(salt, id(), job.id, draw.segment, known)});
  } else if (job.phase == JobPhase::reveals && check.state == CheckState::answered) {
    Trial& mine = rerun(*attempt->run, draw.segment);
    attest::Knowledge known = knowledge(program, draw, mine);
    if (kind_ == Kind::lazy) known = {tagged_hash("guess", {}), attempt->run->roots()[draw.segment]};
    std::optional<DrawnCall> call;
    if (known != *check.record.provider && (kind_ != Kind::lazy || rng_.chance(500))) call = drawn_call(program, draw);
    send(about("reveal", job.id, job.tries, draw.segment), RevealVerdict{job.id, draw.segment, salt, known, call});
  }
}

// ---- challengers ----

Challenger::Challenger(Network& network, Place place, std::string name, const SecretKey& key, Rng rng, bool honest)
    : Client(network, place, std::move(name), key, rng), honest_(honest) {
  urgent_ = true;
  if (honest) network.truth.honest.insert(id());
}

void Challenger::act(const Records& view) {
  for (const auto& [id, job] : view.jobs) {
    if (!job.commitment || is_terminal(job.state)) continue;
    const auto* attempt = network_.truth.attempt(id, job.tries - 1);
    if (!attempt || !attempt->run || !attempt->served) continue;
    if (!looked_at_.insert({id, job.tries}).second) continue;
    if (honest_ && (is_native(job) || job.spec.viewers)) continue;  // not its to challenge; the others try
    if (honest_) {
      for (const uint64_t segment : attempt->run->false_segments()) {
        send(about("challenge", id, job.tries, segment),
             Challenge{id, segment, attempt->run->rerun(segment).step_roots().back(), attempt->run->segment(job.spec, segment)});
        break;
      }
    } else if (rng_.chance(300)) {
      const uint64_t segment = rng_.below(kSegments);
      Trial& mine = attempt->run->rerun(segment, grudge(segment));
      send(about("challenge", id, job.tries, segment), Challenge{id, segment, mine.step_roots().back(), attempt->run->segment(job.spec, segment)});
    }
  }
  play_challenges(view, [this](const Run& run, uint64_t segment) -> Trial& {
    return run.rerun(segment, honest_ ? Lie{} : grudge(segment));
  });
}

// ---- everybody else ----

Citizen::Citizen(Network& network, Place place, std::string name, const SecretKey& key, Rng rng, const PublicKey& trusted)
    : Client(network, place, std::move(name), key, rng), trusted_(trusted) {}

void Citizen::act(const Records& view) {
  if (network_.draining || busy() || next_key_) return;
  const auto anybody = [&]() -> AccountId {
    const uint64_t which = rng_.below(network_.truth.names.size() + 1);
    if (which == network_.truth.names.size()) return rng_.hash().as<AccountIdTag>();
    return std::next(network_.truth.names.begin(), static_cast<std::ptrdiff_t>(which))->first;
  };
  const uint64_t what = rng_.below(100);
  if (what < 30) {
    const uint64_t held = view.held(Holder::account(id())).pebbles;
    const AccountId to = anybody();
    const uint64_t most = rng_.chance(50) ? 2 * held : held / 50;
    const Amount amount{rng_.below(most + 1)};
    const uint64_t wait_ms = rng_.between(300, 8'000);
    send(about("pay", sent_++), Transfer{to, amount}, wait_ms);
    if (rng_.chance(150)) contradict(Transfer{id(), amount}, rng_.between(1, 2));  // the same money, back to itself
  } else if (what < 33 && waiting() == 0) {
    next_key_ = SecretKey::from_seed(rng_.hash().v);
    rotation_ = about("rotate", sent_++);
    send(rotation_, RotateKey{KeySet::of(next_key_->public_key()), false});
    if (waiting() == 0) next_key_.reset();
  } else if (what < 45) {
    publish(view);
  } else if (what < 60) {
    send(about("mischief", sent_++), mischief(view));
  } else if (what < 70 && !trusted_.is_zero() && !granted_) {
    grant(view);
  }
}

void Citizen::grant(const Records& view) {
  GrantKey body;
  body.key = trusted_;
  body.scopes = {Scope::pay, Scope::provide, Scope::verify, Scope::request};
  body.limit = Amount{rng_.between(5'000, 100'000)};
  if (rng_.chance(400)) body.period_ms = rng_.between(1'000, 5'000);
  body.expiry = after(view.now, rng_.between(5'000, 20'000));
  granted_ = true;  // once: a second grant would forget what the first has spent
  send(about("grant"), body);
}

void Citizen::happened(const Hash& about, const TransactionId&, uint16_t code) {
  if (about != rotation_ || !next_key_) return;
  if (code == 0) key_ = *next_key_;
  next_key_.reset();
}

void Citizen::publish(const Records& view) {
  const Program& program = rng_.of(programs());
  const uint64_t which = rng_.below(program.example.inputs.size() + 1);
  // The bytes of an input that jobs use, or something of our own.
  const Hash content = which == program.example.inputs.size() ? tagged_hash("asset", {id().span(), encode(rng_.below(4))})
                                                              : blake3(program.example.inputs[which]);
  const Hash salt = tagged_hash("salt", {content.span(), id().span()});
  const Hash hash = reservation_hash(content, id(), salt);
  const auto reserved = view.reservations.find(hash);
  if (reserved == view.reservations.end()) return send(about("reserve", hash), Reserve{hash});
  Publish body;
  body.kind = AssetKind::dataset;
  body.title = "simulated";
  body.content = content;
  body.salt = salt;
  body.price = Amount{rng_.below(5'000)};
  if (rng_.chance(500)) {
    const uint64_t ours = 1 + rng_.below(5);
    body.holders = {{id(), ours}, {rng_.hash().as<AccountIdTag>(), 2}};
  }
  for (const auto& [asset, record] : view.assets)
    if (body.parents.size() < 3 && rng_.chance(400)) body.parents.push_back({asset, static_cast<uint32_t>(1 + rng_.below(6'000))});
  send(about("publish", hash, sent_++), body);
}

// What must be refused, whoever asks.
Body Citizen::mischief(const Records& view) {
  const auto job = [&]() -> const Job* {
    if (view.jobs.empty()) return nullptr;
    return &std::next(view.jobs.begin(), static_cast<std::ptrdiff_t>(rng_.below(view.jobs.size())))->second;
  }();
  const uint64_t what = rng_.below(12);
  if (!job || what == 0) return Unstake{Amount{1 + rng_.below(1'000)}};
  switch (what) {
    case 1: return Accept{job->id};
    case 2: return CancelJob{job->id};
    case 3: return Commit{{job->id, job->spec.plan_root, attest::input_root(job->spec), rng_.hash(), {}, kSteps}};
    case 4: return RevealSecret{job->id, rng_.hash()};
    case 5: return CommitVerdict{job->id, rng_.below(kSegments), rng_.hash()};
    case 6: return ReportUndelivered{job->id, rng_.below(kSegments)};
    case 7:
      if (!view.offers.empty()) return WithdrawOffer{view.offers.begin()->first};
      return Unbond{Amount{5}};
    case 8:
      if (!view.games.empty()) return PlayMove{view.games.begin()->first, attest::NoneDiffers{}};
      return Bond{Amount{1}, ""};
    case 9: return Judge{job->id, rng_.chance(500)};
    case 10:  // whoever may see a private job knows its key
      if (job->spec.viewers) return Consent{job->id, *program_of(job->spec).example.key};
      return Consent{job->id, rng_.hash()};
    default: {
      const Hash end = rng_.hash();
      return Challenge{job->id, rng_.below(kSegments), end, {}};
    }
  }
}

Thief::Thief(Network& network, Place place, std::string name, const SecretKey& key, Rng rng, const AccountId& victim)
    : Client(network, place, std::move(name), key, rng, victim) {}

void Thief::act(const Records& view) {
  const auto key = view.hot_keys.find(signer());
  if (network_.draining || key == view.hot_keys.end() || busy() || !rng_.chance(400)) return;
  const AccountId home = account_of(key_.public_key());
  const uint64_t limit = key->second.limit.pebbles;
  const Amount amount{rng_.below(limit)};
  const Hash what = about("theft", sent_++);
  switch (rng_.below(8)) {
    case 0: return send(what, RotateKey{KeySet::of(key_.public_key()), true});
    case 1: return send(what, GrantKey{key_.public_key(), {Scope::pay}, Amount{UINT64_MAX}, 0, after(view.now, 60'000)});
    case 2: return send(what, Stake{amount});
    case 3: return send(what, Bond{amount, "tcp://nobody"});
    case 4: {  // costs more than the key may lose
      attest::JobSpec spec = rng_.of(programs()).spec();
      spec.steps *= 1'000, spec.interval *= 1'000;
      spec.price_ceiling = Amount{10 * kPrice};
      spec.accept_ms = spec.run_ms = 1'000;
      return send(what, OpenJob{spec});
    }
    case 5: return send(what, Transfer{home, Amount{2 * limit}});
    default: return send(what, Transfer{home, amount});
  }
}

}  // namespace cairn::sim
