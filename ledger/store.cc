#include "ledger/store.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <atomic>

namespace cairn::ledger {
namespace {

constexpr std::string_view kFormat = "1";

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

// A node of a small chain lives in a few tens of MiB; a large one is bounded by its own state, not by this.
rocksdb::Options options() {
  rocksdb::Options out;
  out.create_if_missing = true;
  out.write_buffer_size = 8u << 20;
  out.max_write_buffer_number = 2;
  out.max_open_files = 128;
  out.max_background_jobs = 2;
  out.compression = rocksdb::kNoCompression;  // signatures and hashes do not compress
  out.keep_log_file_num = 2;
  out.info_log_level = rocksdb::WARN_LEVEL;
  out.max_manifest_file_size = 1u << 20;
  // A record that was cut while it was written was never acknowledged; damage before the log's end is refused.
  out.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(8u << 20);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  out.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return out;
}

}  // namespace

struct Store::Disk {
  std::string folder;
  std::unique_ptr<rocksdb::DB> db;
  std::atomic<uint64_t> head{0}, last_event{0};

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

Store::Store(std::unique_ptr<Disk> disk) : disk_(std::move(disk)) {}
Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::open(const std::filesystem::path& folder, const Hash& genesis, rocksdb::Env* files) {
  auto disk = std::make_unique<Disk>();
  disk->folder = folder.string();
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
  {
    const std::unique_ptr<rocksdb::Iterator> at(disk->db->NewIterator(rocksdb::ReadOptions()));
    at->SeekForPrev(event_key(UINT64_MAX));
    if (at->Valid() && at->key().starts_with("e")) disk->last_event = disk->decoded<Event>(at->value()).seq;
    disk->require(at->status());
  }
  return std::unique_ptr<Store>(new Store(std::move(disk)));
}

void Store::commit(const BlockWrites& writes) {
  const Height height = writes.block.header.header.height;
  CHECK(number(height) == disk_->head + 1);
  rocksdb::WriteBatch batch;
  const auto put = [&](const std::string& key, const auto& record) { disk_->require(batch.Put(key, slice(encode(record)))); };
  for (const auto& [key, value] : writes.state)
    disk_->require(value ? batch.Put(state_key(key), slice(*value)) : batch.Delete(state_key(key)));
  put(block_key(height), writes.block);
  for (const auto& result : writes.block.results) put(result_key(result.id), result);
  for (const auto& receipt : writes.receipts) put(receipt_key(receipt.job, receipt.attempt), receipt);
  for (const auto& event : writes.events) put(event_key(event.seq), event);
  put("mhead", number(height));
  rocksdb::WriteOptions synced;
  synced.sync = true;
  disk_->require(disk_->db->Write(synced, &batch));
  disk_->head = number(height);
  if (!writes.events.empty()) disk_->last_event = writes.events.back().seq;
}

Height Store::head() const { return Height{disk_->head.load()}; }
uint64_t Store::last_event() const { return disk_->last_event; }

void Store::each_state(const std::function<void(ByteSpan, ByteSpan)>& visit) const {
  disk_->scan("s", "s", [&](const rocksdb::Slice& key, const rocksdb::Slice& value) {
    visit(span_of(key).subspan(1), span_of(value));
    return true;
  });
}

std::optional<Block> Store::block(Height height) const { return disk_->find<Block>(block_key(height)); }

std::optional<attest::SignedHeader> Store::header(Height height) const {
  const auto bytes = disk_->get(block_key(height));
  if (!bytes) return std::nullopt;
  Reader reader(as_bytes(*bytes));  // the header is a block's first field
  attest::SignedHeader header;
  if (!reader.get(header)) throw Fault({Code::io, "the store in " + disk_->folder + " holds a damaged block", "restore it from a copy"});
  return header;
}

std::optional<TxResult> Store::result(const TransactionId& id) const { return disk_->find<TxResult>(result_key(id)); }

std::optional<attest::ReceiptBody> Store::receipt(const JobId& job, uint32_t attempt) const {
  return disk_->find<attest::ReceiptBody>(receipt_key(job, attempt));
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

std::vector<Event> Store::events(uint64_t from, size_t limit) const {
  std::vector<Event> out;
  if (limit == 0) return out;
  disk_->scan(event_key(from), "e", [&](const rocksdb::Slice&, const rocksdb::Slice& value) {
    out.push_back(disk_->decoded<Event>(value));
    return out.size() < limit;
  });
  return out;
}

}  // namespace cairn::ledger
