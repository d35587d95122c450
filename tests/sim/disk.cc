#include "tests/sim/disk.h"

#include <algorithm>
#include <cstring>

namespace cairn::sim {

using rocksdb::Slice;
using rocksdb::Status;

namespace {

Status no_power() { return Status::IOError("the power is out"); }
Status no_file(const std::string& name) { return Status::PathNotFound(name); }

class Quiet final : public rocksdb::Logger {
 public:
  void Logv(const char*, va_list) override {}
};

}  // namespace

class Disk::Reading final : public rocksdb::SequentialFile, public rocksdb::RandomAccessFile {
 public:
  Reading(Disk& disk, std::shared_ptr<Content> content) : disk_(disk), content_(std::move(content)) {}
  Status Read(uint64_t offset, size_t n, Slice* result, char* scratch) const override {
    std::lock_guard lock(disk_.mutex_);
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
  Status Skip(uint64_t n) override {
    at_ += n;
    return Status::OK();
  }
  using rocksdb::RandomAccessFile::GetRequiredBufferAlignment;
  bool use_direct_io() const override { return false; }
  size_t GetRequiredBufferAlignment() const override { return 1; }
  Status InvalidateCache(size_t, size_t) override { return Status::OK(); }

 private:
  Disk& disk_;
  std::shared_ptr<Content> content_;
  uint64_t at_ = 0;
};

class Disk::Writing final : public rocksdb::WritableFile {
 public:
  Writing(Disk& disk, std::string name, std::shared_ptr<Content> content)
      : disk_(disk), name_(std::move(name)), content_(std::move(content)) {}
  Status Append(const Slice& data) override {
    std::lock_guard lock(disk_.mutex_);
    // What is being written when the power goes may be there in part.
    const Status status = disk_.step(name_);
    content_->bytes.append(data.data(), status.ok() ? data.size() : data.size() / 2);
    return status;
  }
  Status Append(const Slice& data, const rocksdb::DataVerificationInfo&) override { return Append(data); }
  Status Truncate(uint64_t size) override {
    std::lock_guard lock(disk_.mutex_);
    if (disk_.out_) return no_power();
    content_->bytes.resize(size);
    return Status::OK();
  }
  Status Close() override { return Status::OK(); }
  Status Flush() override { return Status::OK(); }
  Status Sync() override {
    std::lock_guard lock(disk_.mutex_);
    const Status status = disk_.step(name_);
    if (status.ok()) content_->synced = content_->bytes.size();
    return status;
  }
  bool IsSyncThreadSafe() const override { return true; }
  uint64_t GetFileSize() override {
    std::lock_guard lock(disk_.mutex_);
    return content_->bytes.size();
  }
  Status Allocate(uint64_t, uint64_t) override { return Status::OK(); }
  void PrepareWrite(size_t, size_t) override {}
  Status RangeSync(uint64_t, uint64_t) override { return Status::OK(); }

 private:
  Disk& disk_;
  const std::string name_;
  std::shared_ptr<Content> content_;
};

class Disk::Folder final : public rocksdb::Directory {
 public:
  explicit Folder(Disk& disk) : disk_(disk) {}
  Status Fsync() override {
    std::lock_guard lock(disk_.mutex_);
    if (disk_.out_) return no_power();
    disk_.durable_ = disk_.now_;
    return Status::OK();
  }
  Status Close() override { return Status::OK(); }

 private:
  Disk& disk_;
};

void Disk::fail_at(uint64_t operation) {
  std::lock_guard lock(mutex_);
  left_ = operation;
}
bool Disk::failed() const {
  std::lock_guard lock(mutex_);
  return out_;
}

Status Disk::step(const std::string& name) {
  // Logs alone are counted: the store writes them when it is told to, and other files when its threads get to it.
  if (!out_ && left_ > 0 && name.ends_with(".log") && --left_ == 0) out_ = true;
  return out_ ? no_power() : Status::OK();
}

void Disk::power_cut(Loss loss, Rng& chance) {
  std::lock_guard lock(mutex_);
  // Drawn once, not for each file: how many there are depends on the store's threads.
  const uint64_t of_names = chance.below(2);
  const uint64_t of_bytes = chance.below(1'000'000);
  if (loss == Loss::all || (loss == Loss::some && of_names == 0)) now_ = durable_;
  if (loss != Loss::nothing)
    for (auto& [name, content] : now_) {
      const size_t unsynced = content->bytes.size() - std::min(content->synced, content->bytes.size());
      const size_t kept = loss == Loss::all ? 0 : static_cast<size_t>(of_bytes % (unsynced + 1));
      content->bytes.resize(content->bytes.size() - unsynced + kept);
    }
  for (auto& [name, content] : now_) content->synced = content->bytes.size();
  durable_ = now_;
  out_ = false;
  left_ = 0;
}

Status Disk::NewSequentialFile(const std::string& name, std::unique_ptr<rocksdb::SequentialFile>* out, const rocksdb::EnvOptions&) {
  std::lock_guard lock(mutex_);
  const auto at = now_.find(name);
  if (at == now_.end()) return no_file(name);
  *out = std::make_unique<Reading>(*this, at->second);
  return Status::OK();
}
Status Disk::NewRandomAccessFile(const std::string& name, std::unique_ptr<rocksdb::RandomAccessFile>* out, const rocksdb::EnvOptions&) {
  std::lock_guard lock(mutex_);
  const auto at = now_.find(name);
  if (at == now_.end()) return no_file(name);
  *out = std::make_unique<Reading>(*this, at->second);
  return Status::OK();
}
Status Disk::open_to_write(const std::string& name, bool keep, std::unique_ptr<rocksdb::WritableFile>* out) {
  std::lock_guard lock(mutex_);
  if (out_) return no_power();
  auto& content = now_[name];
  if (!content || !keep) content = std::make_shared<Content>();
  *out = std::make_unique<Writing>(*this, name, content);
  return Status::OK();
}
Status Disk::NewWritableFile(const std::string& name, std::unique_ptr<rocksdb::WritableFile>* out, const rocksdb::EnvOptions&) {
  return open_to_write(name, false, out);
}
Status Disk::ReopenWritableFile(const std::string& name, std::unique_ptr<rocksdb::WritableFile>* out, const rocksdb::EnvOptions&) {
  return open_to_write(name, true, out);
}
Status Disk::ReuseWritableFile(const std::string& name, const std::string& old, std::unique_ptr<rocksdb::WritableFile>* out,
                               const rocksdb::EnvOptions& options) {
  const Status status = RenameFile(old, name);
  return status.ok() ? NewWritableFile(name, out, options) : status;
}
Status Disk::NewDirectory(const std::string&, std::unique_ptr<rocksdb::Directory>* out) {
  *out = std::make_unique<Folder>(*this);
  return Status::OK();
}
Status Disk::NewLogger(const std::string&, std::shared_ptr<rocksdb::Logger>* out) {
  *out = std::make_shared<Quiet>();
  return Status::OK();
}
Status Disk::FileExists(const std::string& name) {
  std::lock_guard lock(mutex_);
  return now_.contains(name) ? Status::OK() : Status::NotFound();
}
Status Disk::GetChildren(const std::string& folder, std::vector<std::string>* out) {
  std::lock_guard lock(mutex_);
  out->clear();
  const std::string prefix = folder.ends_with('/') ? folder : folder + "/";
  for (const auto& [name, content] : now_)
    if (name.starts_with(prefix) && name.find('/', prefix.size()) == std::string::npos) out->push_back(name.substr(prefix.size()));
  return Status::OK();
}
Status Disk::DeleteFile(const std::string& name) {
  std::lock_guard lock(mutex_);
  if (out_) return no_power();
  return now_.erase(name) ? Status::OK() : no_file(name);
}
Status Disk::Truncate(const std::string& name, size_t size) {
  std::lock_guard lock(mutex_);
  if (out_) return no_power();
  const auto at = now_.find(name);
  if (at == now_.end()) return no_file(name);
  at->second->bytes.resize(size);
  return Status::OK();
}
Status Disk::GetFileSize(const std::string& name, uint64_t* size) {
  std::lock_guard lock(mutex_);
  const auto at = now_.find(name);
  if (at == now_.end()) return no_file(name);
  *size = at->second->bytes.size();
  return Status::OK();
}
Status Disk::GetFileModificationTime(const std::string&, uint64_t* time) {
  *time = 0;
  return Status::OK();
}
Status Disk::RenameFile(const std::string& from, const std::string& to) {
  std::lock_guard lock(mutex_);
  if (out_) return no_power();
  const auto at = now_.find(from);
  if (at == now_.end()) return no_file(from);
  const auto content = at->second;
  now_.erase(at);
  now_[to] = content;
  return Status::OK();
}
Status Disk::LinkFile(const std::string& from, const std::string& to) {
  std::lock_guard lock(mutex_);
  const auto at = now_.find(from);
  if (at == now_.end()) return no_file(from);
  now_[to] = at->second;
  return Status::OK();
}
Status Disk::LockFile(const std::string&, rocksdb::FileLock** lock) {
  *lock = new rocksdb::FileLock;
  return Status::OK();
}
Status Disk::UnlockFile(rocksdb::FileLock* lock) {
  delete lock;
  return Status::OK();
}
Status Disk::IsDirectory(const std::string& name, bool* is) {
  std::lock_guard lock(mutex_);
  *is = !now_.contains(name);
  return Status::OK();
}
Status Disk::GetAbsolutePath(const std::string& path, std::string* out) {
  *out = path;
  return Status::OK();
}

}  // namespace cairn::sim
