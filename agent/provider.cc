#include "agent/provider.h"

#include <map>

#include "agent/attendants.h"
#include "attest/tree.h"
#include "base/clock.h"
#include "base/log.h"

namespace cairn::agent {

namespace {

namespace fs = std::filesystem;
using ledger::JobState;

constexpr uint32_t kOfferLookMs = 500;
constexpr uint64_t kHourMs = 3'600'000;
// A bit that flipped once is no fault of the machine; one that computed wrong again takes no more jobs until it is started anew, and
// misses the deadline of those it has, which costs a part of the stake where a false commitment costs all of it.
constexpr uint32_t kWrongRunsMax = 2;

// What the journal keeps of a job.
struct Record {
  AccountId requester;
  std::string requester_endpoint;
  Served served;
  std::optional<Ran> ran;
  static constexpr auto fields() {
    return std::tuple{field("requester", &Record::requester), field("requester_endpoint", &Record::requester_endpoint),
                      field("served", &Record::served), field("ran", &Record::ran)};
  }
};

std::string journal_key(const JobId& job) { return "job/" + job.hex(); }

// Tells the requester how far the work is: the newest news only, on a thread of its own, so that a slow or absent requester
// never slows the work.
class Teller {
 public:
  Teller(std::string endpoint, const PublicKey& requester, const TransportKeys& own, const JobId& job)
      : caller_(std::move(endpoint), requester, own), job_(job), thread_([this] { run(); }) {}
  ~Teller() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  void tell(uint64_t step, std::optional<float> loss) {
    {
      const std::lock_guard lock(mutex_);
      news_ = TellProgress{job_, step, std::nullopt};
      if (loss) news_->loss_bits = std::bit_cast<uint32_t>(*loss);
    }
    changed_.notify_all();
  }

 private:
  void run() {
    constexpr uint32_t kAnswerMs = 500;
    while (true) {
      TellProgress news;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return news_ || ended_; });
        if (!news_) return;
        news = *news_;
        news_.reset();
      }
      if (!caller_.ask(news, kAnswerMs)) {
        const std::lock_guard lock(mutex_);
        if (ended_) return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  Caller caller_;
  const JobId job_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<TellProgress> news_;
  bool ended_ = false;
  std::thread thread_;
};

class Provider {
 public:
  Provider(const ProviderConfig& config, fs::path config_file)
      : config_(config),
        config_file_(std::move(config_file)),
        stop_(stop_on_signals()),
        reload_(reload_on_hangup()),
        journal_(config.folder / "journal"),
        store_(config.folder / "artefacts"),
        desk_(store_),
        chain_(config.node, config.folder, must(load_stored_key(config.key)), stop_),
        node_(config.node, config.folder),
        server_(config.listen, transport_keys(chain_.key()), [this](const CurveKey& key) { return desk_.allow(key); },
                [this](const AccountId& client, const Ask& ask) { return desk_.answer(client, ask); }),
        worker_(find_program(config.worker)),
        jobs_({config.node, config.folder, worker_, config.threads, store_, chain_, stop_},
              [this](NodeClient& node, Computer& computer, const ledger::Job& job) { return look(node, computer, job); }) {}

  void run() {
    measure();
    resume_serving();
    log_info("agent.ready", {{"account", chain_.account().hex()},
                             {"endpoint", server_.endpoint()},
                             {"crn_per_hour", pretty(config_.price)},
                             {"pebbles_per_1e9_reference_seconds", price_.pebbles}});
    notify_ready("offers this machine for " + pretty(config_.price) + " an hour");
    Outage outage(node_);
    uint64_t seen = 0;
    while (!stop_) {
      notify_alive();
      if (reload_.exchange(false)) reload();
      if (const auto jobs = node_.jobs(); outage.over(jobs)) {
        for (const auto& job : *jobs)
          if (job.provider == chain_.account() && !ledger::is_terminal(job.state)) jobs_.take(job.id);
        forget_pruned(*jobs);
        keep_offer();
      }
      chain_.wait(seen, kOfferLookMs);
      chain_.refresh(node_, desk_);
    }
    jobs_.leave();
  }

 private:
  // ---- the offer ----

  // Once for a worker program and a number of threads: a restart must not move the price.
  void measure() {
    std::error_code ignored;
    const std::string key = "speed/" + worker_.string() + "/" + std::to_string(fs::file_size(worker_, ignored)) + "/" +
                            std::to_string(config_.threads);
    if (const auto known = journal_.value<uint64_t>(key)) {
      speed_ = std::bit_cast<double>(*known);
    } else {
      Computer computer(worker_, config_.threads, chain_.params().work, config_.folder / "speed", store_, stop_);
      speed_ = must(computer.speed());
      journal_.put_value(key, std::bit_cast<uint64_t>(speed_));
    }
    set_price();
  }

  void set_price() {
    // An hour of this machine is 3600 * speed_ reference seconds; the price is per 10^9 of those.
    const double pebbles = static_cast<double>(config_.price.pebbles) * 1e9 / (3600.0 * speed_);
    price_ = Amount::of_pebbles(static_cast<uint64_t>(std::min(pebbles, 1e18)));
    if (price_.pebbles == 0) price_ = Amount::of_pebbles(1);
    log_info("agent.price", {{"reference_seconds_per_second", speed_},
                             {"per_hour", pretty(config_.price)},
                             {"pebbles_per_1e9_reference_seconds", price_.pebbles}});
  }

  void reload() {
    const auto fresh = read_config<ProviderConfig>(config_file_);
    if (!fresh) {
      log_error("agent.not_reloaded", {{"error", fresh.error().text}});
      return;
    }
    config_.price = fresh->price;
    config_.stake = fresh->stake;
    config_.numeric = fresh->numeric;
    config_.policies = fresh->policies;
    config_.native = fresh->native;
    config_.memory_mib = fresh->memory_mib;
    config_.jobs_max = fresh->jobs_max;
    config_.offer_hours = fresh->offer_hours;
    set_price();
  }

  // The offer stands on the book at our price and endpoint, and enough is staked. One step a look.
  void keep_offer() {
    const auto offers = node_.offers();
    const auto now = node_.time();
    auto view = node_.account(chain_.account());
    if (!view && view.error().code == Code::unknown_account) view = ledger::AccountView{};
    if (!offers || !now || !view) return;
    if (computes_wrong()) {
      for (const auto& offer : *offers)
        if (offer.owner == chain_.account()) chain_.try_send(ledger::WithdrawOffer{offer.id}, {});
      return;
    }
    const ledger::Offer* ours = nullptr;
    for (const auto& offer : *offers)
      if (offer.owner == chain_.account()) ours = &offer;
    ledger::PostOffer offer;
    offer.klass = {config_.device, config_.numeric};
    offer.price = price_;
    offer.endpoint = server_.endpoint();
    offer.memory_bytes = uint64_t{config_.memory_mib} << 20;
    offer.jobs_max = config_.jobs_max;
    offer.policies = config_.policies;
    std::sort(offer.policies.begin(), offer.policies.end());
    offer.native = config_.native;
    offer.expiry = after(*now, uint64_t{config_.offer_hours} * kHourMs);
    if (ours && (ours->klass != offer.klass || ours->price != offer.price || ours->endpoint != offer.endpoint || ours->memory_bytes != offer.memory_bytes ||
                 ours->jobs_max != offer.jobs_max || ours->policies != offer.policies || ours->native != offer.native)) {
      chain_.try_send(ledger::WithdrawOffer{ours->id}, {});  // jobs that it was matched with go on
      ours = nullptr;
    }
    if (ours) return;
    if (view->stake.pebbles == 0 && jobs_.count() == 0) {
      const Amount wanted{std::min(config_.stake.pebbles, view->balance.pebbles / 10 * 9)};
      if (wanted.pebbles == 0) {
        if (!poor_) log_warning("agent.no_money", {{"account", chain_.account().hex()}, {"next", "send it some CRN"}});
        poor_ = true;
        return;
      }
      chain_.try_send(ledger::Stake{wanted}, {});
    }
    if (chain_.try_send(offer, {})) poor_ = false;
  }

  bool computes_wrong() const { return wrong_runs_ >= kWrongRunsMax; }

  // ---- jobs ----

  bool look(NodeClient& node, Computer& computer, const ledger::Job& job) {
    if (job.provider == chain_.account() && !ledger::is_terminal(job.state)) {
      act(node, computer, job);
      return true;
    }
    log_info("job.over", {{"job", job.id}, {"state", ledger::name(job.state)}, {"text", job.sentence}});
    return false;
  }

  void act(NodeClient& node, Computer& computer, const ledger::Job& job) {
    welcome(node, job);
    switch (job.state) {
      case JobState::matched:
        if (!computes_wrong()) accept(node, computer, job);
        return;
      case JobState::running:
        if (!computes_wrong()) compute(node, computer, job);
        return;
      case JobState::committed:
      case JobState::disputed:
        answer_checks(computer, job);
        play(node, computer, job);
        return;
      default: return;
    }
  }

  // Whoever has a part in the job may ask for what belongs to it.
  void welcome(NodeClient& node, const ledger::Job& job) {
    Record record = recall(job.id);
    record.requester = job.requester;
    record.requester_endpoint = job.spec.endpoint;
    std::vector<AccountId> guests{job.requester};
    for (const auto& check : job.checks) guests.push_back(check.record.draw.verifier);
    for (const auto& game : job.games)
      if (const auto dispute = node.dispute(game)) guests.push_back(dispute->challenger);
    introduce(node, desk_, guests);
    {
      const std::lock_guard lock(mutex_);
      if (record.served.guests == guests && desk_has_.contains(job.id)) return;
    }
    record.served.guests = std::move(guests);
    record.served.artefacts.clear();
    record.served.artefacts.push_back(job.spec.plan);
    for (const auto& input : job.spec.inputs) record.served.artefacts.push_back(input.id);
    publish(job.id, record);
  }

  void publish(const JobId& id, const Record& record) {
    remember(id, record);
    desk_.serve(id, record.served);
    const std::lock_guard lock(mutex_);
    desk_has_.insert(id);
  }

  void accept(NodeClient& node, Computer& computer, const ledger::Job& job) {
    {
      const std::lock_guard lock(mutex_);
      if (refused_.contains(job.id)) return;
    }
    const TransportKeys own = transport_keys(chain_.key());
    const auto requester = key_of(node, job.requester, ledger::Scope::request);
    if (!requester) return;
    Caller caller(job.spec.endpoint, *requester, own);
    const uint64_t most = job.spec.memory_bytes;
    const auto staged = [&]() -> Result<> {
      TRY_LET(key, fetch_key(caller, job.id, job.spec));
      ArtifactStore keyed = store_.keyed(key);
      TRY(fetch(caller, job.spec.plan, attest::kMaxPlanBytes, store_));
      for (const auto& input : job.spec.inputs) TRY(fetch(caller, input.id, most, keyed));
      TRY_LET(work, load_assignment(job.spec, store_, chain_.params().work, key));
      TRY(computer.check_initial(work));
      if (key) {
        Record record = recall(job.id);
        record.served.key = key;
        publish(job.id, record);
      }
      return {};
    }();
    if (!staged) {
      const Code code = staged.error().code;
      log_warning("job.not_staged", {{"job", job.id}, {"code", name(code)}, {"text", staged.error().text}});
      // What may still come is asked for again until the match lapses; a job that must not be run is left to lapse.
      const bool may_come = code == Code::unreachable || code == Code::not_found || code == Code::unauthorised ||
                            code == Code::timed_out || code == Code::cancelled || code == Code::io;
      if (!may_come) {
        const std::lock_guard lock(mutex_);
        refused_.insert(job.id);
      }
      return;
    }
    log_info("job.staged", {{"job", job.id}, {"inputs", job.spec.inputs.size()}});
    chain_.try_send(ledger::Accept{job.id}, job.id);
  }

  void compute(NodeClient& node, Computer& computer, const ledger::Job& job) {
    Record record = recall(job.id);
    if (!record.ran) {
      const auto work = must(load_assignment(job.spec, store_, chain_.params().work, record.served.key));
      std::optional<Teller> teller;
      if (const auto requester = key_of(node, job.requester, ledger::Scope::request))
        teller.emplace(job.spec.endpoint, *requester, transport_keys(chain_.key()), job.id);
      log_info("job.running", {{"job", job.id}, {"steps", job.spec.steps}});
      const SystemClock clock;
      const uint64_t began_ns = clock.steady_ns();
      auto ran = computer.run(work, [&](uint64_t step, std::optional<float> loss) {
        if (teller) teller->tell(step, loss);
      });
      if (!ran && ran.error().code == Code::cancelled) return;
      if (!ran) {
        if (ran.error().code == Code::known_answer && ++wrong_runs_ == kWrongRunsMax)
          log_error("agent.computes_wrong", {{"next", "take this machine's memory or processor off; it takes no jobs until it is started anew"}});
        throw Fault(ran.error());
      }
      log_info("job.ran", {{"job", job.id}, {"steps", job.spec.steps}, {"elapsed_ms", (clock.steady_ns() - began_ns) / 1'000'000}});
      record.ran = *std::move(ran);
      record.served.leaves = record.ran->leaves;
      record.served.states = record.ran->states;
      publish(job.id, record);  // on the disk, and served, before anybody is told
    }
    attest::Commitment commitment;
    commitment.job = job.id;
    commitment.plan_root = job.spec.plan_root;
    commitment.input_root = attest::input_root(job.spec);
    commitment.checkpoint_root = attest::tree_root(record.ran->leaves);
    commitment.outputs_root = record.ran->leaves.back();
    commitment.steps = job.spec.steps;
    chain_.try_send(ledger::Commit{commitment}, job.id);
  }

  // Answers as soon as a verdict is committed; the call's id is computed while the verifier is still at work.
  void answer_checks(Computer& computer, const ledger::Job& job) {
    const Record record = recall(job.id);
    if (!record.ran || job.spec.tier == attest::Tier::native) return;
    std::vector<ledger::Body> answers;
    std::set<uint64_t> answered;  // one answer serves all who check a segment
    for (const auto& check : job.checks) {
      const auto& draw = check.record.draw;
      if (check.state != ledger::CheckState::drawn && check.state != ledger::CheckState::committed) continue;
      const std::string key = "call/" + job.id.hex() + "/" + std::to_string(draw.segment) + "/" + std::to_string(draw.step) + "/" +
                              std::to_string(draw.work_offset);
      auto call_id = journal_value<Hash>(key);
      if (!call_id) {
        const auto work = must(load_assignment(job.spec, store_, chain_.params().work, record.served.key));
        const auto found = computer.check(work, draw.segment, opening(record, draw.segment), draw.step,
                                          attest::call_at(work.plan, draw.work_offset));
        if (!found) throw Fault(found.error());
        call_id = found->call_id;
        const std::lock_guard lock(mutex_);
        journal_.put_value(key, *call_id);
      }
      if (check.state != ledger::CheckState::committed || job.phase != ledger::JobPhase::answers) continue;
      if (!answered.insert(draw.segment).second) continue;
      answers.emplace_back(ledger::AnswerCheck{job.id, draw.segment, *call_id, roots_of(record, job.spec, draw.segment)});
    }
    chain_.try_send_all(answers, job.id);
  }

  void play(NodeClient& node, Computer& computer, const ledger::Job& job) {
    const Record record = recall(job.id);
    if (!record.ran) return;
    for (const auto& id : job.games) {
      const auto dispute = node.dispute(id);
      if (!dispute || dispute->game.over() || dispute->game.to_move != attest::Party::provider) continue;
      const auto work = must(load_assignment(job.spec, store_, chain_.params().work, record.served.key));
      const uint64_t segment = dispute->game.terms.segment;
      const auto move = computer.play(work, dispute->game, attest::Party::provider, opening(record, segment));
      if (!move) throw Fault(move.error());
      log_info("game.move", {{"job", job.id}, {"game", id}, {"move", attest::name(*move)}});
      chain_.try_send(ledger::PlayMove{id, *move}, job.id);
    }
  }

  static StateIds opening(const Record& record, uint64_t segment) {
    return segment == 0 ? StateIds{} : record.ran->states.at(segment - 1);
  }
  static ledger::SegmentRoots roots_of(const Record& record, const attest::JobSpec& spec, uint64_t segment) {
    const auto& leaves = record.ran->leaves;
    ledger::SegmentRoots roots;
    roots.start_root = segment == 0 ? spec.initial_state : leaves.at(segment - 1);
    if (segment > 0) roots.start_path = attest::tree_path(leaves, segment - 1);
    roots.end_root = leaves.at(segment);
    roots.end_path = attest::tree_path(leaves, segment);
    return roots;
  }

  // ---- memory ----

  Record recall(const JobId& id) { return journal_value<Record>(journal_key(id)).value_or(Record{}); }
  template <class T>
  std::optional<T> journal_value(const std::string& key) {
    const std::lock_guard lock(mutex_);
    return journal_.value<T>(key);
  }
  void remember(const JobId& id, const Record& record) {
    const std::lock_guard lock(mutex_);
    journal_.put_value(journal_key(id), record);
  }

  // After a restart: results of earlier jobs are still asked for.
  void resume_serving() {
    for (const auto& [key, bytes] : journal_.under("job/")) {
      const auto id = JobId::from_hex(std::string_view(key).substr(4));
      const auto record = decode<Record>(bytes);
      if (!id || !record) continue;
      introduce(node_, desk_, record->served.guests);
      desk_.serve(*id, record->served);
    }
  }

  // The chain forgets a job when its receipt's keeping time is over; so do we.
  void forget_pruned(const std::vector<ledger::Job>& jobs) {
    std::set<JobId> known;
    for (const auto& job : jobs) known.insert(job.id);
    const std::lock_guard lock(mutex_);
    for (const auto& [key, bytes] : journal_.under("job/")) {
      const auto id = JobId::from_hex(std::string_view(key).substr(4));
      if (!id || known.contains(*id) || jobs_.attends(*id)) continue;
      desk_.end(*id);
      desk_has_.erase(*id);
      journal_.remove(key);
      std::error_code ignored;
      fs::remove_all(jobs_.folder_of(*id), ignored);
    }
  }

  ProviderConfig config_;  // written by the main loop only, and only what no other thread reads
  const fs::path config_file_;
  const std::atomic<bool>& stop_;
  std::atomic<bool>& reload_;
  Journal journal_;
  ArtifactStore store_;
  Desk desk_;
  Follower chain_;
  NodeClient node_;
  Server server_;
  const fs::path worker_;
  double speed_ = 1.0;  // reference nanoseconds in a nanosecond
  Amount price_;
  bool poor_ = false;
  std::atomic<uint32_t> wrong_runs_{0};
  std::mutex mutex_;  // journal_ and the sets
  std::set<JobId> desk_has_, refused_;
  Attendants jobs_;
};

}  // namespace

Result<> run_provider(const fs::path& config_file) {
  TRY_LET(config, read_config<ProviderConfig>(config_file));
  Provider provider(config, config_file);
  provider.run();
  return {};
}

}  // namespace cairn::agent
