#include "agent/journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "base/blake3.h"
#include "base/file.h"

namespace cairn::agent {

namespace {

constexpr size_t kMaxBytes = 256u << 20;
constexpr size_t kHeadBytes = 12;
constexpr size_t kCompactBytes = 1u << 20;

Bytes entry(const std::string& key, ByteSpan value) {
  Writer body;
  body.put(key);
  body.put(Bytes(value.begin(), value.end()));
  const Bytes content = body.take();
  Writer whole;
  whole.put(static_cast<uint32_t>(content.size()));
  whole.raw(blake3(content).span().first(8));
  whole.raw(content);
  return whole.take();
}

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& what) {
  throw Fault({Code::io, "the journal " + path.string() + " " + what + ": " + std::strerror(errno),
               "check the disk and who else writes there"});
}

}  // namespace

// By way of another constructor, so that the file is closed and free again when what is read throws.
Journal::Journal(const std::filesystem::path& path) : Journal(path, -1) {
  std::error_code ignored;
  std::filesystem::create_directories(path.parent_path(), ignored);
  lock();
  const size_t read = load();
  size_t live = 0;
  for (const auto& [key, value] : entries_) live += kHeadBytes + 8 + key.size() + value.size();
  if (read > kCompactBytes && live * 2 < read) compact();
}

void Journal::lock() {
  fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd_ < 0) fail(path_, "cannot be opened");
  // A process that was killed may leave a child for a moment, which holds what it was born with until it has become another program.
  int tries = 50;
  while (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    if (--tries > 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      continue;
    }
    ::close(fd_);
    throw Fault({Code::exists, "another process uses " + path_.string(), "end it, or give this one another folder"});
  }
}

void Journal::compact() {
  Bytes whole;
  for (const auto& [key, value] : entries_) {
    const Bytes bytes = entry(key, value);
    whole.insert(whole.end(), bytes.begin(), bytes.end());
  }
  static_cast<void>(must(write_file(path_, whole, 0600)));
  ::close(fd_);  // of the file that was replaced
  lock();
}

Journal::~Journal() {
  if (fd_ >= 0) ::close(fd_);
}

size_t Journal::load() {
  const Bytes bytes = must(read_file(path_, kMaxBytes));
  size_t at = 0;
  while (bytes.size() - at >= kHeadBytes) {
    Reader reader(ByteSpan(bytes).subspan(at));
    uint32_t size = 0;
    static_cast<void>(must(reader.get(size)));
    const ByteSpan check = must(reader.raw(8));
    if (size > reader.remaining()) break;
    const ByteSpan content = must(reader.raw(size));
    const Hash found = blake3(content);
    if (!std::equal(check.begin(), check.end(), found.v.begin())) {
      if (reader.remaining() == 0) break;
      errno = EBADMSG;
      fail(path_, "is damaged at byte " + std::to_string(at));
    }
    Reader body(content);
    std::string key;
    Bytes value;
    if (!body.get(key) || !body.get(value)) {
      errno = EBADMSG;
      fail(path_, "is damaged at byte " + std::to_string(at));
    }
    if (value.empty()) {
      entries_.erase(key);
    } else {
      entries_[key] = std::move(value);
    }
    at += kHeadBytes + size;
  }
  if (at < bytes.size() && ::ftruncate(fd_, static_cast<off_t>(at)) != 0) fail(path_, "cannot be cut");
  return at;
}

void Journal::put(const std::string& key, ByteSpan value) {
  const Bytes bytes = entry(key, value);
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::write(fd_, bytes.data() + done, bytes.size() - done);
    if (n < 0) fail(path_, "cannot be written");
    done += static_cast<size_t>(n);
  }
  if (::fdatasync(fd_) != 0) fail(path_, "cannot be synced");
  if (value.empty()) {
    entries_.erase(key);
  } else {
    entries_[key].assign(value.begin(), value.end());
  }
}

const Bytes* Journal::find(const std::string& key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : &found->second;
}

std::map<std::string, Bytes> Journal::under(const std::string& prefix) const {
  std::map<std::string, Bytes> out;
  for (auto at = entries_.lower_bound(prefix); at != entries_.end() && at->first.starts_with(prefix); ++at) out.insert(*at);
  return out;
}

}  // namespace cairn::agent
