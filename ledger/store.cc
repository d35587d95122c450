#include "ledger/store.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/table_properties.h>

#include <algorithm>
#include <atomic>
#include <mutex>

namespace cairn::ledger {
namespace {

constexpr std::string_view kFormat = "2";
constexpr uint64_t kWorthReclaiming = 8u << 20;

rocksdb::Slice slice(ByteSpan bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
rocksdb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }
ByteSpan span_of(const rocksdb::Slice& bytes) { return {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}; }

void append(std::string& key, ByteSpan bytes) { key.append(reinterpret_cast<const char*>(bytes.data()), bytes.size()); }
template <class Number>
void append_big_endian(std::string& key, Number n) {
  for (int shift = 8 * static_cast<int>(sizeof n) - 8; shift >= 0; shift -= 8) key.push_back(static_cast<char>(n >> shift));
}
std::string state_key(ByteSpan key) {
  std::string out = "s";
  append(out, key);
  return out;
}
std::string page_key(uint64_t page) {
  std::string out = "n";
  append_big_endian(out, page);
  return out;
}
std::string block_key(Height height) {
  std::string out = "b";
  append_big_endian(out, number(height));
  return out;
}
std::string result_key(const TransactionId& id) {
  std::string out = "t";
  append(out, id.span());
  return out;
}
std::string receipts_key(const JobId& job) {
  std::string out = "r";
  append(out, job.span());
  return out;
}
std::string receipt_key(const JobId& job, uint32_t attempt) {
  std::string out = receipts_key(job);
  append_big_endian(out, attempt);
  return out;
}
std::string event_key(uint64_t seq) {
  std::string out = "e";
  append_big_endian(out, seq);
  return out;
}

Error disk_error(const std::string& folder, const rocksdb::Status& status) {
  return {Code::io, "the store in " + folder + " failed: " + status.ToString(), "check the disk and its free space, then start the node again"};
}

// Counts in each table the bytes of the state's records and pages, and of those the ones that a later version in the same table
// stands before.
constexpr const char* kStateBytes = "cairn.state";
constexpr const char* kSupersededBytes = "cairn.superseded";

class StateBytes final : public rocksdb::TablePropertiesCollector {
 public:
  rocksdb::Status AddUserKey(const rocksdb::Slice& key, const rocksdb::Slice& value, rocksdb::EntryType, rocksdb::SequenceNumber, uint64_t) override {
    if (!key.starts_with("s") && !key.starts_with("n")) return rocksdb::Status::OK();
    const uint64_t bytes = key.size() + value.size();
    state_ += bytes;
    if (key == last_) superseded_ += bytes;
    last_.assign(key.data(), key.size());
    return rocksdb::Status::OK();
  }
  rocksdb::Status Finish(rocksdb::UserCollectedProperties* out) override {
    *out = GetReadableProperties();
    return rocksdb::Status::OK();
  }
  rocksdb::UserCollectedProperties GetReadableProperties() const override {
    return {{kStateBytes, std::to_string(state_)}, {kSupersededBytes, std::to_string(superseded_)}};
  }
  const char* Name() const override { return "cairn.state_bytes"; }

 private:
  uint64_t state_ = 0, superseded_ = 0;
  std::string last_;
};

class StateBytesFactory final : public rocksdb::TablePropertiesCollectorFactory {
 public:
  rocksdb::TablePropertiesCollector* CreateTablePropertiesCollector(Context) override { return new StateBytes; }
  const char* Name() const override { return "cairn.state_bytes"; }
};

// A node of a small chain lives in a few tens of MiB; a large one is bounded by its own state, not by this.
rocksdb::Options options() {
  rocksdb::Options out;
  out.create_if_missing = true;
  out.write_buffer_size = 8u << 20;
  out.max_write_buffer_number = 2;
  out.max_open_files = 128;
  out.max_background_jobs = 3;  // a memtable's flush, a compaction, and one that reclaim() asks for
  out.compression = rocksdb::kLZ4Compression;  // hashes do not compress, but a record repeats its key
  out.bottommost_compression = rocksdb::kZSTD;
  out.level_compaction_dynamic_level_bytes = true;  // nine tenths at least of what is kept lie in the last level
  out.keep_log_file_num = 2;
  out.info_log_level = rocksdb::WARN_LEVEL;
  out.max_manifest_file_size = 1u << 20;
  // A record that was cut while it was written was never acknowledged; damage before the log's end is refused.
  out.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(8u << 20);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  out.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  out.table_properties_collector_factories = {std::make_shared<StateBytesFactory>()};
  return out;
}

// What the tables take, in bytes: of the state, not compressed, what is the last version in its table, and what may be superseded
// without a view that shows it; and all there is, compressed.
struct Room {
  uint64_t state = 0, superseded = 0, files = 0;
};

}  // namespace

struct Store::Disk {
  std::string folder;
  std::shared_ptr<rocksdb::DB> db;
  rocksdb::Env* files = nullptr;
  std::unique_ptr<rocksdb::WritableFile> marks;
  std::atomic<uint64_t> head{0}, last_event{0};
  size_t window = 1;
  mutable std::mutex views_mutex;
  std::map<uint64_t, std::shared_ptr<const View>> views;  // of the window, by height

  void keep_view(uint64_t height);
  Room room() const;
  void drop_state();  // of a store without a block
  void begin_marks();
  void mark();
  void require(const rocksdb::Status& status) const {
    if (!status.ok()) throw Fault(disk_error(folder, status));
  }
  std::optional<std::string> get(const rocksdb::Slice& key) const {
    std::string value;
    const auto status = db->Get(rocksdb::ReadOptions(), key, &value);
    if (status.IsNotFound()) return std::nullopt;
    require(status);
    return value;
  }
  template <class Record>
  Record decoded(const rocksdb::Slice& bytes) const {
    auto record = decode<Record>(span_of(bytes));
    if (!record)
      throw Fault({Code::io, "the store in " + folder + " holds a damaged record: " + record.error().text, "restore it from a copy"});
    return *std::move(record);
  }
  template <class Record>
  std::optional<Record> find(const std::string& key) const {
    const auto bytes = get(key);
    if (!bytes) return std::nullopt;
    return decoded<Record>(*bytes);
  }
  // Records from `start` on, while the key begins with `prefix` and visit() says true.
  template <class Visit>
  void scan(const std::string& start, const std::string& prefix, Visit&& visit) const {
    const std::unique_ptr<rocksdb::Iterator> at(db->NewIterator(rocksdb::ReadOptions()));
    for (at->Seek(start); at->Valid() && at->key().starts_with(prefix); at->Next())
      if (!visit(at->key(), at->value())) break;
    require(at->status());
  }
};

// A height's state is what the database was when its block had just been written.
class SnapshotView final : public View {
 public:
  SnapshotView(std::shared_ptr<rocksdb::DB> db, const std::string& folder) : db_(std::move(db)), folder_(folder) {
    options_.snapshot = db_->GetSnapshot();
  }
  ~SnapshotView() override { db_->ReleaseSnapshot(options_.snapshot); }

  std::optional<Bytes> record(ByteSpan key) const override { return get(state_key(key)); }
  std::optional<Bytes> page(uint64_t number) const override { return get(page_key(number)); }
  void records(ByteSpan from, const Visit& visit) const override {
    rocksdb::ReadOptions options = options_;
    const rocksdb::Slice end("t");
    options.iterate_upper_bound = &end;
    const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(options));
    for (at->Seek(state_key(from)); at->Valid(); at->Next())
      if (!visit(span_of(at->key()).subspan(1), span_of(at->value()))) break;
    require(at->status());
  }

 private:
  void require(const rocksdb::Status& status) const {
    if (!status.ok()) throw Fault(disk_error(folder_, status));
  }
  std::optional<Bytes> get(const std::string& key) const {
    rocksdb::PinnableSlice value;
    const auto status = db_->Get(options_, db_->DefaultColumnFamily(), key, &value);
    if (status.IsNotFound()) return std::nullopt;
    require(status);
    const ByteSpan bytes = span_of(value);
    return Bytes(bytes.begin(), bytes.end());
  }
  std::shared_ptr<rocksdb::DB> db_;
  const std::string folder_;
  rocksdb::ReadOptions options_;
};

void Store::Disk::keep_view(uint64_t height) {
  auto view = std::make_shared<SnapshotView>(db, folder);
  const std::lock_guard lock(views_mutex);
  views[height] = std::move(view);
  if (height >= window) views.erase(views.begin(), views.upper_bound(height - window));
}

void Store::Disk::drop_state() {
  for (const char* table : {"n", "s"}) {
    const std::string end(1, static_cast<char>(*table + 1));
    const std::unique_ptr<rocksdb::Iterator> at(db->NewIterator(rocksdb::ReadOptions()));
    at->Seek(table);
    if (at->Valid() && at->key().starts_with(table)) require(db->DeleteRange(rocksdb::WriteOptions(), db->DefaultColumnFamily(), table, end));
    require(at->status());
  }
}

// ---- how far commit() came ----

namespace {

constexpr size_t kMarkBytes = 16;
constexpr uint64_t kMarksBytesMax = 1u << 20;

Bytes mark_of(uint64_t height) {
  Bytes out = encode(height);
  const Hash check = tagged_hash("cairn.last.v1", {out});
  out.insert(out.end(), check.v.begin(), check.v.begin() + 8);
  return out;
}

// The highest height of any mark that is whole; 0 when there is none.
uint64_t highest_mark(ByteSpan marks) {
  uint64_t highest = 0;
  for (; marks.size() >= kMarkBytes; marks = marks.subspan(kMarkBytes)) {
    const uint64_t height = *decode<uint64_t>(marks.first(8));
    if (std::ranges::equal(marks.first(kMarkBytes), mark_of(height))) highest = std::max(highest, height);
  }
  return highest;
}

}  // namespace

void Store::Disk::begin_marks() {
  require(files->NewWritableFile(folder + "/last", &marks, rocksdb::EnvOptions()));
  mark();
}

void Store::Disk::mark() {
  if (marks->GetFileSize() >= kMarksBytesMax) return begin_marks();
  require(marks->Append(slice(mark_of(head))));
}

Store::Store(std::unique_ptr<Disk> disk) : disk_(std::move(disk)) {}
Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::open(const std::filesystem::path& folder, const Hash& genesis, rocksdb::Env* files, uint32_t window) {
  CHECK(window > 0);
  auto disk = std::make_unique<Disk>();
  disk->folder = folder.string();
  disk->window = window;
  rocksdb::Options how = options();
  if (files) {
    how.env = files;
  } else {
    std::error_code fault;
    std::filesystem::create_directories(folder, fault);
    if (fault) return Error{Code::io, "the folder " + disk->folder + " cannot be made: " + fault.message(), "name another, or make it"};
  }
  rocksdb::DB* opened = nullptr;
  const auto status = rocksdb::DB::Open(how, disk->folder, &opened);
  if (!status.ok()) {
    if (status.ToString().find("lock") != std::string::npos)
      return Error{Code::io, "the store in " + disk->folder + " is held by another process", "stop the node that runs there, or name another folder"};
    return disk_error(disk->folder, status);
  }
  disk->db.reset(opened);

  const auto format = disk->get("mformat");
  if (!format) {
    rocksdb::WriteBatch batch;
    batch.Put("mformat", slice(kFormat));
    batch.Put("mgenesis", slice(genesis.span()));
    rocksdb::WriteOptions synced;
    synced.sync = true;
    disk->require(disk->db->Write(synced, &batch));
  } else if (*format != kFormat) {
    return Error{Code::malformed, "the store in " + disk->folder + " has format " + *format + ", this program writes " + std::string(kFormat),
                 "use the program of its version, or another folder"};
  }
  if (const auto held = disk->get("mgenesis"); !held || *held != slice(genesis.span()).ToString())
    return Error{Code::wrong_chain, "the store in " + disk->folder + " belongs to another chain than the genesis file",
                 "name the folder or the genesis file that go together"};
  if (const auto head = disk->get("mhead")) disk->head = disk->decoded<uint64_t>(*head);
  if (disk->head == 0) disk->drop_state();  // that an interrupted begin() has left
  {
    const std::unique_ptr<rocksdb::Iterator> at(disk->db->NewIterator(rocksdb::ReadOptions()));
    at->SeekForPrev(event_key(UINT64_MAX));
    if (at->Valid() && at->key().starts_with("e")) disk->last_event = disk->decoded<Event>(at->value()).seq;
    disk->require(at->status());
  }
  disk->files = how.env;
  if (std::string marks; rocksdb::ReadFileToString(how.env, disk->folder + "/last", &marks).ok()) {
    if (const uint64_t last = highest_mark(as_bytes(marks)); last > disk->head)
      return Error{Code::io, "the store in " + disk->folder + " ends at block " + std::to_string(disk->head) + ", but it had block " + std::to_string(last),
                   "restore the folder from a copy"};
  }
  disk->begin_marks();
  disk->keep_view(disk->head);
  return std::unique_ptr<Store>(new Store(std::move(disk)));
}

void Store::commit(const BlockWrites& writes, const std::function<void()>& before_shown) {
  const Height height = writes.block.header.header.height;
  CHECK(number(height) == disk_->head + 1);
  rocksdb::WriteBatch batch;
  const auto put = [&](const std::string& key, const auto& record) { disk_->require(batch.Put(key, slice(encode(record)))); };
  const auto change = [&](const std::string& key, const std::optional<Bytes>& value) {
    disk_->require(value ? batch.Put(key, slice(*value)) : batch.Delete(key));
  };
  for (const auto& [key, value] : writes.state) change(state_key(key), value);
  for (const auto& [page, bytes] : writes.pages) change(page_key(page), bytes);
  put(block_key(height), writes.block);
  for (const auto& result : writes.block.results) put(result_key(result.id), result);
  for (const auto& receipt : writes.receipts) put(receipt_key(receipt.job, receipt.attempt), receipt);
  for (const auto& event : writes.events) put(event_key(event.seq), event);
  put("mhead", number(height));
  rocksdb::WriteOptions synced;
  synced.sync = true;
  disk_->require(disk_->db->Write(synced, &batch));
  if (before_shown) before_shown();
  disk_->keep_view(number(height));  // before anybody is told of the height: whoever asks for the last state finds it
  disk_->head = number(height);
  if (!writes.events.empty()) disk_->last_event = writes.events.back().seq;
  disk_->mark();
}

void Store::begin(const attest::SignedHeader& header, std::span<const attest::SignedHeader> draw_headers,
                  std::span<const attest::ReceiptBody> receipts, const std::optional<Event>& last_event,
                  std::span<const RecordChange> state, std::span<const PageChange> pages) {
  add(state, pages);
  rocksdb::WriteBatch batch;
  const auto put = [&](const std::string& key, const auto& record) { disk_->require(batch.Put(key, slice(encode(record)))); };
  for (const auto& one : draw_headers) put(block_key(one.header.height), Block{one, {}, {}});
  put(block_key(header.header.height), Block{header, {}, {}});
  for (const auto& receipt : receipts) put(receipt_key(receipt.job, receipt.attempt), receipt);
  if (last_event) put(event_key(last_event->seq), *last_event);
  put("mhead", number(header.header.height));
  rocksdb::WriteOptions synced;
  synced.sync = true;
  disk_->require(disk_->db->Write(synced, &batch));
  disk_->keep_view(number(header.header.height));
  disk_->head = number(header.header.height);
  if (last_event) disk_->last_event = last_event->seq;
  disk_->mark();
}

void Store::add(std::span<const RecordChange> state, std::span<const PageChange> pages) {
  constexpr size_t kAtOnce = 4u << 20;
  CHECK(disk_->head == 0);
  rocksdb::WriteBatch batch;
  const auto write = [&] {
    disk_->require(disk_->db->Write(rocksdb::WriteOptions(), &batch));
    batch.Clear();
  };
  const auto change = [&](const std::string& key, const std::optional<Bytes>& value) {
    disk_->require(value ? batch.Put(key, slice(*value)) : batch.Delete(key));
    if (batch.GetDataSize() >= kAtOnce) write();
  };
  for (const auto& [key, value] : state) change(state_key(key), value);
  for (const auto& [page, bytes] : pages) change(page_key(page), bytes);
  write();
  disk_->keep_view(0);
}

void Store::clear() {
  CHECK(disk_->head == 0);
  disk_->drop_state();
  disk_->keep_view(0);
}

Room Store::Disk::room() const {
  uint64_t oldest = 0;
  CHECK(db->GetIntProperty(rocksdb::DB::Properties::kOldestSnapshotSequence, &oldest));
  rocksdb::TablePropertiesCollection tables;
  require(db->GetPropertiesOfAllTables(&tables));
  std::vector<rocksdb::LiveFileMetaData> live;
  db->GetLiveFilesMetaData(&live);
  Room out;
  for (const auto& file : live) {
    out.files += file.size;
    const auto table = tables.find(file.db_path + file.name);
    if (table == tables.end()) continue;  // it came between
    const auto& counted = table->second->user_collected_properties;
    const auto bytes = [&](const char* name) {
      const auto at = counted.find(name);
      return at == counted.end() ? 0 : std::stoull(at->second);
    };
    const uint64_t superseded = bytes(kSupersededBytes);
    const uint64_t state = bytes(kStateBytes) - superseded;
    out.state += state;
    if (file.largest_seqno > oldest) continue;
    out.superseded += superseded;
    if (file.level < db->NumberLevels() - 1) out.superseded += state;  // each version may stand before one in the last level
  }
  return out;
}

uint64_t Store::reclaim(std::atomic<bool>& stop) {
  const Room before = disk_->room();
  uint64_t free = 0;
  const bool fits = disk_->files->GetFreeSpace(disk_->folder, &free).ok() && free / 2 > before.files;
  if (before.superseded <= std::max(before.state / 8, kWorthReclaiming) || !fits) return 0;
  rocksdb::CompactRangeOptions how;
  how.canceled = &stop;
  how.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  for (const rocksdb::Slice& table : {rocksdb::Slice("n"), rocksdb::Slice("s")}) {
    const std::string end(1, static_cast<char>(table[0] + 1));
    const rocksdb::Slice until(end);
    const auto status = disk_->db->CompactRange(how, &table, &until);
    if (status.IsIncomplete() || stop) return 0;
    disk_->require(status);
  }
  const uint64_t after = disk_->room().files;
  return before.files - std::min(before.files, after);
}

Height Store::head() const { return Height{disk_->head.load()}; }
uint64_t Store::last_event() const { return disk_->last_event; }

std::shared_ptr<const View> Store::view(Height height) const {
  const std::lock_guard lock(disk_->views_mutex);
  const auto at = disk_->views.find(number(height));
  return at == disk_->views.end() ? nullptr : at->second;
}

std::optional<Block> Store::block(Height height) const {
  if (height > head()) return std::nullopt;
  return disk_->find<Block>(block_key(height));
}

std::optional<attest::SignedHeader> Store::header(Height height) const {
  if (height > head()) return std::nullopt;
  const auto bytes = disk_->get(block_key(height));
  if (!bytes) return std::nullopt;
  Reader reader(as_bytes(*bytes));  // the header is a block's first field
  attest::SignedHeader header;
  if (!reader.get(header)) throw Fault({Code::io, "the store in " + disk_->folder + " holds a damaged block", "restore it from a copy"});
  return header;
}

std::optional<TxResult> Store::result(const TransactionId& id) const {
  const auto found = disk_->find<TxResult>(result_key(id));
  return found && found->height <= head() ? found : std::nullopt;
}

std::optional<attest::ReceiptBody> Store::receipt(const JobId& job, uint32_t attempt) const {
  return disk_->find<attest::ReceiptBody>(receipt_key(job, attempt));
}

std::optional<attest::ReceiptBody> Store::last_receipt(const JobId& job) const {
  const std::unique_ptr<rocksdb::Iterator> at(disk_->db->NewIterator(rocksdb::ReadOptions()));
  at->SeekForPrev(receipt_key(job, UINT32_MAX));
  disk_->require(at->status());
  if (!at->Valid() || !at->key().starts_with(receipts_key(job))) return std::nullopt;
  return disk_->decoded<attest::ReceiptBody>(at->value());
}

std::vector<attest::ReceiptBody> Store::receipts(const JobId& job) const {
  std::vector<attest::ReceiptBody> out;
  const std::string prefix = receipts_key(job);
  disk_->scan(prefix, prefix, [&](const rocksdb::Slice&, const rocksdb::Slice& value) {
    out.push_back(disk_->decoded<attest::ReceiptBody>(value));
    return true;
  });
  return out;
}

std::vector<Event> Store::events(uint64_t from, size_t limit, size_t bytes) const {
  std::vector<Event> out;
  if (limit == 0) return out;
  size_t read = 0;
  disk_->scan(event_key(from), "e", [&](const rocksdb::Slice&, const rocksdb::Slice& value) {
    if ((read += value.size()) > bytes && !out.empty()) return false;
    out.push_back(disk_->decoded<Event>(value));
    return out.size() < limit;
  });
  return out;
}

}  // namespace cairn::ledger
