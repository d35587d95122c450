// The sparse Merkle map of attest/state_map.h, kept in memory with its hashes: a block pays for what it changed.
//
// Same roots and proofs as map_root() and map_prove() over the same entries. Cost of a change: the hashes on its way, once
// for all changes of a block.
#pragma once

#include <memory>

#include "attest/state_map.h"

namespace cairn::ledger {

class StateTree {
 public:
  StateTree();
  ~StateTree();

  void set(const Hash& key, const Hash& value);
  void erase(const Hash& key);  // of an absent key: nothing
  Hash root();                  // zero when empty
  attest::MapProof prove(const Hash& key);

 private:
  struct Node;
  static Hash hash_of_node(Node& node);
  std::unique_ptr<Node> top_;
};

}  // namespace cairn::ledger
