// One committed state, as bytes: its records, and the pages of the tree over them. What a State and a StateTree stand on.
//
// A view is of one height for as long as it lives, whatever is committed meanwhile. Any thread.
// Throws Fault (`io`) when the disk below fails.
#pragma once

#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "base/bytes.h"

namespace cairn::ledger {

// Order of keys: as unsigned bytes, a prefix first.
struct KeyOrder {
  using is_transparent = void;
  bool operator()(ByteSpan a, ByteSpan b) const {
    const size_t shorter = std::min(a.size(), b.size());
    const int first = shorter == 0 ? 0 : std::memcmp(a.data(), b.data(), shorter);
    return first != 0 ? first < 0 : a.size() < b.size();
  }
};

// A changed record's or page's bytes now; nullopt: it went.
using RecordChange = std::pair<Bytes, std::optional<Bytes>>;
using PageChange = std::pair<uint64_t, std::optional<Bytes>>;

class View {
 public:
  using Visit = std::function<bool(ByteSpan key, ByteSpan value)>;

  virtual ~View() = default;
  virtual std::optional<Bytes> record(ByteSpan key) const = 0;
  // Records from `from` on, in the order of their keys, until visit() says false; the spans live until it returns.
  virtual void records(ByteSpan from, const Visit& visit) const = 0;
  virtual std::optional<Bytes> page(uint64_t number) const = 0;
};

// A view that lives in memory and moves on: for chains without a disk.
class MemoryView final : public View {
 public:
  std::optional<Bytes> record(ByteSpan key) const override { return value_at(records_, key); }
  void records(ByteSpan from, const Visit& visit) const override {
    for (auto at = records_.lower_bound(from); at != records_.end() && visit(at->first, at->second); ++at) {}
  }
  std::optional<Bytes> page(uint64_t number) const override { return value_at(pages_, number); }

  void apply(const std::vector<RecordChange>& records, const std::vector<PageChange>& pages) {
    for (const auto& [key, value] : records) set(records_, key, value);
    for (const auto& [number, bytes] : pages) set(pages_, number, bytes);
  }

 private:
  template <class Map, class Key>
  static std::optional<Bytes> value_at(const Map& map, const Key& key) {
    const auto at = map.find(key);
    return at == map.end() ? std::nullopt : std::optional(at->second);
  }
  template <class Map, class Key>
  static void set(Map& map, const Key& key, const std::optional<Bytes>& value) {
    if (value) {
      map.insert_or_assign(key, *value);
    } else {
      map.erase(key);
    }
  }
  std::map<Bytes, Bytes, KeyOrder> records_;
  std::map<uint64_t, Bytes> pages_;
};

}  // namespace cairn::ledger
