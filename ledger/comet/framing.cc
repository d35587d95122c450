#include "ledger/comet/framing.h"

namespace cairn::ledger::comet {

Result<std::optional<ByteSpan>> FrameReader::next() {
  uint64_t size = 0;
  size_t at = read_;
  for (int shift = 0;; shift += 7, at++) {
    if (at == buffer_.size()) return std::optional<ByteSpan>();
    const auto byte = static_cast<uint8_t>(buffer_[at]);
    if (shift == 63 && byte > 1) return Error{Code::malformed, "a message's length is no varint", "connect CometBFT v0.38 and nothing else"};
    size |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) break;
  }
  at++;
  if (size > max_bytes_)
    return Error{Code::limit, "a message of " + std::to_string(size) + " bytes; at most " + std::to_string(max_bytes_) + " are read",
                 "connect CometBFT v0.38 and nothing else"};
  if (buffer_.size() - at < size) return std::optional<ByteSpan>();
  read_ = at + size;
  return std::optional(as_bytes(std::string_view(buffer_).substr(at, size)));
}

void FrameReader::compact() {
  buffer_.erase(0, read_);
  read_ = 0;
}

void append_frame(std::string& out, std::string_view message) {
  uint64_t size = message.size();
  for (; size >= 0x80; size >>= 7) out.push_back(static_cast<char>(size | 0x80));
  out.push_back(static_cast<char>(size));
  out.append(message);
}

}  // namespace cairn::ledger::comet
