// The sparse Merkle map of attest/state_map.h, kept in pages: a block pays for what it changed, a proof for its path, and
// memory holds what was used of late.
//
//   page 0  := next:u64 node?                 the top of the tree; the first page number that was never given out
//   page n  := node
//   node    := 0 key:32 value:32              a leaf
//            | 1 bit:u8 node node             an inner node
//            | 2 page:u64 hash:32             a node that is the top of another page
//
// A page holds up to 32 leaves and tops of other pages. One that outgrows that is cut at its top node; one that has shrunk
// below 8 is taken up by the page above. How the map is cut into pages is nobody's business but this node's: roots and
// proofs are those of map_root() and map_prove() over the same entries.
//
// Cost of a change: the hashes on its way, once for all changes of a block; pages that are not in memory are read. One thread
// at a time. Throws Fault (`io`) when a page is missing or damaged.
#pragma once

#include <memory>

#include "attest/state_map.h"
#include "ledger/view.h"

namespace cairn::ledger {

class StateTree {
 public:
  // Stands on `view`, which must outlive it or be replaced by saved().
  explicit StateTree(const View& view, size_t max_nodes = 150'000);
  ~StateTree();
  StateTree(StateTree&&) = delete;

  void set(const Hash& key, const Hash& value);
  void erase(const Hash& key);  // of an absent key: nothing
  Hash root();                  // zero when empty
  attest::MapProof prove(const Hash& key);

  // The pages that differ from the view's. After they are there, call saved() with the view that has them; or reset(), which
  // forgets every change.
  std::vector<PageChange> changes();
  void saved(const View& view);
  void reset(const View& view);

  // Reads every page and holds each against the hash that stands above it. Visits the leaves in the order of their keys until
  // visit() says false. Error: io (with the page).
  static Result<> check(const View& view, const Hash& root, const std::function<bool(const attest::MapEntry&)>& visit);

 private:
  struct Node;
  using Owner = std::unique_ptr<Node>;

  static Hash hash_of(Node& node);
  static void encode_node(const Node& node, Bytes& out);
  static Owner decode_node(Reader& reader, int above);
  static Owner read(const View& view, uint64_t page, const Hash& hash);
  static Result<> check_node(const View& view, const Node& node, const std::function<bool(const attest::MapEntry&)>& visit);
  Node& enter(Owner& at);  // what stands there, read if it is the top of a page that is not in memory
  Node& end_of(const Hash& key);
  size_t cut(Node& node);
  void collect(Node& node, std::vector<PageChange>& out);
  static size_t count(const Node& node);
  static void forget(Node& node, uint32_t before);

  const View* view_;
  const size_t max_nodes_;
  size_t nodes_ = 0;  // in memory, at most
  uint32_t time_ = 0;  // counts what was saved
  uint64_t next_page_ = 1;
  uint64_t first_unsaved_page_ = 1;
  std::vector<uint64_t> freed_;
  bool changed_ = false;
  Owner top_;
};

}  // namespace cairn::ledger
