#include "tests/sim/sim.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "tests/sim/actors.h"

namespace cairn::sim {
namespace {

constexpr uint64_t kBusy_ms = 16'000;    // new things begin
constexpr uint64_t kQuiet_ms = 80'000;   // of chain time, at most, until everything has come to its end: deadlines are in chain time
constexpr uint64_t kSlowest = 5;         // how much slower than the clock chain time may go where proposers are byzantine

SecretKey key_named(uint64_t seed, const std::string& name) { return SecretKey::from_seed(tagged_hash("key", {encode(seed), as_bytes(name)}).v); }

class Simulation {
 public:
  explicit Simulation(uint64_t seed)
      : seed_(seed), world_(seed), keys_{key_named(seed, "producer"), key_named(seed, "vrf")} {
    Rng rng = world_.rng().fork("set-up");
    choose_rules(rng);
    choose_nodes(rng);
    choose_people(rng);
    build(rng);
    plan_faults(rng);
  }

  void run() {
    engine_->start();
    for (auto& client : clients_) client->start();
    world_.run(kBusy_ms);
    network_->draining = true;
    world_.weather = {};
    world_.heal();
    const auto chain_ms = [&] { return ms(audit_->view(audit_->height()).now); };
    const uint64_t end_chain_ms = chain_ms() + kQuiet_ms, end_ms = kBusy_ms + kSlowest * kQuiet_ms;
    while (chain_ms() < end_chain_ms && world_.now_ms() < end_ms && !at_rest()) world_.run(world_.now_ms() + 500);
    require(at_rest(), "something waits for ever: " + what_waits());
    finish();
  }

  Outcome outcome() const {
    Outcome out;
    out.seed = seed_;
    out.last_lines = world_.last_lines();
    out.trace = world_.trace();
    out.blocks = number(audit_->height());
    for (uint64_t h = 1; h <= out.blocks; h++) out.transactions += audit_->block(Height{h}).transactions.size();
    out.virtual_ms = world_.now_ms();
    out.counts = audit_->counts;
    return out;
  }

 private:
  void choose_rules(Rng& rng) {
    genesis_.name = "sim";
    genesis_.validators = {{account_of(keys_.producer.public_key()), keys_.producer.public_key(), keys_.vrf.public_key(), {}}};
    auto& p = genesis_.params;
    p.interval_ms = 200;
    p.draw_delay_blocks = rng.between(1, 3);
    p.secret_window_ms = 2'000;
    p.verdict_ms = 6'000;
    p.reveal_ms = 6'000;
    p.window_ms = 2'500;
    p.move_ms = 6'000;
    p.first_move_factor = 1;
    p.unbonding_ms = rng.between(4'000, 12'000);
    p.receipt_keep_ms = rng.between(4'000, 12'000);
    if (rng.chance(300)) p.max_deadlines_per_block = static_cast<uint32_t>(rng.between(2, 6));
    if (rng.chance(200)) p.max_block_bytes = 64u << 10;
  }

  void choose_nodes(Rng& rng) {
    const uint64_t n = rng.chance(700) ? 1 : rng.chance(800) ? 4 : 7;
    std::set<Place> byzantine;
    const uint64_t bad = rng.below((n + 2) / 3);  // always less than a third
    for (Place place = 0; place < bad; place++) byzantine.insert(place);
    MempoolLimits limits;
    if (rng.chance(200)) limits.count = 100, limits.lane = 64;
    skews_.resize(n);
    for (auto& skew : skews_) skew = rng.below(300);
    limits_ = limits;
    byzantine_ = byzantine;
  }

  void choose_people(Rng& rng) {
    // Who cannot pay its fees cannot keep its word either: who means well has enough.
    const auto add = [&](const std::string& name, bool honest, auto make) {
      const SecretKey key = key_named(seed_, name);
      const bool poor = !honest && rng.chance(250);
      const Amount balance{poor ? 200'000 + rng.below(3'000'000) : 1'000'000'000};
      people_.push_back({name, key, balance, make});
    };
    const auto kind_of = [&](auto honest, auto last, uint64_t permille) {
      if (rng.chance(permille)) return honest;
      return static_cast<decltype(honest)>(rng.between(1, static_cast<uint64_t>(last)));
    };
    for (uint64_t i = rng.between(1, 3); i > 0; i--) add("requester" + std::to_string(i), false, [](auto&... a) { return std::make_unique<Requester>(a...); });
    for (uint64_t i = rng.between(1, 4); i > 0; i--) {
      const auto kind = kind_of(Provider::Kind::honest, Provider::Kind::false_answer, 500);
      const AccountId payee = rng.chance(300) ? account_of(key_named(seed_, "verifier1").public_key()) : AccountId{};
      add("provider" + std::to_string(i), kind == Provider::Kind::honest, [kind, payee](auto&... a) { return std::make_unique<Provider>(a..., kind, payee); });
    }
    for (uint64_t i = rng.between(1, 6); i > 0; i--) {
      const auto kind = kind_of(VerifierActor::Kind::honest, VerifierActor::Kind::never_served, 600);
      add("verifier" + std::to_string(i), kind == VerifierActor::Kind::honest, [kind](auto&... a) { return std::make_unique<VerifierActor>(a..., kind); });
    }
    for (uint64_t i = rng.below(3); i > 0; i--) {
      const bool honest = rng.chance(600);
      add("challenger" + std::to_string(i), honest, [honest](auto&... a) { return std::make_unique<Challenger>(a..., honest); });
    }
    for (uint64_t i = rng.between(1, 3); i > 0; i--) {
      const std::string name = "citizen" + std::to_string(i), thief = "thief" + std::to_string(i);
      const AccountId victim = account_of(key_named(seed_, name).public_key());
      const PublicKey trusted = rng.chance(400) ? key_named(seed_, thief).public_key() : PublicKey{};
      add(name, false, [trusted](auto&... a) { return std::make_unique<Citizen>(a..., trusted); });
      if (!trusted.is_zero()) add(thief, false, [victim](auto&... a) { return std::make_unique<Thief>(a..., victim); });
    }
  }

  void build(Rng& rng) {
    for (const Person& person : people_) genesis_.accounts.push_back({account_of(person.key.public_key()), person.balance});
    std::sort(genesis_.accounts.begin(), genesis_.accounts.end(), [](const auto& a, const auto& b) { return a.account < b.account; });
    chain_ = attest::genesis_hash(genesis_);
    audit_ = std::make_unique<Audit>(world_, genesis_, truth_);
    for (Place place = 0; place < skews_.size(); place++)
      nodes_.push_back(std::make_unique<Node>(world_, place, genesis_, keys_, *audit_, skews_[place], limits_));
    for (auto& node : nodes_) all_.push_back(node.get());
    engine_ = std::make_unique<Engine>(world_, all_, byzantine_, genesis_);
    network_.reset(new Network{world_, genesis_, chain_, all_, *engine_, *audit_, truth_});
    Place place = 100;
    for (const Person& person : people_) {
      Rng own = rng.fork(person.name);
      Place at = place++;
      clients_.push_back(person.make(*network_, at, person.name, person.key, own));
    }
  }

  void plan_faults(Rng& rng) {
    world_.weather.delay_ms = rng.between(5, 120);
    if (rng.chance(600)) world_.weather.lost_permille = rng.below(150);
    if (rng.chance(600)) world_.weather.twice_permille = rng.below(150);
    if (rng.chance(600))
      for (uint64_t i = rng.between(1, 4); i > 0; i--) {
        const uint64_t at = rng.between(500, kBusy_ms);
        const uint64_t operation = rng.below(4);  // 0: between blocks
        const uint64_t down_ms = rng.between(50, 1'500);
        const Place place = static_cast<Place>(rng.below(nodes_.size()));
        world_.after(at, [this, place, operation, down_ms] {
          Node& node = *nodes_[place];
          if (!node.up()) return;
          if (operation == 0) node.crash();
          else node.fail_at(operation);
          revive(node, down_ms);
        });
      }
    if (rng.chance(500))
      for (uint64_t i = rng.between(1, 3); i > 0; i--) {
        const uint64_t at = rng.between(500, kBusy_ms);
        const uint64_t until = at + rng.between(100, 1'000);
        std::vector<Place> places;
        for (Place place = 0; place < nodes_.size(); place++)
          if (rng.chance(400)) places.push_back(place);
        for (Place place = 100; place < 100 + clients_.size(); place++)
          if (rng.chance(300)) places.push_back(place);
        world_.after(at, [this, places, until] { world_.cut(places, until); });
      }
  }

  // Starts a node again when it is found down.
  void revive(Node& node, uint64_t down_ms) {
    world_.after(down_ms, [this, &node, down_ms] {
      if (!node.up()) return node.start();
      if (world_.now_ms() < kBusy_ms + 2'000) revive(node, down_ms);
    });
  }

  bool at_rest() const { return what_waits().empty(); }
  std::string what_waits() const {
    for (const auto& node : nodes_) {
      if (!node->up()) return "a node is down";
      if (node->height() != audit_->height()) return "a node lags behind";
    }
    const Records& view = audit_->view(audit_->height());
    for (const auto& [id, job] : view.jobs) return "job " + id.hex().substr(0, 8) + " of " + truth_.name(job.requester) + " is " + std::string(name(job.state));
    if (!view.games.empty()) return "a game";
    if (!view.unbondings.empty()) return "an unbonding";
    for (const auto& node : nodes_)
      if (node->wants_block()) return "a node has something for a block";
    return "";
  }

  void finish() {
    for (auto& node : nodes_) {
      node->crash();
      node->start();
      const Store& store = node->chain().store();
      require(store.head() == audit_->height(), "a node lost blocks");
      for (uint64_t h = 1; h <= number(store.head()); h++)
        require(encode(*store.block(Height{h})) == encode(audit_->block(Height{h})), "a stored block is not the one of the chain");
    }
    audit_->finish(nodes_.front()->chain());
    const Records& view = audit_->view(audit_->height());
    for (const auto& [place, amount] : view.holdings)
      require(place.first.kind != HolderKind::escrow && place.first.kind != HolderKind::job_stake && place.first.kind != HolderKind::game,
              "value is left where nobody can reach it");
  }

  struct Person {
    std::string name;
    SecretKey key;
    Amount balance;
    std::function<std::unique_ptr<Client>(Network&, Place&, const std::string&, const SecretKey&, Rng&)> make;
  };

  const uint64_t seed_;
  World world_;
  Keys keys_;
  attest::Genesis genesis_;
  Hash chain_;
  Truth truth_;
  std::unique_ptr<Audit> audit_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<Node*> all_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Network> network_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<Person> people_;
  std::vector<uint64_t> skews_;
  std::set<Place> byzantine_;
  MempoolLimits limits_;
};

}  // namespace

Outcome simulate(uint64_t seed) {
  Simulation simulation(seed);
  std::optional<std::string> violation;
  try {
    simulation.run();
  } catch (const Violation& found) {
    violation = found.what();
  } catch (const Fault& fault) {
    violation = std::string("a fault nobody expected: ") + fault.what();
  }
  Outcome out = simulation.outcome();
  out.violation = violation;
  return out;
}

void show(const Outcome& out) {
  std::printf("seed %llu: %s\n", static_cast<unsigned long long>(out.seed), out.violation ? out.violation->c_str() : "all invariants held");
  for (const auto& line : out.last_lines) std::printf("    %s\n", line.c_str());
  std::printf("next: scripts/sim --seed %llu runs exactly this again\n", static_cast<unsigned long long>(out.seed));
}

namespace {

uint64_t running = 0;  // the seed that a signal ends, a failed CHECK's or another

void say_which(int signal) {
  char line[64];
  const int size = std::snprintf(line, sizeof line, signal == SIGABRT ? "seed %llu: a CHECK failed\n" : "seed %llu: signal %d\n",
                                 static_cast<unsigned long long>(running), signal);
  if (write(STDOUT_FILENO, line, static_cast<size_t>(size)) != size) _exit(3);
  _exit(1);
}

// Every `parts`-th seed; the first that finds something ends it.
bool sweep_part(uint64_t from, uint64_t seeds, uint64_t part, uint64_t parts) {
  uint64_t blocks = 0, transactions = 0, virtual_ms = 0;
  std::map<std::string, uint64_t> counts;
  Hash traces;
  std::optional<Outcome> failed;
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE}) std::signal(signal, say_which);
  for (uint64_t seed = from + part; seed < from + seeds && !failed; seed += parts) {
    running = seed;
    const Outcome out = simulate(seed);
    blocks += out.blocks;
    transactions += out.transactions;
    virtual_ms += out.virtual_ms;
    for (const auto& [kind, count] : out.counts) counts[kind] += count;
    traces = tagged_hash("sim.sweep", {traces.span(), out.trace.span()});
    if (out.violation) failed = out;
  }
  if (failed) show(*failed);
  std::printf("part %llu of %llu: %llu blocks, %llu transactions, %llu s of virtual time, traces %s\n", static_cast<unsigned long long>(part + 1),
              static_cast<unsigned long long>(parts), static_cast<unsigned long long>(blocks), static_cast<unsigned long long>(transactions),
              static_cast<unsigned long long>(virtual_ms / 1000), traces.hex().substr(0, 16).c_str());
  if (part == 0)
    for (const auto& [kind, count] : counts) std::printf("  %-20s %llu\n", kind.c_str(), static_cast<unsigned long long>(count));
  std::fflush(stdout);
  return !failed;
}

}  // namespace

bool sweep(uint64_t from, uint64_t seeds, uint64_t jobs) {
  std::fflush(stdout);
  std::vector<pid_t> children;  // seeds share nothing
  for (uint64_t part = 0; part < jobs; part++) {
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) _exit(sweep_part(from, seeds, part, jobs) ? 0 : 1);
    children.push_back(child);
  }
  bool held = true;
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    held &= status == 0;
  }
  return held;
}

}  // namespace cairn::sim
