#include "ledger/state_tree.h"

namespace cairn::ledger {

using attest::bit_of;

struct StateTree::Node {
  attest::MapEntry entry;  // of a leaf; of an inner node: any entry below it, for the bits that all below share
  std::unique_ptr<Node> child[2];
  uint8_t bit = 0;  // of an inner node
  bool dirty = true;
  Hash hash;

  bool is_leaf() const { return !child[0]; }
};

StateTree::StateTree() = default;
StateTree::~StateTree() = default;

void StateTree::set(const Hash& key, const Hash& value) {
  auto leaf = std::make_unique<Node>();
  leaf->entry = {key, value};
  if (!top_) {
    top_ = std::move(leaf);
    return;
  }
  // Where the key's search ends tells the first bit at which it parts from everything that is there.
  const Node* end = top_.get();
  while (!end->is_leaf()) end = end->child[bit_of(key, end->bit)].get();
  if (end->entry.key == key) {
    for (Node* at = top_.get();; at = at->child[bit_of(key, at->bit)].get()) {
      at->dirty = true;
      if (at->is_leaf()) {
        at->entry.value = value;
        return;
      }
    }
  }
  const uint8_t parts_at = attest::first_difference(end->entry.key, key);
  std::unique_ptr<Node>* at = &top_;
  while (!(*at)->is_leaf() && (*at)->bit < parts_at) {
    (*at)->dirty = true;
    at = &(*at)->child[bit_of(key, (*at)->bit)];
  }
  auto inner = std::make_unique<Node>();
  inner->bit = parts_at;
  const bool right = bit_of(key, parts_at);
  inner->child[right] = std::move(leaf);
  inner->child[!right] = std::move(*at);
  *at = std::move(inner);
}

void StateTree::erase(const Hash& key) {
  const Node* end = top_.get();
  while (end && !end->is_leaf()) end = end->child[bit_of(key, end->bit)].get();
  if (!end || end->entry.key != key) return;
  std::unique_ptr<Node>* above = nullptr;
  std::unique_ptr<Node>* at = &top_;
  while (!(*at)->is_leaf()) {
    (*at)->dirty = true;
    above = at;
    at = &(*at)->child[bit_of(key, (*at)->bit)];
  }
  if (!above) {
    top_.reset();
    return;
  }
  const bool right = bit_of(key, (*above)->bit);
  std::unique_ptr<Node> sibling = std::move((*above)->child[!right]);
  *above = std::move(sibling);
}

Hash StateTree::hash_of_node(Node& node) {
  if (!node.dirty) return node.hash;
  node.hash = node.is_leaf() ? attest::map_leaf(node.entry)
                             : attest::map_inner(node.bit, hash_of_node(*node.child[0]), hash_of_node(*node.child[1]));
  node.dirty = false;
  return node.hash;
}

Hash StateTree::root() { return top_ ? hash_of_node(*top_) : Hash{}; }

attest::MapProof StateTree::prove(const Hash& key) {
  attest::MapProof proof;
  root();
  Node* at = top_.get();
  while (at && !at->is_leaf()) {
    const bool right = bit_of(key, at->bit);
    proof.steps.push_back({at->bit, at->child[!right]->hash});
    at = at->child[right].get();
  }
  if (at) proof.found = at->entry;
  return proof;
}

}  // namespace cairn::ledger
