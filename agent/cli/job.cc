// cairn job: buying a computation.
#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>

#include "agent/cli/cli.h"
#include "agent/cli/counter.h"
#include "agent/cli/order.h"
#include "agent/cli/report.h"
#include "agent/cli/watch.h"
#include "agent/follower.h"
#include "base/clock.h"

namespace cairn::agent {

namespace {

namespace fs = std::filesystem;

// What stands on the command line; it goes before the job file.
struct Wish {
  std::string file;
  std::string id;
  std::string out;
  std::optional<std::string> policy;
  std::optional<uint64_t> seed, steps, interval;
  std::optional<std::string> ceiling;
  std::vector<std::string> assets;  // NAME=ID
  std::optional<std::string> weights;
  bool wait_for_offer = false;
  bool everybody = false;
  uint32_t timeout_s = 0;
};

constexpr std::string_view kReferenceUnit = "CRN per hour at reference speed";

Result<JobFile> file_of(const Wish& wish) {
  TRY_LET(job, read_job_file(wish.file));
  if (wish.policy)
    for (const auto policy : {attest::Policy::starter, attest::Policy::standard, attest::Policy::careful, attest::Policy::all})
      if (attest::name(policy) == *wish.policy) job.policy = policy;
  if (wish.seed) job.seed = *wish.seed;
  if (wish.steps) job.steps = *wish.steps;
  if (wish.interval) job.interval = *wish.interval;
  if (wish.ceiling) {
    TRY_LET(ceiling, amount_of(*wish.ceiling));
    job.price_ceiling = ceiling;
  }
  for (const auto& text : wish.assets) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos)
      return Error{Code::usage, "`" + text + "` names no input", "write INPUT=ASSET: --asset x=9f2c..., or --asset weights=9f2c..."};
    if (text.substr(0, equals) == "program")
      job.program_asset = text.substr(equals + 1);
    else
      job.assets[text.substr(0, equals)] = text.substr(equals + 1);
  }
  if (wish.weights) job.weights = fs::absolute(*wish.weights);
  return job;
}

// A requester at work: its settings, its node, its store, its keys.
struct Desktop {
  RequesterConfig settings;
  NodeClient node;
  ArtifactStore store;
  Wallet wallet;

  static Result<std::unique_ptr<Desktop>> open(const Cli& cli) {
    TRY_LET(settings, cli.settings());
    TRY_LET(wallet, cli.wallet());
    return std::make_unique<Desktop>(settings, wallet);
  }
  Desktop(const RequesterConfig& s, const Wallet& w) : settings(s), node(s.node, s.folder), store(s.folder / "artefacts"), wallet(w) {}
};

// Which offers would take the job now, cheapest first; or why none does.
Result<std::vector<ledger::Offer>> offers_for(NodeClient& node, const attest::JobSpec& spec, Amount stake) {
  TRY_LET(offers, node.offers());
  std::sort(offers.begin(), offers.end(), [](const auto& a, const auto& b) { return a.price < b.price; });
  const auto same_class = [&](const ledger::Offer& o) { return o.klass.device == spec.klass.device && o.klass.numeric == spec.klass.numeric; };
  std::vector<ledger::Offer> fitting;
  std::string why;
  std::optional<Amount> cheapest;
  for (const auto& offer : offers) {
    if (!same_class(offer)) continue;
    if (std::find(offer.policies.begin(), offer.policies.end(), spec.policy) == offer.policies.end()) {
      why = "an offer does not take policy " + std::string(attest::name(spec.policy));
    } else if (spec.tier == attest::Tier::native && !offer.native) {
      why = "an offer takes no native jobs";
    } else if (spec.viewers && !std::binary_search(spec.viewers->providers.begin(), spec.viewers->providers.end(), offer.owner)) {
      why = "an offer is not of a provider that may see this private job";
    } else if (offer.memory_bytes < spec.memory_bytes) {
      why = "an offer takes plans of " + std::to_string(offer.memory_bytes >> 20) + " MiB, this one needs " +
            std::to_string((spec.memory_bytes >> 20) + 1);
    } else if (const double needs_ms = double(spec.step_work_ns) * double(spec.steps) / double(std::max<uint64_t>(1, offer.speed));
               offer.speed > 0 && needs_ms > double(spec.run_ms)) {
      why = "an offer's machine would take " + std::to_string(uint64_t(needs_ms / 1000)) + " s, by what its jobs showed; `run_seconds` gives it " +
            std::to_string(spec.run_ms / 1000);
    } else if (offer.jobs >= offer.jobs_max) {
      why = "an offer is busy";
    } else if (const auto owner = node.account(offer.owner); owner && owner->stake < stake) {
      why = "an offer has " + pretty(owner->stake) + " of free stake, up to " + pretty(stake) + " is needed";
    } else {
      if (!cheapest) cheapest = offer.price;
      if (offer.price <= spec.price_ceiling) fitting.push_back(offer);
    }
  }
  if (!fitting.empty()) return fitting;
  if (cheapest)
    return Error{Code::price_ceiling, "the cheapest offer that fits asks " + pretty(per_hour(*cheapest)) + " per hour, the ceiling is " +
                     pretty(per_hour(spec.price_ceiling)),
                 "raise `price_ceiling` in the job file, or --price-ceiling"};
  return Error{Code::no_offer, "no machine would take this job" + (why.empty() ? ": the book has no " + std::string(name(spec.klass.device)) + " offer" : ": " + why),
               "cairn offer list; --wait-for-offer opens the job and waits"};
}

struct Quoted {
  Order order;
  ledger::Quote quote;
};

// Traces and prices. `endpoint` is where the inputs will be served.
Result<Quoted> quote_of(const Cli& cli, Desktop& desktop, const JobFile& job, const std::string& endpoint) {
  TRY_LET(order, make_order(job, desktop.settings, desktop.node, desktop.store,
                            [&](const std::string& what) { cli.out.bar("prepare", 0.5, what); }));
  Quoted out{std::move(order), {}};
  out.order.spec.endpoint = endpoint;
  out.order.spec.secret_hash = secret_hash(random_hash());
  TRY_LET(quote, desktop.node.quote(out.order.spec));
  out.quote = quote;
  return out;
}

void quote_lines(const Output& out, const Quoted& quoted) {
  const auto& spec = quoted.order.spec;
  out.line(row("plan", brief(spec.plan) + ": " + std::to_string(spec.calls) + " calls, " + std::to_string(spec.step_work_ns) +
                       " reference ns a step, " + std::to_string((spec.memory_bytes >> 20) + 1) + " MiB"));
  out.line(row("job", std::to_string(spec.steps) + " steps, " + std::to_string(quoted.quote.segments) + " segments, " +
                      std::to_string(quoted.quote.checks) + " checks are drawn (tier " + std::string(attest::name(spec.tier)) + ", " + std::string(attest::name(spec.policy)) +
                      (spec.viewers ? ", private)" : ")")));
  out.line(row("ceiling", pretty(per_hour(spec.price_ceiling)) + " per hour at reference speed (" + std::to_string(spec.price_ceiling.pebbles) +
                          " pebbles per 10^9 s)"));
  out.line(row("escrow", pretty(quoted.quote.total) + " at most: reward " + pretty(quoted.quote.reward) + ", audits " +
                         pretty(quoted.quote.audits) + ", assets " + pretty(quoted.quote.assets) + ", deposit " +
                         pretty(quoted.quote.deposit) + " (comes back)"));
}

JsonObject quoted_json(const Quoted& quoted) {
  const auto& spec = quoted.order.spec;
  JsonObject json;
  json.add("title", spec.title).add("tier", attest::name(spec.tier)).add("policy", attest::name(spec.policy)).add("seed", spec.seed).add("steps", spec.steps);
  json.add("interval", spec.interval).add("plan", spec.plan).add("program", spec.program).add("calls", spec.calls);
  json.add("step_work_ns", spec.step_work_ns).add("memory_bytes", spec.memory_bytes);
  json.add("price_ceiling", spec.price_ceiling).add("price_ceiling_per_hour", per_hour(spec.price_ceiling));
  json.add("price_unit", "pebbles per 10^9 reference seconds").add("price_per_hour_unit", kReferenceUnit);
  for_each_field(quoted.quote, [&](const char* key, const auto& value) { json.add(key, value); });
  json.add("removed", quoted.order.removed).add("trace_seconds", quoted.order.trace_seconds);
  return json;
}

Result<> quote_verb(const Cli& cli, const Wish& wish) {
  TRY_LET(job, file_of(wish));
  TRY_LET(desktop, Desktop::open(cli));
  TRY_LET(quoted, quote_of(cli, *desktop, job, desktop->settings.listen));
  quote_lines(cli.out, quoted);
  JsonObject json = quoted_json(quoted);
  const auto fitting = offers_for(desktop->node, quoted.order.spec, quoted.quote.stake);
  std::vector<JsonObject> list;
  if (fitting)
    for (const auto& offer : *fitting) {
      const auto pay = attest::pay_for(quoted.order.spec, offer.price).value_or(Amount{});
      cli.out.line(row("offer", brief(offer.id) + " at " + pretty(per_hour(offer.price)) + " per hour: reward " + pretty(pay)));
      list.push_back(JsonObject().add("offer", offer.id).add("owner", offer.owner).add("price", offer.price)
                         .add("price_per_hour", per_hour(offer.price)).add("reward", pay));
    }
  else
    cli.out.line(row("offer", fitting.error().text));
  cli.out.object(json.add("offers", list));
  return {};
}

// What a verb that has followed a job says at its end; the error of a job that ended badly comes back.
Result<> conclude(const Cli& cli, Desktop& desktop, const ledger::Job& job, const std::vector<ledger::Dispute>& games, const fs::path& out,
                  JsonObject json_before, std::optional<uint64_t> opened_wall_ms) {
  TRY_LET(attempts, attempts_of(desktop.node, job.id, games, out));
  ResultFiles files;
  const bool settled = job.state == ledger::JobState::settled;
  if (settled) {
    TRY_LET(fetched, fetch_result(desktop.node, desktop.wallet, job, desktop.store, out, cli.out));
    files = std::move(fetched);
  }
  JsonObject json = job_json(job, attempts);
  if (settled) {
    JsonObject paths;
    if (!files.model.empty()) paths.add("model", files.model);
    if (!files.losses.empty()) paths.add("losses", files.losses);
    if (!files.outputs.empty()) paths.add("outputs", files.outputs);
    std::vector<std::string> receipts;
    for (const auto& attempt : attempts) receipts.push_back(attempt.file);
    json.add("files", paths.add("receipts", receipts));
    json.add("losses", files.loss);
  }
  job_lines(cli.out, job, attempts);
  for (const auto& [what, file] : {std::pair{"model", files.model}, {"losses", files.losses}, {"outputs", files.outputs}})
    if (!file.empty()) cli.out.line(row(what, file));
  if (!files.loss.empty())
    cli.out.line(row("loss", std::to_string(files.loss.front()) + " at first, " + std::to_string(files.loss.back()) + " at last"));
  if (opened_wall_ms) {
    const double seconds = double(SystemClock().wall_ms() - *opened_wall_ms) / 1000.0;
    json.add("seconds", seconds);
    char text[32];
    std::snprintf(text, sizeof text, "%.2f s", seconds);
    cli.out.line(row("took", std::string(text) + " from submit to result"));
  }
  json.add("out", out.string()).add("order", json_before);
  if (const auto failure = failure_of(job, attempts)) {
    cli.out.object(json.add("error", JsonObject().add("code", name(failure->code)).add("text", failure->text).add("next", failure->next)));
    return *failure;
  }
  cli.out.object(json);
  return {};
}

// Opens the job and follows it: to its end, or with `submit` until a provider holds every input.
Result<> run_verb(const Cli& cli, const Wish& wish, bool submit_only) {
  TRY_LET(job, file_of(wish));
  TRY_LET(desktop, Desktop::open(cli));
  TRY(desktop->node.status());
  Counter counter(desktop->settings.node, desktop->settings.folder, desktop->wallet.key, job.listen.empty() ? desktop->settings.listen : job.listen, desktop->store);
  TRY_LET(quoted, quote_of(cli, *desktop, job, counter.endpoint()));
  attest::JobSpec& spec = quoted.order.spec;
  quote_lines(cli.out, quoted);

  if (const auto fitting = offers_for(desktop->node, spec, quoted.quote.stake); !fitting && !wish.wait_for_offer) return fitting.error();
  TRY_LET(view, desktop->node.account(desktop->wallet.account));
  if (view.balance < quoted.quote.total)
    return Error{Code::insufficient, "the escrow is " + pretty(quoted.quote.total) + ", account " + brief(desktop->wallet.account) + " holds " +
                     pretty(view.balance),
                 "cairn wallet faucet on a devnet; elsewhere have CRN sent to " + desktop->wallet.account.hex()};

  const std::string out = fs::absolute(wish.out.empty() ? fs::path("out") / fs::path(wish.file).stem() : fs::path(wish.out)).string();
  OrderNote note{random_hash(), quoted.order.artefacts, out, SystemClock().wall_ms(), quoted.order.key};
  spec.secret_hash = secret_hash(note.secret);
  TRY(remember(desktop->settings.folder, note));
  TRY_LET(status, desktop->node.status());
  TRY_LET(sender, Sender::make(desktop->node, desktop->wallet));
  static_cast<void>(stop_on_signals());  // from here on Ctrl-C leaves the job behind, it does not tear it down
  note.opened_wall_ms = SystemClock().wall_ms();
  TRY_LET(opened, sender.send(ledger::OpenJob{spec}));
  const JobId id = opened.id.as<JobIdTag>();
  TRY(remember(desktop->settings.folder, note));
  counter.open(id, quoted.order.artefacts, quoted.order.key);
  cli.out.line(row("opened", id.hex()));

  Watch watch(cli.out, desktop->node, id, status.next_event);
  watch.reveal(sender, note.secret);
  watch.show_progress(counter);
  if (submit_only) {
    TRY_LET(now, watch.follow(uint64_t{wish.timeout_s} * 1000,
                              [](const ledger::Job& j) { return j.state >= ledger::JobState::running; }));
    if (const auto failure = failure_of(now, {})) return *failure;
    cli.out.line("the provider holds every input; this terminal is needed no more");
    cli.out.line(row("next", "cairn job watch " + id.hex()));
    cli.out.object(job_json(now, {}).add("order", quoted_json(quoted)).add("out", out));
    return {};
  }
  TRY_LET(ended, watch.follow(uint64_t{wish.timeout_s} * 1000));
  return conclude(cli, *desktop, ended, watch.games(), out, quoted_json(quoted), note.opened_wall_ms);
}

// Games of a job of which only the chain's events know.
std::vector<ledger::Dispute> games_of(NodeClient& node, const JobId& job) {
  std::set<ledger::GameId> ids;
  for (uint64_t from = 1;;) {
    const auto events = node.events(from, 0);
    if (!events || events->empty()) break;
    for (const auto& event : *events)
      if (event.kind.starts_with("game.") && concerns(event, job)) ids.insert(event.id.as<ledger::GameIdTag>());
    from = events->back().seq + 1;
  }
  std::vector<ledger::Dispute> games;
  for (const auto& id : ids)
    if (const auto game = node.dispute(id)) games.push_back(*game);
  return games;
}

Result<> watch_verb(const Cli& cli, const Wish& wish) {
  TRY_LET(id, id_of<JobId>(wish.id, "a job"));
  TRY_LET(desktop, Desktop::open(cli));
  TRY_LET(job, desktop->node.job(id));
  const auto note = recall(desktop->settings.folder, job.spec);
  std::unique_ptr<Counter> counter;
  std::optional<Sender> sender;
  Watch watch(cli.out, desktop->node, id, 1);
  if (note && job.requester == desktop->wallet.account && !ledger::is_terminal(job.state)) {
    counter = std::make_unique<Counter>(desktop->settings.node, desktop->settings.folder, desktop->wallet.key, job.spec.endpoint, desktop->store);
    counter->open(id, note->artefacts, note->key);
    TRY_LET(made, Sender::make(desktop->node, desktop->wallet));
    sender = std::move(made);
    watch.reveal(*sender, note->secret);
    watch.show_progress(*counter);
  }
  TRY_LET(ended, watch.follow(uint64_t{wish.timeout_s} * 1000));
  if (job.requester != desktop->wallet.account) {
    TRY_LET(attempts, attempts_of(desktop->node, id, watch.games(), ""));
    job_lines(cli.out, ended, attempts);
    cli.out.object(job_json(ended, attempts));
    if (const auto refused = refusal_in(attempts)) return *refused;
    return {};
  }
  const fs::path out = !wish.out.empty() ? fs::path(wish.out) : note ? fs::path(note->out) : fs::path("out") / brief(id);
  return conclude(cli, *desktop, ended, watch.games(), fs::absolute(out), JsonObject(),
                  note ? std::optional(note->opened_wall_ms) : std::nullopt);
}

Result<> fetch_verb(const Cli& cli, const Wish& wish) {
  TRY_LET(id, id_of<JobId>(wish.id, "a job"));
  TRY_LET(desktop, Desktop::open(cli));
  TRY_LET(job, desktop->node.job(id));
  if (!ledger::is_terminal(job.state))
    return Error{Code::wrong_state, "job " + brief(id) + " is " + std::string(name(job.state)) + ", not settled",
                 "cairn job watch " + id.hex()};
  const auto note = recall(desktop->settings.folder, job.spec);
  const fs::path out = !wish.out.empty() ? fs::path(wish.out) : note ? fs::path(note->out) : fs::path("out") / brief(id);
  return conclude(cli, *desktop, job, games_of(desktop->node, id), fs::absolute(out), JsonObject(), std::nullopt);
}

Result<> show_verb(const Cli& cli, const Wish& wish) {
  TRY_LET(id, id_of<JobId>(wish.id, "a job"));
  TRY_LET(config, cli.settings());
  NodeClient node(config.node, config.folder);
  TRY_LET(job, node.job(id));
  TRY_LET(attempts, attempts_of(node, id, games_of(node, id), ""));
  job_lines(cli.out, job, attempts);
  cli.out.object(job_json(job, attempts));
  if (const auto refused = refusal_in(attempts)) return *refused;
  return {};
}

Result<> list_verb(const Cli& cli, const Wish& wish) {
  TRY_LET(config, cli.settings());
  NodeClient node(config.node, config.folder);
  std::string query;
  if (!wish.everybody) {
    TRY_LET(wallet, cli.wallet());
    query = "?requester=" + wallet.account.hex();
  }
  TRY_LET(jobs, node.jobs(query));
  std::sort(jobs.begin(), jobs.end(), [](const auto& a, const auto& b) { return a.seq < b.seq; });
  std::vector<JsonObject> list;
  for (const auto& job : jobs) {
    cli.out.line(padded(brief(job.id), 18) + padded(std::string(name(job.state)), 11) + padded(pretty(job.reward), 16) + job.spec.title);
    list.push_back(job_json(job, {}));
  }
  if (jobs.empty()) cli.out.line("no jobs; those that ended long ago are known by their receipts alone");
  cli.out.object(JsonObject().add("jobs", list));
  return {};
}

Result<> cancel_verb(const Cli& cli, const Wish& wish) {
  TRY_LET(id, id_of<JobId>(wish.id, "a job"));
  TRY_LET(config, cli.settings());
  TRY_LET(wallet, cli.wallet());
  NodeClient node(config.node, config.folder);
  TRY_LET(sender, Sender::make(node, wallet));
  TRY_LET(done, sender.send(ledger::CancelJob{id}));
  cli.out.line("job " + brief(id) + " is cancelled; the escrow is back");
  cli.out.object(JsonObject().add("job", id).add("transaction", done.id).add("height", done.height).add("state", "cancelled"));
  return {};
}

// The owner of private data lets what its jury disagrees about be opened.
Result<> consent_verb(const Cli& cli, const Wish& wish) {
  TRY_LET(id, id_of<JobId>(wish.id, "a job"));
  TRY_LET(desktop, Desktop::open(cli));
  TRY_LET(job, desktop->node.job(id));
  TRY_LET(note, recall(desktop->settings.folder, job.spec));
  if (!note.key) return Error{Code::usage, "job " + brief(id) + " is not private", "there is nothing to consent to"};
  TRY_LET(sender, Sender::make(desktop->node, desktop->wallet));
  TRY_LET(done, sender.send(ledger::Consent{id, *note.key}));
  cli.out.line("what the verifiers of job " + brief(id) + " disagree about is now decided by games, which open the numbers that differ");
  cli.out.object(JsonObject().add("job", id).add("transaction", done.id).add("height", done.height));
  return {};
}

}  // namespace

void add_job_verbs(CLI::App& app, Cli& cli) {
  auto* job = app.add_subcommand("job", "Buy a computation")->require_subcommand(1);
  const auto wish = std::make_shared<Wish>();
  const auto verb = [&](const char* name, const char* about, auto run) {
    auto* sub = job->add_subcommand(name, about);
    sub->callback([&cli, wish, run] { cli.chosen = [&cli, wish, run] { return run(cli, *wish); }; });
    return sub;
  };
  const auto of_file = [&](const char* name, const char* about, auto run) {
    auto* sub = verb(name, about, run);
    sub->add_option("file", wish->file, "job file; examples/digits/job.yaml explains every key")->required();
    sub->add_option("--policy", wish->policy, "instead of the file's")->check(CLI::IsMember({"starter", "standard", "careful", "all"}));
    sub->add_option("--seed", wish->seed, "instead of the file's");
    sub->add_option("--steps", wish->steps, "instead of the file's");
    sub->add_option("--interval", wish->interval, "steps between checkpoints, instead of the file's");
    sub->add_option("--price-ceiling", wish->ceiling, "CRN per hour at reference speed, instead of the file's");
    sub->add_option("--weights", wish->weights, "safetensors, instead of the file's");
    sub->add_option("--asset", wish->assets, "WHAT=ID: an input of the program, `data`, `weights` or `program` is this asset");
    return sub;
  };
  const auto followed = [&](CLI::App* sub) {
    sub->add_option("--out", wish->out, "folder for result and receipts; otherwise out/NAME");
    sub->add_option("--timeout", wish->timeout_s, "give up following after so many seconds");
  };
  const auto of_job = [&](const char* name, const char* about, auto run) {
    auto* sub = verb(name, about, run);
    sub->add_option("job", wish->id, "64 hexadecimal digits")->required();
    return sub;
  };
  of_file("quote", "What a job would cost, exactly", quote_verb);
  auto* run = of_file("run", "Open a job, serve its inputs, follow it, fetch the result",
                      [](const Cli& c, const Wish& w) { return run_verb(c, w, false); });
  auto* submit = of_file("submit", "Open a job and return when a provider holds every input",
                         [](const Cli& c, const Wish& w) { return run_verb(c, w, true); });
  for (auto* sub : {run, submit}) {
    followed(sub);
    sub->add_flag("--wait-for-offer", wish->wait_for_offer, "open it even if no offer fits now");
  }
  followed(of_job("watch", "Follow a job again: serve its inputs, reveal the secret, fetch the result", watch_verb));
  of_job("fetch", "Result and receipts of a job that is settled", fetch_verb)->add_option("--out", wish->out, "folder");
  of_job("consent", "Let disagreements about a private job be opened on the chain", consent_verb);
  of_job("show", "Terms, state and attempts of a job", show_verb);
  of_job("cancel", "Take a job back that nobody has accepted", cancel_verb);
  verb("list", "The jobs of the key's account", list_verb)->add_flag("--all", wish->everybody, "of everybody");
}

}  // namespace cairn::agent
