#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "runtime/worker_protocol.h"

namespace cairn::runtime {
namespace {

Error hung_up() { return {Code::unreachable, "the other side of the worker's socket has gone", "start the worker again"}; }

Result<> read_all(int fd, std::span<uint8_t> out) {
  for (size_t at = 0; at < out.size();) {
    const ssize_t got = ::recv(fd, out.data() + at, out.size() - at, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return hung_up();
    at += static_cast<size_t>(got);
  }
  return {};
}

}  // namespace

Result<> send_frame(int fd, ByteSpan message) {
  if (message.size() > kMaxFrameBytes)
    return Error{Code::limit, "a message of " + std::to_string(message.size()) + " bytes", "use a smaller program"};
  Bytes out = encode(static_cast<uint32_t>(message.size()));
  out.insert(out.end(), message.begin(), message.end());
  for (size_t at = 0; at < out.size();) {
    const ssize_t put = ::send(fd, out.data() + at, out.size() - at, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return hung_up();
    at += static_cast<size_t>(put);
  }
  return {};
}

Result<Bytes> receive_frame(int fd) {
  uint8_t head[4];
  TRY(read_all(fd, head));
  TRY_LET(size, decode<uint32_t>(head));
  if (size > kMaxFrameBytes)
    return Error{Code::limit, "a frame that says it has " + std::to_string(size) + " bytes", "start the worker again"};
  Bytes out;
  while (out.size() < size) {  // grows with what really comes
    const size_t part = std::min<size_t>(size - out.size(), 1u << 20);
    const size_t at = out.size();
    out.resize(at + part);
    TRY(read_all(fd, std::span(out).subspan(at, part)));
  }
  return out;
}

}  // namespace cairn::runtime
