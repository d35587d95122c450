#include "ledger/snapshot.h"

#include <algorithm>
#include <charconv>

#include "base/file.h"
#include "base/log.h"

namespace cairn::ledger {
namespace {

namespace fs = std::filesystem;

constexpr size_t kChunkBytes = 1u << 20;    // of records, unless one alone is larger
constexpr size_t kMemoryBytes = 64u << 20;  // of records that are sorted at once
constexpr int kSlotBits = 12;               // by which what fits there is found
constexpr size_t kRecordBytes = 16;         // that a record takes besides its key and value
constexpr size_t kFileMaxBytes = 64u << 20;
constexpr size_t kKept = 2;

fs::path file_of(const fs::path& folder, uint32_t chunk) { return folder / std::to_string(chunk); }

// Cuts a view into chunks by descending its tree: first by slots, until a part fits into memory, then record by record.
class Cutter {
 public:
  Cutter(const Chain::Committed& committed, const fs::path& folder, const std::function<bool()>& go_on)
      : view_(*committed.view), root_(committed.header.header.state_root), tree_(view_), folder_(folder), go_on_(go_on) {}

  Result<uint32_t> cut() {
    std::vector<size_t> sizes(size_t{1} << kSlotBits);
    TRY(each([&](const Hash& place, ByteSpan key, ByteSpan value) { sizes[slot_of(place)] += kRecordBytes + key.size() + value.size(); }));
    TRY(cut_slots(sizes, 0, sizes.size()));
    return written_;
  }

 private:
  struct Placed {
    attest::MapEntry entry;
    ExportedRecord record;
    size_t size() const { return kRecordBytes + record.key.size() + record.value.size(); }
  };

  static size_t slot_of(const Hash& place) { return (size_t{place.v[0]} << 8 | place.v[1]) >> (16 - kSlotBits); }

  template <class Take>
  Result<> each(Take&& take) {
    bool stopped = false;
    view_.records({}, [&](ByteSpan key, ByteSpan value) {
      take(blake3(key), key, value);
      stopped = !go_on_();
      return !stopped;
    });
    if (stopped) return Error{Code::cancelled, "the snapshot was stopped", "it is taken again at its next height"};
    return {};
  }

  Result<> cut_slots(std::span<const size_t> sizes, size_t from, size_t to) {
    size_t size = 0;
    for (size_t slot = from; slot < to; slot++) size += sizes[slot];
    if (size == 0) return {};
    if (size > kMemoryBytes && to - from > 1) {
      const size_t middle = from + (to - from) / 2;
      TRY(cut_slots(sizes, from, middle));
      return cut_slots(sizes, middle, to);
    }
    std::vector<Placed> placed;
    TRY(each([&](const Hash& place, ByteSpan key, ByteSpan value) {
      if (slot_of(place) < from || slot_of(place) >= to) return;
      placed.push_back({{place, blake3(value)}, {Bytes(key.begin(), key.end()), Bytes(value.begin(), value.end())}});
    }));
    std::sort(placed.begin(), placed.end(), [](const Placed& a, const Placed& b) { return a.entry.key < b.entry.key; });
    return cut_records(placed);
  }

  Result<> cut_records(std::span<Placed> placed) {
    size_t size = 0;
    for (const Placed& one : placed) size += one.size();
    if (size <= kChunkBytes || placed.size() == 1) return write(placed);
    const uint8_t bit = attest::first_difference(placed.front().entry.key, placed.back().entry.key);
    const auto right = std::partition_point(placed.begin(), placed.end(), [&](const Placed& one) { return !attest::bit_of(one.entry.key, bit); });
    TRY(cut_records({placed.begin(), right}));
    return cut_records({right, placed.end()});
  }

  Result<> write(std::span<Placed> placed) {
    std::vector<attest::MapEntry> entries;
    StateChunk chunk;
    for (Placed& one : placed) {
      entries.push_back(one.entry);
      chunk.records.push_back(std::move(one.record));
    }
    const auto branch = attest::branch_of(entries, tree_.prove(entries.front().key));
    must(attest::check_branch(root_, entries, branch));  // or the disk is damaged
    chunk.steps = branch.steps;
    must(write_file(file_of(folder_, written_++), encode(chunk)));
    return {};
  }

  const View& view_;
  const Hash root_;
  StateTree tree_;
  const fs::path folder_;
  const std::function<bool()>& go_on_;
  uint32_t written_ = 0;
};

}  // namespace

Result<SnapshotHead> write_snapshot(const Chain::Committed& committed, const std::optional<Event>& last_event, const fs::path& folder,
                                    const std::function<bool()>& go_on) {
  const fs::path part = folder.string() + ".part";
  std::error_code fault;
  fs::remove_all(part, fault);
  fs::create_directories(part, fault);
  if (fault) throw Fault({Code::io, part.string() + " cannot be made: " + fault.message(), "check the disk and its free space"});
  const auto chunks = Cutter(committed, part, go_on).cut();
  if (!chunks) {
    fs::remove_all(part, fault);
    return chunks.error();
  }
  SnapshotHead head{committed.header.header, *chunks, last_event};
  must(write_file(part / "head", encode(head)));
  fs::rename(part, folder, fault);
  if (fault) throw Fault({Code::io, folder.string() + " cannot be made: " + fault.message(), "check the disk and its free space"});
  return head;
}

// ---- what a node offers ----

Snapshots::Snapshots(fs::path folder, const Chain& chain, uint64_t every_blocks, std::chrono::milliseconds lasting)
    : folder_(std::move(folder)), chain_(chain), every_blocks_(every_blocks), lasting_(lasting), thread_([this] { work(); }) {}

Snapshots::~Snapshots() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Snapshots::announce() {
  const Height head = chain_.store().head();
  if (every_blocks_ == 0 || number(head) % every_blocks_ != 0) return;
  auto committed = chain_.at(head);
  if (!committed) return;
  auto last = chain_.store().events(chain_.store().last_event(), 1);
  {
    std::lock_guard lock(mutex_);
    turn_ = Turn{*std::move(committed), last.empty() ? std::nullopt : std::optional(std::move(last.front()))};
  }
  wake_.notify_all();
}

void Snapshots::work() {
  for (;;) {
    std::optional<Turn> turn;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stopping_ || turn_; });
      if (stopping_) return;
      turn = std::exchange(turn_, std::nullopt);
    }
    const uint64_t height = number(turn->committed.header.header.height);
    try {
      const auto head = write_snapshot(turn->committed, turn->last_event, folder_ / std::to_string(height), [this] { return !stopping_; });
      if (!head) return;  // stopping
      log_info("snapshot.taken", {{"height", height}, {"chunks", head->chunks}});
      const auto all = heights();
      for (size_t i = 0; i + kKept < all.size(); i++) {
        const fs::path old = folder_ / std::to_string(number(all[i]));
        if (fs::last_write_time(old) + lasting_ <= fs::file_time_type::clock::now()) fs::remove_all(old);
      }
    } catch (const std::exception& failed) {  // the chain does not need it
      log_error("snapshot.failed", {{"height", height}, {"text", failed.what()}});
    }
  }
}

std::vector<Height> Snapshots::heights() const {
  std::vector<Height> out;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder_, none)) {
    const std::string name = entry.path().filename();
    uint64_t height = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), height);
    if (error == std::errc() && end == name.data() + name.size()) out.push_back(Height{height});
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<SnapshotHead> Snapshots::list() const {
  std::vector<SnapshotHead> out;
  for (const Height height : heights()) {
    const auto bytes = read_file(folder_ / std::to_string(number(height)) / "head", kFileMaxBytes);
    const auto head = bytes ? decode<SnapshotHead>(*bytes) : Result<SnapshotHead>(bytes.error());
    if (head) out.push_back(*head);
  }
  return out;
}

std::optional<Bytes> Snapshots::chunk(Height height, uint32_t number_of_it) const {
  auto bytes = read_file(file_of(folder_ / std::to_string(number(height)), number_of_it), kFileMaxBytes);
  return bytes ? std::optional(*std::move(bytes)) : std::nullopt;
}

// ---- what a node takes ----

namespace {
std::shared_ptr<const View> emptied(Chain& chain) {
  chain.forget();
  return chain.store().view(Height{});
}
}  // namespace

Restore::Restore(Chain& chain, SnapshotHead head) : chain_(chain), head_(std::move(head)), view_(emptied(chain)), tree_(*view_) {}

Result<> Restore::add(ByteSpan bytes) {
  TRY_LET(chunk, decode<StateChunk>(bytes));
  if (chunk.records.empty()) return Error{Code::proof, "a chunk of the state without records", "ask another node"};
  std::vector<attest::MapEntry> entries;
  for (const auto& [key, value] : chunk.records) entries.push_back(map_entry(key, value));
  attest::MapBranch branch{entries.front().key, std::move(chunk.steps)};
  TRY(attest::check_branch(head_.header.state_root, entries, branch));
  if (last_ ? !attest::follows(*last_, branch) : !attest::is_first(branch))
    return Error{Code::proof, "a chunk of the state that does not come next", "ask another node"};

  std::vector<RecordChange> records;
  for (size_t i = 0; i < entries.size(); i++) {
    tree_.set(entries[i].key, entries[i].value);
    records.emplace_back(std::move(chunk.records[i].key), std::move(chunk.records[i].value));
  }
  chain_.add(records, tree_.changes());
  auto view = chain_.store().view(Height{});
  tree_.saved(*view);
  view_ = std::move(view);
  last_ = std::move(branch);
  next_++;
  return {};
}

Result<> Restore::finish() {
  if (!whole()) return Error{Code::proof, "a snapshot that ends before the state does", "take another one"};
  CHECK(tree_.root() == head_.header.state_root);
  return chain_.begin({head_.header, attest::CometSeal{}}, head_.last_event);
}

}  // namespace cairn::ledger
