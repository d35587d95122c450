#include "runtime/messages.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>

namespace cairn::runtime {
namespace {

Error gone() { return {Code::unreachable, "the worker's socket is closed", "see the worker's log for why it ended"}; }

}  // namespace

Result<> Channel::send_frame(ByteSpan bytes) {
  if (bytes.size() > kMaxFrameBytes) return Error{Code::limit, "a message to or from the worker is over 64 MiB", ""};
  Bytes frame;
  frame.reserve(bytes.size() + 4);
  for (size_t i = 0; i < 4; i++) frame.push_back(static_cast<uint8_t>(bytes.size() >> (8 * i)));
  frame.insert(frame.end(), bytes.begin(), bytes.end());
  for (size_t at = 0; at < frame.size();) {
    const ssize_t sent = ::send(fd_, &frame[at], frame.size() - at, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return gone();
    at += static_cast<size_t>(sent);
  }
  return {};
}

Result<Bytes> Channel::receive_frame(int timeout_ms) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::milliseconds(timeout_ms);
  const auto fill = [&](uint8_t* to, size_t size) -> Result<> {
    for (size_t at = 0; at < size;) {
      if (timeout_ms >= 0) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
        pollfd waiting{fd_, POLLIN, 0};
        const int ready = left <= 0 ? 0 : ::poll(&waiting, 1, static_cast<int>(left));
        if (ready < 0 && errno == EINTR) continue;
        if (ready == 0) return Error{Code::timed_out, "the worker did not answer within " + std::to_string(timeout_ms) + " ms", ""};
      }
      const ssize_t got = ::recv(fd_, to + at, size - at, 0);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return gone();
      at += static_cast<size_t>(got);
    }
    return {};
  };
  uint8_t head[4];
  TRY(fill(head, 4));
  const uint32_t size = static_cast<uint32_t>(head[0]) | static_cast<uint32_t>(head[1]) << 8 | static_cast<uint32_t>(head[2]) << 16 | static_cast<uint32_t>(head[3]) << 24;
  if (size > kMaxFrameBytes) return Error{Code::limit, "a message from the worker is over 64 MiB", ""};
  Bytes bytes(size);
  TRY(fill(bytes.data(), size));
  return bytes;
}

}  // namespace cairn::runtime
