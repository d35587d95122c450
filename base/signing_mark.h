// The last thing that a key signed of what it must not sign twice, in a file beside the key and not in the data folder: so that
// neither an old copy of that folder nor a second program can lead the key to sign another thing of the same height.
//
//   file := two slots of 64 bytes, written in turn; the valid one that is further on counts, of one height what was released
//   slot := height:u64 released:u64 id:32 bytes check:first 16 bytes of the BLAKE3 of what is before
//
// A signature is released once whoever asks for it may have it, and never before the mark is on disk. One that was made and not
// released, because a crash came between, may be made again of something else. The mark is synced beside whatever the caller does
// meanwhile: what was signed can be stored at the same time, and only shown after both.
#pragma once

#include <filesystem>
#include <future>
#include <memory>

#include "base/bytes.h"
#include "base/result.h"

namespace cairn {

class SigningMark {
 public:
  // Opens the file or makes it, and keeps it to this process. Errors: key_file (held by another process, damaged, no file of
  // ours).
  static Result<std::unique_ptr<SigningMark>> open(const std::filesystem::path& path);
  ~SigningMark();
  SigningMark(const SigningMark&) = delete;
  SigningMark& operator=(const SigningMark&) = delete;

  // Before signing: moves the mark to `height`, and begins to sync it. Error: already (below the mark, or what stands there is
  // another id and released). Throws Fault when the disk fails. Cost: one write of 64 bytes; a thread for one fdatasync.
  Result<> advance(uint64_t height, const Hash& id);
  // What was signed at the mark is about to be seen: waits until the mark is synced. Throws Fault when the disk fails, and then
  // nothing may be seen. That it is released is not synced itself: only a power cut forgets it, and then nobody saw it who was
  // told so by a synced disk.
  void release();

  uint64_t height() const { return slot_.height; }

 private:
  struct Slot {
    uint64_t height = 0;
    uint64_t released = 0;
    Hash id;
  };
  SigningMark(int fd, std::filesystem::path path) : fd_(fd), path_(std::move(path)) {}
  void write(int place);
  void settle();  // waits for the sync under way
  Fault fault(int error) const;
  int fd_;
  std::filesystem::path path_;
  Slot slot_;
  int place_ = 0;  // of the slot that counts
  std::future<int> synced_;  // an errno, or 0; none: nothing to wait for
};

}  // namespace cairn
