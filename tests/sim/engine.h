// Who decides the next block: one node alone, or a vote of all, in rounds with rotating proposers of whom some are byzantine.
//
// The vote stands for an agreed consensus: a proposal is decided once more than two thirds of the nodes have voted for it in
// one round, and what is decided is final. What an engine of the real network does to reach that is not simulated.
#pragma once

#include "tests/sim/node.h"

namespace cairn::sim {

class Engine {
 public:
  Engine(World& world, std::vector<Node*> nodes, std::set<Place> byzantine, const attest::Genesis& genesis);

  void start();
  bool is_byzantine(Place place) const { return byzantine_.contains(place); }
  Height decided() const { return Height{decided_.size()}; }
  // What a byzantine proposer may put into its blocks: transactions that were once seen.
  void overhear(const Bytes& transaction);

 private:
  void solo();
  void round();
  void propose(Node& proposer);
  void send_proposal(Place from, Node& to, const Proposal& proposal);
  void vote(Place voter, const Proposal& proposal, uint64_t in_round);
  void catch_up(Node& node);
  void poll(Node& node);
  std::vector<Proposal> corrupt(Node& proposer);

  World& world_;
  std::vector<Node*> nodes_;
  std::set<Place> byzantine_;
  const attest::Genesis& genesis_;
  Rng rng_;
  std::vector<Proposal> decided_;
  uint64_t round_ = 0;  // of all heights
  size_t turn_ = 0;  // whose round is next: every node's in its turn, however a round ends
  std::map<Hash, std::set<Place>> votes_;
  std::set<Place> voted_;
  std::vector<Bytes> overheard_;
};

}  // namespace cairn::sim
