#include "base/signing_mark.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/blake3.h"
#include "base/codec.h"

namespace cairn {
namespace {

constexpr size_t kSlotBytes = 64, kCheckBytes = 16;

Error mark_error(const std::filesystem::path& path, const std::string& why, const std::string& next) {
  return {Code::key_file, path.string() + " " + why, next};
}

}  // namespace

Result<std::unique_ptr<SigningMark>> SigningMark::open(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return mark_error(path, std::string("cannot be opened: ") + std::strerror(errno), "check the folder of the key");
  std::unique_ptr<SigningMark> mark(new SigningMark(fd, path));
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0)
    return mark_error(path, "is held by another process that signs with this key", "stop that one: a key signs in one place");
  std::array<uint8_t, 2 * kSlotBytes + 1> bytes{};
  const ssize_t got = ::pread(fd, bytes.data(), bytes.size(), 0);
  if (got < 0 || (got != 0 && got != 2 * kSlotBytes)) return mark_error(path, "is no signing mark", "restore it with the key, or name another key");
  if (got == 0) {
    for (const int place : {0, 1}) mark->write(place);
    const int folder = ::open(path.has_parent_path() ? path.parent_path().c_str() : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool synced = ::fsync(fd) == 0 && folder >= 0 && ::fsync(folder) == 0;
    if (folder >= 0) ::close(folder);
    if (!synced) return mark_error(path, "could not be made to stay", "check the folder of the key");
    return mark;
  }
  bool any = false;
  for (int place = 0; place < 2; place++) {
    const ByteSpan slot = ByteSpan(bytes).subspan(static_cast<size_t>(place) * kSlotBytes, kSlotBytes);
    const ByteSpan body = slot.first(kSlotBytes - kCheckBytes);
    if (!std::equal(slot.end() - kCheckBytes, slot.end(), blake3(body).v.begin())) continue;
    Slot found;
    Reader reader(body);
    if (!reader.get(found.height) || !reader.get(found.released) || !reader.get(found.id)) continue;
    if (any && std::pair(found.height, found.released) < std::pair(mark->slot_.height, mark->slot_.released)) continue;
    any = true;
    mark->slot_ = found;
    mark->place_ = place;
  }
  if (!any) return mark_error(path, "is damaged", "restore it, or give the chain another producer: what this key signed last is not known");
  return mark;
}

SigningMark::~SigningMark() {
  if (synced_.valid()) synced_.wait();
  ::close(fd_);
}

void SigningMark::write(int place) {
  Writer writer;
  writer.put(slot_.height);
  writer.put(slot_.released);
  writer.put(slot_.id);
  Bytes bytes = writer.take();
  const Hash check = blake3(bytes);
  bytes.insert(bytes.end(), check.v.begin(), check.v.begin() + kCheckBytes);
  if (::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(place) * static_cast<off_t>(kSlotBytes)) != static_cast<ssize_t>(kSlotBytes))
    throw fault(errno);
}

Fault SigningMark::fault(int error) const {
  return Fault({Code::io, "the signing mark " + path_.string() + " cannot be written: " + std::strerror(error), "check the disk"});
}

Result<> SigningMark::advance(uint64_t height, const Hash& id) {
  if (height < slot_.height || (height == slot_.height && id != slot_.id && slot_.released >= height))
    return Error{Code::already, "this key has signed height " + std::to_string(slot_.height) + " already, and is asked for another of height " +
                                    std::to_string(height),
                 "the data folder is an older copy: bring it up to date from whoever has the later blocks"};
  if (height == slot_.height && id == slot_.id) return {};
  settle();
  slot_ = {height, slot_.released, id};
  place_ = 1 - place_;
  write(place_);
  synced_ = std::async(std::launch::async, [fd = fd_] { return ::fdatasync(fd) == 0 ? 0 : errno; });
  return {};
}

void SigningMark::settle() {
  if (!synced_.valid()) return;
  if (const int error = synced_.get(); error != 0) throw fault(error);
}

void SigningMark::release() {
  settle();
  slot_.released = slot_.height;
  write(place_);
}

}  // namespace cairn
