#include "tests/sim/engine.h"

#include <algorithm>

namespace cairn::sim {

Engine::Engine(World& world, std::vector<Node*> nodes, std::set<Place> byzantine, const attest::Genesis& genesis)
    : world_(world), nodes_(std::move(nodes)), byzantine_(std::move(byzantine)), genesis_(genesis), rng_(world.rng().fork("engine")) {}

void Engine::start() {
  if (nodes_.size() == 1) return solo();
  round();
  for (Node* node : nodes_) poll(*node);
}

void Engine::overhear(const Bytes& transaction) {
  if (byzantine_.empty() || overheard_.size() > 200) return;
  overheard_.push_back(transaction);
}

void Engine::solo() {
  Node& node = *nodes_.front();
  if (node.up() && node.wants_block()) node.commit(node.propose(0));
  world_.after(genesis_.params.interval_ms, [this] { solo(); });
}

void Engine::round() {
  votes_.clear();
  voted_.clear();
  round_++;
  Node& proposer = *nodes_[turn_++ % nodes_.size()];
  if (proposer.up() && proposer.height() == decided() && (proposer.wants_block() || is_byzantine(proposer.place()))) propose(proposer);
  const uint64_t mine = round_;
  world_.after(3 * genesis_.params.interval_ms, [this, mine] {
    if (round_ == mine) round();
  });
}

void Engine::propose(Node& proposer) {
  if (!is_byzantine(proposer.place())) {
    const Proposal proposal = proposer.propose(static_cast<uint32_t>(round_));
    for (Node* node : nodes_) send_proposal(proposer.place(), *node, proposal);
    return;
  }
  const std::vector<Proposal> proposals = corrupt(proposer);  // more than one: each node is told another
  if (proposals.empty()) return;
  for (Node* node : nodes_) send_proposal(proposer.place(), *node, proposals[rng_.below(proposals.size())]);
}

void Engine::send_proposal(Place from, Node& to, const Proposal& proposal) {
  const uint64_t mine = round_;
  const auto arrives = [this, &to, proposal, mine, from] {
    if (round_ != mine || !to.up() || voted_.contains(to.place())) return;
    const bool yes = is_byzantine(to.place()) ? rng_.chance(800) : static_cast<bool>(to.consider(proposal));
    if (!yes) return;
    voted_.insert(to.place());
    const Place voter = to.place();
    world_.send(voter, from, [this, voter, proposal, mine] { vote(voter, proposal, mine); });
  };
  if (to.place() == from) {
    arrives();
  } else {
    world_.send(from, to.place(), arrives);
  }
}

void Engine::vote(Place voter, const Proposal& proposal, uint64_t in_round) {
  if (in_round != round_ || number(proposal.height) != number(decided()) + 1) return;
  auto& votes = votes_[hash_of("proposal", proposal)];
  votes.insert(voter);
  if (3 * votes.size() <= 2 * nodes_.size()) return;
  decided_.push_back(proposal);
  for (Node* node : nodes_) world_.send(voter, node->place(), [this, node] { catch_up(*node); });
  round_++;  // whatever is under way is of no use any more
  world_.after(genesis_.params.interval_ms, [this, mine = round_] {
    if (round_ == mine) round();
  });
}

void Engine::catch_up(Node& node) {
  while (node.up() && node.height() < decided())
    if (!node.commit(decided_[number(node.height())])) return;
}

// Every node asks the others now and then for what it has missed. What was decided lies with those who voted, whether or not one of
// them has come to commit it: all may have lost their power on the way there.
void Engine::poll(Node& node) {
  world_.after(300 + rng_.below(200), [this, &node] {
    const auto answers = [&](const Node* other) { return other != &node && other->up() && world_.reaches(other->place(), node.place()); };
    if (std::any_of(nodes_.begin(), nodes_.end(), answers)) catch_up(node);
    poll(node);
  });
}

std::vector<Proposal> Engine::corrupt(Node& proposer) {
  Proposal honest = proposer.propose(static_cast<uint32_t>(round_));
  Proposal bad = honest;
  switch (rng_.below(9)) {
    case 0: return {};  // says nothing
    case 1: bad.beacon.beacon = rng_.hash(); break;
    case 2: bad.wall_ms += 3'600'000; break;
    case 3: bad.wall_ms = 0; break;  // lifted to the last header's: time stands for a block
    case 4:
      if (!bad.transactions.empty()) bad.transactions.push_back(bad.transactions.front());
      break;
    case 5: {
      Bytes junk(1 + rng_.below(300));
      for (auto& byte : junk) byte = static_cast<uint8_t>(rng_.next());
      bad.transactions.push_back(junk);
      break;
    }
    case 6:
      while (!overheard_.empty() && bad.transactions.size() < 40) bad.transactions.push_back(rng_.of(overheard_));  // old ones, in no order
      break;
    case 7:
      bad.transactions.clear();  // censors
      return {honest, bad};
    case 8: {
      if (overheard_.empty()) break;
      Bytes forged = rng_.of(overheard_);
      const size_t where = rng_.below(forged.size());
      forged[where] ^= 1;
      bad.transactions.push_back(forged);
      break;
    }
  }
  return {bad};
}

}  // namespace cairn::sim
