#include "runtime/artefacts.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "base/file.h"

namespace cairn::runtime {

Result<Bytes> read_artefact(const std::filesystem::path& store, const Hash& id, uint64_t max_bytes, const ContentKey& key) {
  TRY_LET(bytes, read_file(store / id.hex(), max_bytes));
  if (blake3(bytes, key) != id)
    return Error{Code::proof, "artefact " + id.hex() + " is damaged: its bytes have another id", "fetch it again"};
  return bytes;
}

Result<Hash> write_artefact(const std::filesystem::path& store, ByteSpan bytes, const ContentKey& key) {
  const Hash id = blake3(bytes, key);
  const std::filesystem::path path = store / id.hex();
  std::error_code error;
  if (std::filesystem::file_size(path, error) == bytes.size() && !error) return id;
  static std::atomic<uint64_t> count{0};  // threads may write one artefact
  const std::filesystem::path part = path.string() + ".part." + std::to_string(::getpid()) + "." + std::to_string(count++);
  const int fd = ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  bool whole = fd >= 0;
  for (size_t at = 0; whole && at < bytes.size();) {
    const ssize_t put = ::write(fd, bytes.data() + at, bytes.size() - at);
    whole = put > 0;
    if (whole) at += static_cast<size_t>(put);
  }
  const int why = errno;
  if (fd >= 0) ::close(fd);
  if (whole && ::rename(part.c_str(), path.c_str()) == 0) return id;
  ::unlink(part.c_str());
  return Error{Code::io, "cannot write " + path.string() + ": " + std::strerror(why),
               why == ENOSPC ? "free some space" : "check the folder"};
}

}  // namespace cairn::runtime
