#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace cairn {
namespace {

Error io_error(const std::filesystem::path& path, const char* doing) {
  return {errno == ENOENT ? Code::not_found : Code::io,
          std::string(doing) + " " + path.string() + ": " + std::strerror(errno),
          errno == ENOSPC ? "free some space" : "check the path and its permissions"};
}

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

// The bytes, synced, under a name that no other thread or process writes to.
Result<std::filesystem::path> write_beside(const std::filesystem::path& path, ByteSpan bytes, unsigned mode) {
  static std::atomic<uint64_t> count{0};
  const std::filesystem::path part = path.string() + ".part." + std::to_string(::getpid()) + "." + std::to_string(count++);
  ::unlink(part.c_str());  // of a process that had our number and died
  Descriptor file{::open(part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)};
  if (file.fd < 0) return io_error(part, "cannot create");
  size_t at = 0;
  while (at < bytes.size()) {
    const ssize_t put = ::write(file.fd, bytes.data() + at, bytes.size() - at);
    if (put < 0) {
      Error error = io_error(part, "cannot write");
      ::unlink(part.c_str());
      return error;
    }
    at += static_cast<size_t>(put);
  }
  if (::fsync(file.fd) != 0) {
    Error error = io_error(part, "cannot sync");
    ::unlink(part.c_str());
    return error;
  }
  return part;
}

Result<> sync_folder_of(const std::filesystem::path& path) {
  const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  Descriptor directory{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (directory.fd < 0 || ::fsync(directory.fd) != 0) return io_error(folder, "cannot sync");
  return {};
}

}  // namespace

Result<Bytes> read_file(const std::filesystem::path& path, size_t max_bytes) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) return io_error(path, "cannot open");
  struct stat info {};
  if (::fstat(file.fd, &info) != 0) return io_error(path, "cannot stat");
  if (S_ISDIR(info.st_mode)) return Error{Code::io, path.string() + " is a folder", "name a file"};
  const Error too_large{Code::limit, path.string() + " is larger than " + std::to_string(max_bytes) + " bytes",
                        "check that it is the right file"};
  if (static_cast<uint64_t>(info.st_size) > max_bytes) return too_large;
  Bytes out(static_cast<size_t>(info.st_size));
  size_t at = 0;
  while (true) {
    if (at == out.size()) {
      uint8_t more = 0;
      const ssize_t got = ::read(file.fd, &more, 1);  // a pipe, or a file that grew
      if (got < 0) return io_error(path, "cannot read");
      if (got == 0) return out;
      if (out.size() >= max_bytes) return too_large;
      out.push_back(more);
      at++;
      continue;
    }
    const ssize_t got = ::read(file.fd, out.data() + at, out.size() - at);
    if (got < 0) return io_error(path, "cannot read");
    if (got == 0) {
      out.resize(at);
      return out;
    }
    at += static_cast<size_t>(got);
  }
}

Result<std::string> read_text(const std::filesystem::path& path, size_t max_bytes) {
  TRY_LET(bytes, read_file(path, max_bytes));
  return std::string(bytes.begin(), bytes.end());
}

Result<> write_file(const std::filesystem::path& path, ByteSpan bytes, unsigned mode) {
  TRY_LET(part, write_beside(path, bytes, mode));
  if (::rename(part.c_str(), path.c_str()) != 0) {
    Error error = io_error(path, "cannot replace");
    ::unlink(part.c_str());
    return error;
  }
  return sync_folder_of(path);
}

Result<> create_file(const std::filesystem::path& path, ByteSpan bytes, unsigned mode) {
  TRY_LET(part, write_beside(path, bytes, mode));
  // In one step, so that no file is ever replaced; a file system that cannot rename so has hard links, or refuses.
  if (::renameat2(AT_FDCWD, part.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) != 0 &&
      (errno != EINVAL || ::link(part.c_str(), path.c_str()) != 0)) {
    Error error = errno == EEXIST ? Error{Code::exists, path.string() + " exists already", "name another file"} : io_error(path, "cannot create");
    ::unlink(part.c_str());
    return error;
  }
  ::unlink(part.c_str());
  return sync_folder_of(path);
}

}  // namespace cairn
