#include "ledger/search.h"

#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include "base/log.h"

namespace cairn::ledger {
namespace {

constexpr const char* kMark = "m";
constexpr size_t kBatchBytes = 1u << 20;

// Records of one walk: an id is any 32 bytes with a type of their own but a hash, a key or a currency.
template <class T>
void collect(const T& value, std::set<Hash>& ids) {
  if constexpr (is_bytes32_v<T>) {
    if constexpr (!std::is_same_v<T, Hash> && !std::is_same_v<T, PublicKey> && !std::is_same_v<T, Currency>)
      if (!value.is_zero()) ids.insert(value.template as<HashTag>());
  } else if constexpr (std::is_same_v<T, Bytes>) {
  } else if constexpr (is_vector_v<T> || is_array_v<T>) {
    for (const auto& element : value) collect(element, ids);
  } else if constexpr (is_optional_v<T>) {
    if (value) collect(*value, ids);
  } else if constexpr (is_variant_v<T>) {
    std::visit([&](const auto& alternative) { collect(alternative, ids); }, value);
  } else if constexpr (HasFields<T>) {
    for_each_field(value, [&](const char*, const auto& member) { collect(member, ids); });
  }
}

std::string key_of_place(const Hash& id, Place place) {
  std::string key = "x";
  key.append(reinterpret_cast<const char*>(id.data()), id.size());
  for (int shift = 56; shift >= 0; shift -= 8) key.push_back(static_cast<char>(number(place.height) >> shift));
  for (int shift = 24; shift >= 0; shift -= 8) key.push_back(static_cast<char>(place.index >> shift));
  return key;
}
Place place_in(const rocksdb::Slice& key) {
  Place out;
  uint64_t height = 0;
  for (size_t i = key.size() - 12; i < key.size() - 4; i++) height = height << 8 | static_cast<uint8_t>(key[i]);
  for (size_t i = key.size() - 4; i < key.size(); i++) out.index = out.index << 8 | static_cast<uint8_t>(key[i]);
  out.height = Height{height};
  return out;
}

// How far the index has come, and on which chain.
struct Mark {
  uint64_t height = 0;
  Hash header;
  static constexpr auto fields() { return std::tuple{field("height", &Mark::height), field("header", &Mark::header)}; }
};

rocksdb::Options options() {
  rocksdb::Options out;
  out.create_if_missing = true;
  out.write_buffer_size = 4u << 20;
  out.max_open_files = 32;
  out.max_background_jobs = 1;
  out.compression = rocksdb::kNoCompression;
  out.keep_log_file_num = 1;
  out.info_log_level = rocksdb::WARN_LEVEL;
  rocksdb::BlockBasedTableOptions table;
  table.no_block_cache = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  out.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return out;
}

Error disk_error(const std::filesystem::path& folder, const std::string& why) {
  return {Code::io, "the search index in " + folder.string() + " failed: " + why, "check the disk; the folder can be deleted, the node makes it anew"};
}

}  // namespace

struct Search::Disk {
  std::unique_ptr<rocksdb::DB> db;
};

std::set<Hash> ids_in(const Transaction& transaction, const TransactionId& id) {
  std::set<Hash> ids{id};  // also the id of the job, offer or asset that it makes
  collect(transaction, ids);
  return ids;
}

Search::Search(std::filesystem::path folder, const Store& store) : folder_(std::move(folder)), store_(store), thread_([this] { follow(); }) {}

Search::~Search() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Search::announce() {
  {
    std::lock_guard lock(mutex_);
    called_ = true;
  }
  wake_.notify_one();
}

Height Search::indexed() const {
  std::lock_guard lock(mutex_);
  return Height{indexed_};
}

Result<> Search::open() {
  for (bool again = false;; again = true) {
    rocksdb::DB* opened = nullptr;
    auto status = rocksdb::DB::Open(options(), folder_.string(), &opened);
    if (!status.ok() && again) return disk_error(folder_, status.ToString());
    Mark mark;
    if (status.ok()) {
      auto disk = std::make_shared<Disk>();
      disk->db.reset(opened);
      std::string bytes;
      if (disk->db->Get({}, kMark, &bytes).ok())
        if (const auto known = decode<Mark>(as_bytes(bytes))) mark = *known;
      const auto header = mark.height == 0 ? std::nullopt : store_.header(Height{mark.height});
      if (mark.height == 0 || (header && attest::header_id(header->header) == mark.header)) {
        std::lock_guard lock(mutex_);
        disk_ = std::move(disk);
        indexed_ = mark.height;
        return {};
      }
    }
    rocksdb::DestroyDB(folder_.string(), options());  // damaged, or of other blocks
  }
}

void Search::follow() {
  try {
    must(open());
    while (true) {
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return stopping_ || called_; });
        if (stopping_) break;
        called_ = false;
      }
      for (uint64_t head = number(store_.head()), height = indexed_ + 1; height <= head;) {
        rocksdb::WriteBatch batch;
        Mark mark;
        for (; height <= head && batch.GetDataSize() < kBatchBytes; height++) {
          const auto block = store_.block(Height{height});
          if (!block) continue;  // from before the state that this node began with
          for (uint32_t i = 0; i < block->transactions.size(); i++) {
            const Hash id = transaction_id(block->transactions[i]);
            const auto transaction = decode<Transaction>(block->transactions[i]);
            if (!transaction) continue;
            for (const Hash& one : ids_in(*transaction, id))
              batch.Put(key_of_place(one, {Height{height}, i}), {reinterpret_cast<const char*>(id.data()), id.size()});
          }
          mark = {height, attest::header_id(block->header.header)};
        }
        const Bytes bytes = encode(mark);
        batch.Put(kMark, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
        rocksdb::WriteOptions unlogged;
        unlogged.disableWAL = true;
        if (const auto status = disk_->db->Write(unlogged, &batch); !status.ok()) throw Fault(disk_error(folder_, status.ToString()));
        std::lock_guard lock(mutex_);
        indexed_ = mark.height;
        if (stopping_) break;
      }
    }
    disk_->db->Flush({});  // so that the next start need not read these blocks again
  } catch (const Fault& fault) {
    log_error("search.failed", {{"text", fault.error().text}});
    std::lock_guard lock(mutex_);
    failed_ = fault.error();
  }
}

Result<std::vector<Search::Found>> Search::find(const Hash& id, Place before, size_t limit) const {
  std::shared_ptr<Disk> disk;
  {
    std::lock_guard lock(mutex_);
    if (failed_) return *failed_;
    disk = disk_;
  }
  if (!disk) return Error{Code::unreachable, "the search index is being opened", "ask again in a moment"};
  std::vector<Found> out;
  const std::string prefix = key_of_place(id, {}).substr(0, 1 + id.size());
  const std::unique_ptr<rocksdb::Iterator> at(disk->db->NewIterator({}));
  at->SeekForPrev(key_of_place(id, before));
  if (at->Valid() && at->key() == key_of_place(id, before)) at->Prev();
  for (; at->Valid() && at->key().starts_with(prefix) && out.size() < limit; at->Prev()) {
    const auto found = Hash::from({reinterpret_cast<const uint8_t*>(at->value().data()), at->value().size()});
    if (!found) return disk_error(folder_, "a damaged record");
    out.push_back({*found, place_in(at->key())});
  }
  if (!at->status().ok()) return disk_error(folder_, at->status().ToString());
  return out;
}

}  // namespace cairn::ledger
