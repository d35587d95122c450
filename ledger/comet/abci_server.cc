#include "ledger/comet/abci_server.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstring>
#include <vector>

#include "base/log.h"
#include "ledger/comet/framing.h"
#include "tendermint/abci/types.pb.h"

namespace cairn::ledger::comet {
namespace {

using tendermint::abci::Request;
using tendermint::abci::Response;

constexpr size_t kReadBytes = 256u << 10;
constexpr size_t kWriteAtBytes = 64u << 10;  // of replies that no Flush has asked for yet

Error cannot_listen(const std::string& address) {
  return {Code::io, "nobody can listen on " + address + ": " + std::strerror(errno), "end what listens there, or free the path"};
}

bool send_all(int fd, std::string& bytes) {
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t n = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    sent += static_cast<size_t>(n);
  }
  bytes.clear();
  return true;
}

}  // namespace

Result<std::unique_ptr<AbciServer>> AbciServer::start(const std::string& address, Handler handler) {
  std::string shown = address;
  int fd = -1;
  if (address.starts_with("unix://")) {
    const std::string path = address.substr(7);
    sockaddr_un unix_address{};
    unix_address.sun_family = AF_UNIX;
    if (path.size() >= sizeof unix_address.sun_path)
      return Error{Code::invalid, "the socket's path has " + std::to_string(path.size()) + " bytes, 107 are allowed: " + path,
                   "put the node's folder where its path is shorter"};
    std::memcpy(unix_address.sun_path, path.c_str(), path.size() + 1);
    ::unlink(path.c_str());
    fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ::bind(fd, reinterpret_cast<sockaddr*>(&unix_address), sizeof unix_address) != 0) return cannot_listen(address);
  } else {
    const std::string prefix = "tcp://127.0.0.1:";
    uint16_t port = 0;
    const char* end = address.data() + address.size();
    if (!address.starts_with(prefix) || std::from_chars(address.data() + prefix.size(), end, port).ptr != end)
      return Error{Code::invalid, "no address for ABCI: " + address, "write it as unix:///PATH or tcp://127.0.0.1:PORT"};
    sockaddr_in tcp{};
    tcp.sin_family = AF_INET;
    tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    tcp.sin_port = htons(port);
    socklen_t size = sizeof tcp;
    fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || ::bind(fd, reinterpret_cast<sockaddr*>(&tcp), sizeof tcp) != 0 ||
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&tcp), &size) != 0)
      return cannot_listen(address);
    shown = prefix + std::to_string(ntohs(tcp.sin_port));
  }
  if (::listen(fd, 16) != 0) return cannot_listen(address);
  return std::unique_ptr<AbciServer>(new AbciServer(fd, shown, std::move(handler)));
}

AbciServer::AbciServer(int fd, std::string address, Handler handler)
    : listener_(fd), address_(std::move(address)), handler_(std::move(handler)), thread_([this] { accept(); }) {}

AbciServer::~AbciServer() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  ::shutdown(listener_, SHUT_RDWR);
  thread_.join();
  ::close(listener_);
  reap(true);
  if (address_.starts_with("unix://")) ::unlink(address_.substr(7).c_str());
}

void AbciServer::reap(bool all) {
  std::lock_guard lock(mutex_);
  for (auto at = connections_.begin(); at != connections_.end();) {
    if (all) ::shutdown(at->fd, SHUT_RDWR);
    if (!all && !at->over) {
      ++at;
      continue;
    }
    at->thread.join();
    ::close(at->fd);
    at = connections_.erase(at);
  }
}

void AbciServer::accept() {
  for (;;) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0 && (errno == EINTR || errno == ECONNABORTED || errno == EMFILE)) continue;
    if (fd < 0) return;
    reap(false);
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // of no meaning on a unix socket
    std::lock_guard lock(mutex_);
    if (stopping_) {
      ::close(fd);
      return;
    }
    Connection& connection = connections_.emplace_back();
    connection.fd = fd;
    connection.thread = std::thread([this, &connection] {
      serve(connection.fd);
      ::shutdown(connection.fd, SHUT_RDWR);
      connection.over = true;
    });
  }
}

void AbciServer::serve(int fd) {
  FrameReader reader;
  std::vector<uint8_t> buffer(kReadBytes);
  std::string out, body;
  Request request;
  Response response;
  for (;;) {
    for (;;) {
      const auto frame = reader.next();
      if (!frame) return log_error("abci.frame", {{"text", frame.error().text}});
      if (!*frame) break;
      const ByteSpan bytes = **frame;
      response.Clear();
      if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
        return log_error("abci.message", {{"bytes", bytes.size()}});
      if (request.has_flush()) {
        response.mutable_flush();
      } else if (request.has_echo()) {
        response.mutable_echo()->set_message(request.echo().message());
      } else {
        try {
          handler_(request, response);
        } catch (const Fault& fault) {
          log_error("abci.fault", {{"code", name(fault.error().code)}, {"text", fault.error().text}});
          response.mutable_exception()->set_error(fault.error().message());
        } catch (const std::exception& error) {
          log_error("abci.fault", {{"text", error.what()}});
          response.mutable_exception()->set_error(error.what());
        }
      }
      body.clear();
      response.SerializeToString(&body);
      append_frame(out, body);
      if ((request.has_flush() || out.size() >= kWriteAtBytes) && !send_all(fd, out)) return;
    }
    reader.compact();
    if (!send_all(fd, out)) return;
    const ssize_t n = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    reader.feed(ByteSpan(buffer.data(), static_cast<size_t>(n)));
  }
}

}  // namespace cairn::ledger::comet
