// A disk in memory that does what a real one may do when the power goes: whatever was not synced is lost, kept, or torn; a
// name that was made, renamed or deleted without a sync of its folder is as it was before, or not.
#pragma once

#include <rocksdb/env.h>

#include <map>
#include <memory>
#include <mutex>

#include "tests/sim/rng.h"

namespace cairn::sim {

class Disk final : public rocksdb::EnvWrapper {
 public:
  Disk() : rocksdb::EnvWrapper(rocksdb::Env::Default()) {}

  // The power goes at the `operation`-th write or sync of a log from now on: it and whatever follows fails. 0: never.
  void fail_at(uint64_t operation);
  bool failed() const;
  // What a machine finds when the power is back. The files must be closed. `chance` decides what of the unsynced is there.
  enum class Loss { nothing, all, some };
  void power_cut(Loss loss, Rng& chance);

  const char* Name() const override { return "sim"; }
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
  rocksdb::Status GetFileModificationTime(const std::string&, uint64_t*) override;
  rocksdb::Status RenameFile(const std::string&, const std::string&) override;
  rocksdb::Status LinkFile(const std::string&, const std::string&) override;
  rocksdb::Status LockFile(const std::string&, rocksdb::FileLock**) override;
  rocksdb::Status UnlockFile(rocksdb::FileLock*) override;
  rocksdb::Status IsDirectory(const std::string&, bool* is) override;
  rocksdb::Status GetAbsolutePath(const std::string& path, std::string* out) override;

 private:
  struct Content {
    std::string bytes;
    size_t synced = 0;
  };
  using Names = std::map<std::string, std::shared_ptr<Content>>;
  class Reading;
  class Writing;
  class Folder;

  rocksdb::Status step(const std::string& name);  // counts; an error once the power is gone
  rocksdb::Status open_to_write(const std::string& name, bool keep, std::unique_ptr<rocksdb::WritableFile>* out);

  mutable std::mutex mutex_;  // the store has threads of its own
  Names now_, durable_;
  uint64_t left_ = 0;  // operations of logs until the power goes; 0: it stays
  bool out_ = false;
};

}  // namespace cairn::sim
