// A journal: what a daemon must know again after kill -9, each entry on the disk before its side effect happens.
//
//   journal := entry*        entry := size:u32 check:8 byte key:bytes value:bytes
//   size counts key and value with their lengths; check = the first 8 bytes of BLAKE3 over them
//
// A key's last entry counts; an empty value removes it. A torn entry at the end is cut off at open: its side effect cannot
// have happened. An entry that is damaged before the end is the error `io`: somebody else wrote here. A file that is mostly
// history is written anew at open, whole or not at all.
// One process at a time: the file is locked. Single-threaded.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "base/codec.h"

namespace cairn::agent {

class Journal {
 public:
  // Throws Fault: io; exists (another process holds the lock).
  explicit Journal(const std::filesystem::path& path);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // On the disk when it returns. Throws Fault (io): a daemon that cannot journal must stop.
  void put(const std::string& key, ByteSpan value);
  void remove(const std::string& key) { put(key, {}); }
  const Bytes* find(const std::string& key) const;
  // All entries whose key begins with `prefix`, in key order.
  std::map<std::string, Bytes> under(const std::string& prefix) const;

  template <class T>
  void put_value(const std::string& key, const T& value) {
    put(key, encode(value));
  }
  template <class T>
  std::optional<T> value(const std::string& key) const {
    const Bytes* bytes = find(key);
    if (!bytes) return std::nullopt;
    auto decoded = decode<T>(*bytes);
    if (!decoded) return std::nullopt;  // of an older version: as if it were not there
    return *decoded;
  }

 private:
  Journal(std::filesystem::path path, int fd) : path_(std::move(path)), fd_(fd) {}
  size_t load();  // returns the bytes that were read
  void compact();
  void lock();
  std::filesystem::path path_;
  int fd_ = -1;
  std::map<std::string, Bytes> entries_;
};

}  // namespace cairn::agent
