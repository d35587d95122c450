// Artefacts: bytes under their content id (BLAKE3; keyed for a private job's), in one folder.
//
//   FOLDER/<64 hex digits>            whole and, when it was put there, correct
//   FOLDER/arriving/<64 hex digits>   a prefix of one that is on its way; it survives restarts, so a transfer resumes
//
// Whatever leaves the store for a worker passes `verified` first, which hashes the file again: a disk that flips a bit is
// noticed before the bytes are used, and the damaged file is removed, so that it can be fetched anew.
// Nothing is synced: what a power cut takes away or tears is found out by the same hash, and made or fetched anew.
// Thread-safe among processes and threads as far as rename is atomic: two writers of one id write the same bytes.
#pragma once

#include <filesystem>

#include "base/content.h"
#include "base/file.h"

namespace cairn::agent {

class ArtifactStore {
 public:
  // Creates the folder. Throws Fault (io).
  explicit ArtifactStore(std::filesystem::path folder);

  // The same folder, as the parties of a private job name what is in it. A plan has its plain id even there.
  ArtifactStore keyed(const ContentKey& key) const;

  const std::filesystem::path& folder() const { return folder_; }
  bool has(const Hash& id) const;
  std::filesystem::path path_of(const Hash& id) const { return folder_ / id.hex(); }
  uint64_t size_bytes(const Hash& id) const;  // 0 when absent

  // Errors: io, limit.
  Result<Hash> put(ByteSpan bytes);
  Result<Hash> put_file(const std::filesystem::path& file);  // copies, or links where the file system can

  // The path of bytes that were hashed just now. Errors: not_found; proof: damaged, and removed.
  Result<std::filesystem::path> verified(const Hash& id) const;
  // The bytes, hashed. Errors: not_found, limit, proof.
  Result<Bytes> read(const Hash& id, size_t max_bytes) const;
  // A part, unchecked: whoever receives it checks the whole. At most `size` bytes. Error: not_found.
  Result<Bytes> read_part(const Hash& id, uint64_t offset, size_t size) const;

  // A transfer: append parts where it stands, then finish. Errors: io; finish: proof (the bytes are dropped).
  uint64_t arrived_bytes(const Hash& id) const;
  Result<> append(const Hash& id, uint64_t offset, ByteSpan part);
  Result<> finish(const Hash& id);

 private:
  std::filesystem::path arriving(const Hash& id) const { return folder_ / "arriving" / id.hex(); }
  std::filesystem::path folder_;
  ContentKey key_;
};

// BLAKE3 of a file, read in pieces. Errors: not_found, io.
Result<Hash> hash_file(const std::filesystem::path& path, const ContentKey& key = {});

}  // namespace cairn::agent
