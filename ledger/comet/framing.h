// How ABCI messages stand on a connection: each is its length as an unsigned varint, then its bytes.
#pragma once

#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace cairn::ledger::comet {

// Above the largest block that CometBFT makes (100 MB).
inline constexpr size_t kMaxMessageBytes = 128u << 20;

class FrameReader {
 public:
  explicit FrameReader(size_t max_bytes = kMaxMessageBytes) : max_bytes_(max_bytes) {}

  void feed(ByteSpan bytes) { buffer_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size()); }
  // The next message that is here in full; its bytes live until feed(). Errors: malformed (no varint; the connection is of no
  // use from here on), limit (larger than `max_bytes`).
  Result<std::optional<ByteSpan>> next();
  // Forgets what next() has given.
  void compact();

 private:
  size_t max_bytes_;
  std::string buffer_;
  size_t read_ = 0;
};

void append_frame(std::string& out, std::string_view message);

}  // namespace cairn::ledger::comet
