// The worker's view of the artefact folder: files named by the BLAKE3 of their bytes, keyed where a private job's are meant.
#pragma once

#include <filesystem>

#include "base/content.h"
#include "base/result.h"

namespace cairn::runtime {

// Hashed on the way in. Errors: not_found; proof (the file is damaged); limit.
Result<Bytes> read_artefact(const std::filesystem::path& store, const Hash& id, uint64_t max_bytes, const ContentKey& key = {});

// Whole or not at all, but not synced: a file that a power cut leaves damaged is noticed by whoever reads it. Error: io.
Result<Hash> write_artefact(const std::filesystem::path& store, ByteSpan bytes, const ContentKey& key = {});

}  // namespace cairn::runtime
