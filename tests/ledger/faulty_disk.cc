#include "tests/ledger/faulty_disk.h"

#include <algorithm>
#include <cstring>

namespace cairn::ledger {

using rocksdb::Slice;
using rocksdb::Status;

namespace {

constexpr size_t kSectorBytes = 512;
Status no_power() { return Status::IOError("the power is out"); }
Status no_file(const std::string& name) { return Status::PathNotFound(name); }

class Silent final : public rocksdb::Logger {
 public:
  void Logv(const char*, va_list) override {}
};

}  // namespace

class FaultyDisk::Reading final : public rocksdb::SequentialFile, public rocksdb::RandomAccessFile {
 public:
  Reading(FaultyDisk& disk, std::shared_ptr<Content> content) : disk_(disk), content_(std::move(content)) {}
  Status Read(uint64_t offset, size_t n, Slice* result, char* scratch) const override {
    const std::lock_guard lock(disk_.mutex_);
    const std::string& bytes = content_->bytes;
    const size_t from = std::min<size_t>(offset, bytes.size());
    const size_t size = std::min(n, bytes.size() - from);
    std::memcpy(scratch, bytes.data() + from, size);
    *result = Slice(scratch, size);
    return Status::OK();
  }
  Status Read(size_t n, Slice* result, char* scratch) override {
    const Status status = Read(at_, n, result, scratch);
    at_ += result->size();
    return status;
  }
  Status Skip(uint64_t n) override { return at_ += n, Status::OK(); }
  bool use_direct_io() const override { return false; }
  size_t GetRequiredBufferAlignment() const override { return 1; }
  Status InvalidateCache(size_t, size_t) override { return Status::OK(); }

 private:
  FaultyDisk& disk_;
  std::shared_ptr<Content> content_;
  uint64_t at_ = 0;
};

class FaultyDisk::Writing final : public rocksdb::WritableFile {
 public:
  Writing(FaultyDisk& disk, std::string name, std::shared_ptr<Content> content)
      : disk_(disk), name_(std::move(name)), content_(std::move(content)) {}
  Status Append(const Slice& data) override {
    const std::lock_guard lock(disk_.mutex_);
    const Status status = disk_.step(Step::write, name_);
    // What is being written when the power goes is in the disk's cache in part.
    size_t size = status.ok() ? data.size() : data.size() / 2;
    const bool fits = disk_.capacity_ == 0 || disk_.bytes_now() + size <= disk_.capacity_;
    if (!fits) size = static_cast<size_t>(disk_.capacity_ - std::min(disk_.bytes_now(), disk_.capacity_));
    content_->bytes.append(data.data(), size);
    return !fits && status.ok() ? Status::NoSpace("the disk is full") : status;
  }
  Status Append(const Slice& data, const rocksdb::DataVerificationInfo&) override { return Append(data); }
  Status Truncate(uint64_t size) override {
    const std::lock_guard lock(disk_.mutex_);
    if (disk_.out_) return no_power();
    content_->bytes.resize(size);
    return Status::OK();
  }
  Status Close() override { return Status::OK(); }
  Status Flush() override { return Status::OK(); }
  Status Sync() override {
    const std::lock_guard lock(disk_.mutex_);
    const Status status = disk_.step(Step::write, name_);
    if (status.ok()) content_->synced = content_->bytes.size();
    return status;
  }
  bool IsSyncThreadSafe() const override { return true; }
  uint64_t GetFileSize() override {
    const std::lock_guard lock(disk_.mutex_);
    return content_->bytes.size();
  }
  Status Allocate(uint64_t, uint64_t) override { return Status::OK(); }
  void PrepareWrite(size_t, size_t) override {}
  Status RangeSync(uint64_t, uint64_t) override { return Status::OK(); }

 private:
  FaultyDisk& disk_;
  const std::string name_;
  std::shared_ptr<Content> content_;
};

class FaultyDisk::Folder final : public rocksdb::Directory {
 public:
  Folder(FaultyDisk& disk, std::string name) : disk_(disk), name_(std::move(name)) {}
  Status Fsync() override {
    const std::lock_guard lock(disk_.mutex_);
    const Status status = disk_.step(Step::other, name_);
    if (status.ok()) disk_.durable_ = disk_.now_;
    return status;
  }
  Status Close() override { return Status::OK(); }

 private:
  FaultyDisk& disk_;
  const std::string name_;
};

Status FaultyDisk::step(Step step, const std::string& name) {
  const bool counted = counts_ == Counts::all || (step == Step::write && name.ends_with(".log"));
  if (counted && ++operations_ == cut_at_) out_ = true;
  return out_ ? no_power() : Status::OK();
}
uint64_t FaultyDisk::operations() const {
  const std::lock_guard lock(mutex_);
  return operations_;
}
void FaultyDisk::cut_at(uint64_t operation) {
  const std::lock_guard lock(mutex_);
  cut_at_ = operation == 0 ? 0 : operations_ + operation;
}
bool FaultyDisk::failed() const {
  const std::lock_guard lock(mutex_);
  return out_;
}
void FaultyDisk::set_capacity(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  capacity_ = bytes;
}
uint64_t FaultyDisk::bytes_now() const {
  uint64_t sum = 0;
  for (const auto& [name, content] : now_) sum += content->bytes.size();
  return sum;
}
uint64_t FaultyDisk::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_now();
}

void FaultyDisk::restore(Loss loss, uint64_t random) {
  const std::lock_guard lock(mutex_);
  std::mt19937_64 rng(random);
  const bool names_are_lost = loss == Loss::whole || (loss != Loss::none && rng() % 2 == 0);
  const uint64_t part = rng();
  if (names_are_lost) now_ = durable_;
  for (auto& [name, content] : now_) {
    std::string& bytes = content->bytes;
    const size_t synced = std::min(content->synced, bytes.size());
    const size_t kept = loss == Loss::none ? bytes.size() : loss == Loss::whole ? synced : synced + static_cast<size_t>(part % (bytes.size() - synced + 1));
    bytes.resize(kept);
    if (loss == Loss::torn && kept > synced) {
      // Never below what was synced: a sector that holds synced bytes too is written whole or not.
      std::mt19937_64 garbage(random);
      const size_t sector = (kept - 1) / kSectorBytes * kSectorBytes;
      for (size_t at = std::max(sector, synced); at < kept; at++) bytes[at] = static_cast<char>(garbage());
    }
    content->synced = bytes.size();
  }
  durable_ = now_;
  out_ = false;
  operations_ = cut_at_ = capacity_ = 0;
}

void FaultyDisk::copy_to(FaultyDisk& other) const {
  const std::lock_guard lock(mutex_);
  other.now_.clear();
  for (const auto& [name, content] : now_) other.now_[name] = std::make_shared<Content>(*content);
  other.durable_ = other.now_;
}

bool FaultyDisk::flip(const std::string& name, uint64_t bit) {
  const std::lock_guard lock(mutex_);
  const auto content = find(name);
  if (!content || bit / 8 >= content->bytes.size()) return false;
  content->bytes[bit / 8] = static_cast<char>(content->bytes[bit / 8] ^ (1 << bit % 8));
  return true;
}

std::vector<std::pair<std::string, uint64_t>> FaultyDisk::files() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::string, uint64_t>> out;
  for (const auto& [name, content] : now_) out.emplace_back(name, content->bytes.size());
  return out;
}

std::shared_ptr<FaultyDisk::Content> FaultyDisk::find(const std::string& name) const {
  const auto at = now_.find(name);
  return at == now_.end() ? nullptr : at->second;
}

Status FaultyDisk::NewSequentialFile(const std::string& name, std::unique_ptr<rocksdb::SequentialFile>* out, const rocksdb::EnvOptions&) {
  const std::lock_guard lock(mutex_);
  const auto content = find(name);
  if (!content) return no_file(name);
  *out = std::make_unique<Reading>(*this, content);
  return Status::OK();
}
Status FaultyDisk::NewRandomAccessFile(const std::string& name, std::unique_ptr<rocksdb::RandomAccessFile>* out, const rocksdb::EnvOptions&) {
  const std::lock_guard lock(mutex_);
  const auto content = find(name);
  if (!content) return no_file(name);
  *out = std::make_unique<Reading>(*this, content);
  return Status::OK();
}
Status FaultyDisk::open_to_write(const std::string& name, bool keep, std::unique_ptr<rocksdb::WritableFile>* out) {
  const std::lock_guard lock(mutex_);
  if (const Status status = step(Step::other, name); !status.ok()) return status;
  auto& content = now_[name];
  if (!content || !keep) content = std::make_shared<Content>();
  *out = std::make_unique<Writing>(*this, name, content);
  return Status::OK();
}
Status FaultyDisk::NewWritableFile(const std::string& name, std::unique_ptr<rocksdb::WritableFile>* out, const rocksdb::EnvOptions&) {
  return open_to_write(name, false, out);
}
Status FaultyDisk::ReopenWritableFile(const std::string& name, std::unique_ptr<rocksdb::WritableFile>* out, const rocksdb::EnvOptions&) {
  return open_to_write(name, true, out);
}
Status FaultyDisk::ReuseWritableFile(const std::string& name, const std::string& old, std::unique_ptr<rocksdb::WritableFile>* out,
                                     const rocksdb::EnvOptions& options) {
  const Status status = RenameFile(old, name);
  return status.ok() ? NewWritableFile(name, out, options) : status;
}
Status FaultyDisk::NewDirectory(const std::string& name, std::unique_ptr<rocksdb::Directory>* out) {
  return *out = std::make_unique<Folder>(*this, name), Status::OK();
}
Status FaultyDisk::NewLogger(const std::string&, std::shared_ptr<rocksdb::Logger>* out) { return *out = std::make_shared<Silent>(), Status::OK(); }
Status FaultyDisk::FileExists(const std::string& name) {
  const std::lock_guard lock(mutex_);
  return find(name) ? Status::OK() : Status::NotFound();
}
Status FaultyDisk::GetChildren(const std::string& folder, std::vector<std::string>* out) {
  const std::lock_guard lock(mutex_);
  out->clear();
  const std::string prefix = folder.ends_with('/') ? folder : folder + "/";
  for (const auto& [name, content] : now_)
    if (name.starts_with(prefix) && name.find('/', prefix.size()) == std::string::npos) out->push_back(name.substr(prefix.size()));
  return Status::OK();
}
Status FaultyDisk::DeleteFile(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (const Status status = step(Step::other, name); !status.ok()) return status;
  return now_.erase(name) ? Status::OK() : no_file(name);
}
Status FaultyDisk::Truncate(const std::string& name, size_t size) {
  const std::lock_guard lock(mutex_);
  if (const Status status = step(Step::other, name); !status.ok()) return status;
  const auto content = find(name);
  if (!content) return no_file(name);
  content->bytes.resize(size);
  return Status::OK();
}
Status FaultyDisk::GetFileSize(const std::string& name, uint64_t* size) {
  const std::lock_guard lock(mutex_);
  const auto content = find(name);
  if (!content) return no_file(name);
  *size = content->bytes.size();
  return Status::OK();
}
Status FaultyDisk::GetFreeSpace(const std::string&, uint64_t* free) {
  const std::lock_guard lock(mutex_);
  *free = capacity_ == 0 ? UINT64_MAX : capacity_ - std::min(bytes_now(), capacity_);
  return Status::OK();
}
Status FaultyDisk::RenameFile(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  if (const Status status = step(Step::other, from); !status.ok()) return status;
  const auto content = find(from);
  if (!content) return no_file(from);
  now_.erase(from);
  now_[to] = content;
  return Status::OK();
}
Status FaultyDisk::IsDirectory(const std::string& name, bool* is) {
  const std::lock_guard lock(mutex_);
  *is = !find(name);
  return Status::OK();
}

}  // namespace cairn::ledger
