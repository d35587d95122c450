// Files: whole reads with a bound, and writes that are there whole or not at all.
#pragma once

#include <filesystem>

#include "base/bytes.h"
#include "base/result.h"

namespace cairn {

// Errors: not_found, io, limit (larger than `max_bytes`).
Result<Bytes> read_file(const std::filesystem::path& path, size_t max_bytes);
Result<std::string> read_text(const std::filesystem::path& path, size_t max_bytes);

// Writes beside, syncs, renames over `path`, syncs the folder. After an error `path` is what it was.
Result<> write_file(const std::filesystem::path& path, ByteSpan bytes, unsigned mode = 0644);
// The same where there is nothing yet. Error: exists (nothing is overwritten).
Result<> create_file(const std::filesystem::path& path, ByteSpan bytes, unsigned mode = 0644);

}  // namespace cairn
