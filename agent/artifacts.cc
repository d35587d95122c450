#include "agent/artifacts.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <fstream>

namespace cairn::agent {

namespace fs = std::filesystem;

namespace {

constexpr size_t kPieceBytes = 1 << 20;

Error absent(const Hash& id) {
  return {Code::not_found, "artefact " + id.hex().substr(0, 16) + " is not here", "fetch it from its owner"};
}
Error damaged(const Hash& id) {
  return {Code::proof, "the bytes of artefact " + id.hex().substr(0, 16) + " do not have that id", "fetch it again"};
}
Error failed(const fs::path& path, std::string_view what) {
  return {Code::io, std::string(what) + " " + path.string() + " failed: " + std::strerror(errno), "check the disk"};
}

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

Result<> write_at(int fd, const fs::path& path, uint64_t offset, ByteSpan bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::pwrite(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (n < 0) return failed(path, "writing");
    done += static_cast<size_t>(n);
  }
  return {};
}

}  // namespace

Result<Hash> hash_file(const fs::path& path, const ContentKey& key) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{Code::not_found, path.string() + " cannot be opened", "check the path"};
  Hasher hasher = content_hasher(key);
  Bytes piece(kPieceBytes);
  while (in) {
    in.read(reinterpret_cast<char*>(piece.data()), static_cast<std::streamsize>(piece.size()));
    hasher.update({piece.data(), static_cast<size_t>(in.gcount())});
  }
  if (in.bad()) return failed(path, "reading");
  return hasher.finish();
}

ArtifactStore::ArtifactStore(fs::path folder) : folder_(std::move(folder)) {
  std::error_code fault;
  fs::create_directories(folder_ / "arriving", fault);
  if (fault)
    throw Fault({Code::io, "the folder " + folder_.string() + " cannot be made: " + fault.message(), "check its parent"});
}

ArtifactStore ArtifactStore::keyed(const ContentKey& key) const {
  ArtifactStore view = *this;
  view.key_ = key;
  return view;
}

bool ArtifactStore::has(const Hash& id) const { return fs::exists(path_of(id)); }

uint64_t ArtifactStore::size_bytes(const Hash& id) const {
  std::error_code fault;
  const auto size = fs::file_size(path_of(id), fault);
  return fault ? 0 : size;
}

Result<Hash> ArtifactStore::put(ByteSpan bytes) {
  const Hash id = blake3(bytes, key_);
  if (has(id) && size_bytes(id) == bytes.size()) return id;
  static std::atomic<uint64_t> ordinal{0};
  const fs::path beside =
      folder_ / "arriving" / (id.hex() + "." + std::to_string(::getpid()) + "." + std::to_string(ordinal++));
  {
    const Descriptor file{::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
    if (file.fd < 0) return failed(beside, "opening");
    TRY(write_at(file.fd, beside, 0, bytes));
  }
  std::error_code fault;
  fs::rename(beside, path_of(id), fault);
  if (fault) return Error{Code::io, "renaming " + beside.string() + " failed: " + fault.message(), "check the disk"};
  return id;
}

Result<Hash> ArtifactStore::put_file(const fs::path& file) {
  TRY_LET(id, hash_file(file, key_));
  if (has(id)) return id;
  const fs::path beside = folder_ / "arriving" / (id.hex() + "." + std::to_string(::getpid()));
  std::error_code fault;
  fs::copy_file(file, beside, fs::copy_options::overwrite_existing, fault);
  if (!fault) fs::rename(beside, path_of(id), fault);
  if (fault) return Error{Code::io, "copying " + file.string() + " failed: " + fault.message(), "check the disk"};
  return id;
}

Result<fs::path> ArtifactStore::verified(const Hash& id) const {
  if (!has(id)) return absent(id);
  TRY_LET(found, hash_file(path_of(id), key_));
  if (found != id) {
    std::error_code ignored;
    fs::remove(path_of(id), ignored);
    return damaged(id);
  }
  return path_of(id);
}

Result<Bytes> ArtifactStore::read(const Hash& id, size_t max_bytes) const {
  if (!has(id)) return absent(id);
  TRY_LET(bytes, read_file(path_of(id), max_bytes));
  if (blake3(bytes, key_) != id) {
    std::error_code ignored;
    fs::remove(path_of(id), ignored);
    return damaged(id);
  }
  return bytes;
}

Result<Bytes> ArtifactStore::read_part(const Hash& id, uint64_t offset, size_t size) const {
  std::ifstream in(path_of(id), std::ios::binary);
  if (!in) return absent(id);
  in.seekg(static_cast<std::streamoff>(offset));
  Bytes part(size);
  in.read(reinterpret_cast<char*>(part.data()), static_cast<std::streamsize>(size));
  part.resize(static_cast<size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  return part;
}

uint64_t ArtifactStore::arrived_bytes(const Hash& id) const {
  std::error_code fault;
  const auto size = fs::file_size(arriving(id), fault);
  return fault ? 0 : size;
}

Result<> ArtifactStore::append(const Hash& id, uint64_t offset, ByteSpan part) {
  const Descriptor file{::open(arriving(id).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)};
  if (file.fd < 0) return failed(arriving(id), "opening");
  return write_at(file.fd, arriving(id), offset, part);
}

Result<> ArtifactStore::finish(const Hash& id) {
  TRY_LET(found, hash_file(arriving(id), key_));
  std::error_code fault;
  if (found != id) {
    fs::remove(arriving(id), fault);
    return damaged(id);
  }
  fs::rename(arriving(id), path_of(id), fault);
  if (fault) return Error{Code::io, "renaming " + arriving(id).string() + " failed: " + fault.message(), "check the disk"};
  return {};
}

}  // namespace cairn::agent
