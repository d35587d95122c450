#include "ledger/state_tree.h"

namespace cairn::ledger {

using attest::bit_of;

namespace {

constexpr size_t kPageMax = 32, kPageMin = 8;  // leaves and tops of other pages, in a page
enum class Kind : uint8_t { leaf = 0, inner = 1, elsewhere = 2 };

Error damaged(uint64_t page, const std::string& what) {
  return {Code::io, "page " + std::to_string(page) + " of the state tree " + what, "restore the data folder from a copy, or start from an empty one"};
}

}  // namespace

struct StateTree::Node {
  Kind kind = Kind::leaf;
  uint8_t bit = 0;      // of an inner node
  bool hashed = false;  // `hash` is that of what stands below now
  bool saved = false;   // what stands below is on disk as it is
  uint32_t used = 0;    // of a page's top: when
  uint64_t page = 0;    // it is the top of this page; 0: it lies in the page of the node above
  Hash hash;
  attest::MapEntry entry;  // of a leaf
  Owner child[2];          // of an inner node

  void touch() { hashed = saved = false; }
};

StateTree::StateTree(const View& view, size_t max_nodes) : max_nodes_(max_nodes) { reset(view); }
StateTree::~StateTree() = default;

Hash StateTree::hash_of(Node& node) {
  if (node.hashed) return node.hash;
  node.hash = node.kind == Kind::leaf ? attest::map_leaf(node.entry)
                                      : attest::map_inner(node.bit, hash_of(*node.child[0]), hash_of(*node.child[1]));
  node.hashed = true;
  return node.hash;
}

size_t StateTree::count(const Node& node) { return 1 + (node.kind == Kind::inner ? count(*node.child[0]) + count(*node.child[1]) : 0); }

// ---- pages --------------------------------------------------------------------------------------------------------

void StateTree::encode_node(const Node& node, Bytes& out) {
  const auto put = [&](ByteSpan bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); };
  out.push_back(static_cast<uint8_t>(node.kind));
  if (node.kind == Kind::leaf) {
    put(node.entry.key.span());
    put(node.entry.value.span());
    return;
  }
  CHECK(node.kind == Kind::inner);
  out.push_back(node.bit);
  for (const Owner& child : node.child) {
    if (child->page == 0) {
      encode_node(*child, out);
    } else {
      out.push_back(static_cast<uint8_t>(Kind::elsewhere));
      put(encode(child->page));
      put(child->hash.span());
    }
  }
}

// The node that comes next in a page; null if it is malformed. `above` is the bit of the node above it in the page, or -1.
StateTree::Owner StateTree::decode_node(Reader& reader, int above) {
  auto node = std::make_unique<Node>();
  uint8_t kind = 0;
  if (!reader.get(kind) || kind > static_cast<uint8_t>(Kind::elsewhere)) return nullptr;
  node->kind = static_cast<Kind>(kind);
  node->saved = true;
  if (node->kind == Kind::leaf) return reader.get(node->entry) ? std::move(node) : nullptr;
  if (node->kind == Kind::elsewhere) {
    node->hashed = true;
    return reader.get(node->page) && node->page != 0 && reader.get(node->hash) ? std::move(node) : nullptr;
  }
  if (!reader.get(node->bit) || node->bit <= above) return nullptr;
  for (Owner& child : node->child)
    if (child = decode_node(reader, node->bit); !child) return nullptr;
  return node;
}

StateTree::Owner StateTree::read(const View& view, uint64_t page, const Hash& hash) {
  const auto bytes = view.page(page);
  if (!bytes) throw Fault(damaged(page, "is missing"));
  Reader reader(*bytes);
  Owner node = decode_node(reader, -1);
  if (!node || reader.remaining() != 0 || node->kind == Kind::elsewhere) throw Fault(damaged(page, "is malformed"));
  if (hash_of(*node) != hash) throw Fault(damaged(page, "does not have the hash that stands above it"));
  node->page = page;
  return node;
}

void StateTree::reset(const View& view) {
  view_ = &view;
  freed_.clear();
  top_.reset();
  changed_ = false;
  next_page_ = 1;
  if (const auto bytes = view.page(0)) {
    Reader reader(*bytes);
    if (!reader.get(next_page_)) throw Fault(damaged(0, "is malformed"));
    if (reader.remaining() != 0) top_ = decode_node(reader, -1);
    if (reader.remaining() != 0 || (top_ && top_->kind == Kind::elsewhere)) throw Fault(damaged(0, "is malformed"));
  }
  first_unsaved_page_ = next_page_;
  nodes_ = top_ ? count(*top_) : 0;
}

StateTree::Node& StateTree::enter(Owner& at) {
  if (at->kind == Kind::elsewhere) {
    at = read(*view_, at->page, at->hash);
    nodes_ += count(*at) - 1;
  }
  at->used = time_;
  return *at;
}

// ---- changes ------------------------------------------------------------------------------------------------------

// Where the search for the key ends. The tree is not empty.
StateTree::Node& StateTree::end_of(const Hash& key) {
  Node* node = top_.get();
  while (node->kind == Kind::inner) node = &enter(node->child[bit_of(key, node->bit)]);
  return *node;
}

void StateTree::set(const Hash& key, const Hash& value) {
  const auto leaf_of = [&] {
    auto leaf = std::make_unique<Node>();
    leaf->entry = {key, value};
    nodes_++;
    return leaf;
  };
  if (!top_) {
    changed_ = true;
    top_ = leaf_of();
    return;
  }
  Node& end = end_of(key);
  const bool there = end.entry.key == key;
  if (there && end.entry.value == value) return;
  changed_ = true;
  const int parts_at = there ? 256 : attest::first_difference(end.entry.key, key);
  Owner* at = &top_;
  while ((*at)->kind == Kind::inner && (*at)->bit < parts_at) {
    (*at)->touch();
    at = &(*at)->child[bit_of(key, (*at)->bit)];
  }
  if (there) {
    (*at)->touch();
    (*at)->entry.value = value;
    return;
  }
  auto inner = std::make_unique<Node>();
  nodes_++;
  inner->kind = Kind::inner;
  inner->bit = static_cast<uint8_t>(parts_at);
  const bool right = bit_of(key, inner->bit);
  inner->child[right] = leaf_of();
  inner->child[!right] = std::move(*at);
  *at = std::move(inner);
}

void StateTree::erase(const Hash& key) {
  if (!top_ || end_of(key).entry.key != key) return;
  changed_ = true;
  if (top_->kind == Kind::leaf) {
    top_.reset();
    return;
  }
  Owner* above = nullptr;
  for (Owner* at = &top_; (*at)->kind == Kind::inner; at = &(*at)->child[bit_of(key, (*at)->bit)]) {
    (*at)->touch();
    above = at;
  }
  if ((*above)->page != 0) freed_.push_back((*above)->page);
  Owner sibling = std::move((*above)->child[!bit_of(key, (*above)->bit)]);
  *above = std::move(sibling);
  if (above == &top_ && top_->page != 0) {  // the top of the tree lies in page 0
    freed_.push_back(enter(top_).page);
    top_->page = 0;
  }
}

Hash StateTree::root() { return top_ ? hash_of(*top_) : Hash{}; }

attest::MapProof StateTree::prove(const Hash& key) {
  attest::MapProof proof;
  if (!top_) return proof;
  Node* node = top_.get();
  while (node->kind == Kind::inner) {
    const bool right = bit_of(key, node->bit);
    proof.steps.push_back({node->bit, hash_of(*node->child[!right])});
    node = &enter(node->child[right]);
  }
  proof.found = node->entry;
  return proof;
}

// ---- saving -------------------------------------------------------------------------------------------------------

// Decides where pages begin, below a node whose page will be written: gives what the node's own page holds of it.
size_t StateTree::cut(Node& node) {
  if (node.kind != Kind::inner) return 1;
  size_t weights[2];
  for (int side = 0; side < 2; side++) {
    Node& child = *node.child[side];
    weights[side] = child.page != 0 && child.saved ? 1 : cut(child);
    if (child.page == 0 || child.saved) continue;
    if (weights[side] < kPageMin) {
      freed_.push_back(child.page);
      child.page = 0;
    } else {
      weights[side] = 1;
    }
  }
  if (weights[0] + weights[1] > kPageMax) {
    for (int side = 0; side < 2; side++) {
      if (weights[side] < kPageMin) continue;
      Node& child = *node.child[side];
      child.page = next_page_++;
      child.used = time_;
      child.saved = false;
      weights[side] = 1;
    }
  }
  return weights[0] + weights[1];
}

void StateTree::collect(Node& node, std::vector<PageChange>& out) {
  if (node.kind == Kind::inner) {
    for (const Owner& child : node.child)
      if (child->page == 0 || !child->saved) collect(*child, out);
  }
  if (node.page != 0) {
    Bytes bytes;
    bytes.reserve(3'000);
    encode_node(node, bytes);
    out.emplace_back(node.page, std::move(bytes));
  }
  node.saved = true;
}

std::vector<PageChange> StateTree::changes() {
  std::vector<PageChange> out;
  if (!changed_) return out;
  root();
  if (top_) {
    cut(*top_);
    collect(*top_, out);
  }
  for (const uint64_t page : freed_)
    if (page < first_unsaved_page_) out.emplace_back(page, std::nullopt);
  Bytes first = encode(next_page_);
  if (top_) encode_node(*top_, first);
  out.emplace_back(0, std::move(first));
  return out;
}

// Takes pages out of memory that were not used since `before`.
void StateTree::forget(Node& node, uint32_t before) {
  if (node.kind != Kind::inner) return;
  for (Owner& child : node.child) {
    if (child->kind != Kind::inner) continue;
    if (child->page == 0 || child->used >= before) {
      forget(*child, before);
      continue;
    }
    auto stub = std::make_unique<Node>();
    stub->kind = Kind::elsewhere;
    stub->page = child->page;
    stub->hash = child->hash;
    stub->hashed = stub->saved = true;
    child = std::move(stub);
  }
}

void StateTree::saved(const View& view) {
  view_ = &view;
  freed_.clear();
  first_unsaved_page_ = next_page_;
  changed_ = false;
  time_++;
  for (const uint32_t age : {64u, 8u, 1u, 0u}) {
    if (nodes_ <= max_nodes_) return;
    if (top_ && time_ >= age) forget(*top_, time_ - age);
    nodes_ = top_ ? count(*top_) : 0;
  }
}

// ---- the whole ----------------------------------------------------------------------------------------------------

Result<> StateTree::check_node(const View& view, const Node& node, const std::function<bool(const attest::MapEntry&)>& visit) {
  if (node.kind == Kind::leaf) return visit(node.entry) ? Result<>() : Error{Code::cancelled, "stopped", ""};
  if (node.kind == Kind::elsewhere) return check_node(view, *read(view, node.page, node.hash), visit);
  for (const Owner& child : node.child) TRY(check_node(view, *child, visit));
  return {};
}

Result<> StateTree::check(const View& view, const Hash& root, const std::function<bool(const attest::MapEntry&)>& visit) {
  StateTree tree(view);
  if (tree.root() != root) return damaged(0, "does not have the root of the last header");
  return tree.top_ ? check_node(view, *tree.top_, visit) : Result<>();
}

}  // namespace cairn::ledger
