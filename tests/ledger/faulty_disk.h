// A disk in memory for the store's tests and the simulator: the power goes at any write, sync, rename or removal, and what was not
// synced is lost in one of the ways in which real disks lose it; or it is full.
#pragma once

#include <rocksdb/env.h>

#include <map>
#include <memory>
#include <mutex>
#include <random>

namespace cairn::ledger {

class FaultyDisk final : public rocksdb::EnvWrapper {
 public:
  // What is counted of what changes the disk: all, a file made, written, synced, renamed or removed, a folder synced; or writes and
  // syncs of logs, which RocksDB does when it is told to, while its threads get to other files in no certain order.
  enum class Counts { all, writes_of_logs };
  explicit FaultyDisk(Counts counts = Counts::all) : rocksdb::EnvWrapper(rocksdb::Env::Default()), counts_(counts) {}

  uint64_t operations() const;
  // The power goes during the `operation`-th of them from now on; it and whatever follows fails. 0: never.
  void cut_at(uint64_t operation);
  bool failed() const;
  // No file can grow beyond so many bytes in all. 0: no bound.
  void set_capacity(uint64_t bytes);
  uint64_t bytes() const;

  // What a machine finds when the power is back; nothing may be open. Names whose folder was not synced are as they were then, or
  // perhaps not. `random` decides once for all files, of which there may be more or fewer.
  enum class Loss {
    none,
    whole,   // nothing of what was not synced is there
    prefix,  // a random part of each file's unsynced end is
    torn,    // and the last sector of that part is garbage
  };
  void restore(Loss loss, uint64_t random);
  // All that was written, synced or not, as it is now.
  void copy_to(FaultyDisk& other) const;
  // Flips one bit; false if there is no such byte.
  bool flip(const std::string& name, uint64_t bit);
  std::vector<std::pair<std::string, uint64_t>> files() const;

  const char* Name() const override { return "faulty"; }
  rocksdb::Status NewSequentialFile(const std::string&, std::unique_ptr<rocksdb::SequentialFile>*, const rocksdb::EnvOptions&) override;
  rocksdb::Status NewRandomAccessFile(const std::string&, std::unique_ptr<rocksdb::RandomAccessFile>*, const rocksdb::EnvOptions&) override;
  rocksdb::Status NewWritableFile(const std::string&, std::unique_ptr<rocksdb::WritableFile>*, const rocksdb::EnvOptions&) override;
  rocksdb::Status ReopenWritableFile(const std::string&, std::unique_ptr<rocksdb::WritableFile>*, const rocksdb::EnvOptions&) override;
  rocksdb::Status ReuseWritableFile(const std::string&, const std::string&, std::unique_ptr<rocksdb::WritableFile>*, const rocksdb::EnvOptions&) override;
  rocksdb::Status NewDirectory(const std::string&, std::unique_ptr<rocksdb::Directory>*) override;
  rocksdb::Status NewLogger(const std::string&, std::shared_ptr<rocksdb::Logger>*) override;
  rocksdb::Status FileExists(const std::string&) override;
  rocksdb::Status GetChildren(const std::string&, std::vector<std::string>*) override;
  rocksdb::Status DeleteFile(const std::string&) override;
  rocksdb::Status Truncate(const std::string&, size_t) override;
  rocksdb::Status CreateDir(const std::string&) override { return rocksdb::Status::OK(); }
  rocksdb::Status CreateDirIfMissing(const std::string&) override { return rocksdb::Status::OK(); }
  rocksdb::Status DeleteDir(const std::string&) override { return rocksdb::Status::OK(); }
  rocksdb::Status GetFileSize(const std::string&, uint64_t*) override;
  rocksdb::Status GetFreeSpace(const std::string&, uint64_t*) override;
  rocksdb::Status GetFileModificationTime(const std::string&, uint64_t* time) override { return *time = 0, rocksdb::Status::OK(); }
  rocksdb::Status RenameFile(const std::string&, const std::string&) override;
  rocksdb::Status LinkFile(const std::string&, const std::string&) override { return rocksdb::Status::NotSupported(); }
  rocksdb::Status LockFile(const std::string&, rocksdb::FileLock** lock) override { return *lock = new rocksdb::FileLock, rocksdb::Status::OK(); }
  rocksdb::Status UnlockFile(rocksdb::FileLock* lock) override { return delete lock, rocksdb::Status::OK(); }
  rocksdb::Status IsDirectory(const std::string&, bool* is) override;
  rocksdb::Status GetAbsolutePath(const std::string& path, std::string* out) override { return *out = path, rocksdb::Status::OK(); }

 private:
  struct Content {
    std::string bytes;
    size_t synced = 0;
  };
  using Names = std::map<std::string, std::shared_ptr<Content>>;
  class Reading;
  class Writing;
  class Folder;

  enum class Step { write, other };
  rocksdb::Status step(Step step, const std::string& name);
  rocksdb::Status open_to_write(const std::string& name, bool keep, std::unique_ptr<rocksdb::WritableFile>* out);
  std::shared_ptr<Content> find(const std::string& name) const;
  uint64_t bytes_now() const;

  const Counts counts_;
  mutable std::mutex mutex_;  // RocksDB has threads of its own
  Names now_, durable_;
  uint64_t operations_ = 0, cut_at_ = 0, capacity_ = 0;
  bool out_ = false;
};

}  // namespace cairn::ledger
