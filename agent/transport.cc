#include "agent/transport.h"

#include <zmq.h>

#include <algorithm>

#include "base/clock.h"
#include "base/log.h"

namespace cairn::agent {

namespace {

constexpr char kDomain[] = "cairn";
constexpr int64_t kRequestMaxBytes = 4096;  // every Ask is far smaller
constexpr int64_t kReplyMaxBytes = kChunkMaxBytes + 4096;
constexpr int kQueueMessages = 64;
constexpr int kHandshakeMs = 3000;
constexpr int kHeartbeatMs = 5000;
constexpr int kHeartbeatLostMs = 15000;
constexpr int kPollMs = 100;

[[noreturn]] void fail(const std::string& doing) {
  throw Fault({Code::io, doing + ": " + zmq_strerror(zmq_errno()), "check the address and that nobody else listens there"});
}

void set(void* socket, int option, int value) {
  if (zmq_setsockopt(socket, option, &value, sizeof value) != 0) fail("a socket option was refused");
}
void set64(void* socket, int option, int64_t value) {
  if (zmq_setsockopt(socket, option, &value, sizeof value) != 0) fail("a socket option was refused");
}
void set_bytes(void* socket, int option, const void* bytes, size_t size) {
  if (zmq_setsockopt(socket, option, bytes, size) != 0) fail("a socket option was refused");
}

// libzmq's defaults are unlimited: sizes, queues and the patience for a silent peer.
void bound(void* socket, int64_t message_max_bytes) {
  set(socket, ZMQ_LINGER, 0);
  set(socket, ZMQ_SNDHWM, kQueueMessages);
  set(socket, ZMQ_RCVHWM, kQueueMessages);
  set(socket, ZMQ_HANDSHAKE_IVL, kHandshakeMs);
  set(socket, ZMQ_HEARTBEAT_IVL, kHeartbeatMs);
  set(socket, ZMQ_HEARTBEAT_TIMEOUT, kHeartbeatLostMs);
  set64(socket, ZMQ_MAXMSGSIZE, message_max_bytes);
}

struct Frame {
  zmq_msg_t message;
  Frame() { zmq_msg_init(&message); }
  ~Frame() { zmq_msg_close(&message); }
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;
  bool receive(void* socket) { return zmq_msg_recv(&message, socket, ZMQ_DONTWAIT) >= 0; }
  bool more() const { return zmq_msg_more(&message) != 0; }
  ByteSpan span() {
    return {static_cast<const uint8_t*>(zmq_msg_data(&message)), zmq_msg_size(&message)};
  }
};

// Takes one whole message; its frames in order. An unfinished or absent one gives an empty list.
std::vector<Bytes> receive_all(void* socket, std::string* user = nullptr) {
  std::vector<Bytes> frames;
  while (true) {
    Frame frame;
    if (!frame.receive(socket)) return {};
    if (user)
      if (const char* id = zmq_msg_gets(&frame.message, "User-Id")) *user = id;
    const ByteSpan bytes = frame.span();
    frames.emplace_back(bytes.begin(), bytes.end());
    if (!frame.more()) return frames;
  }
}

bool send(void* socket, ByteSpan bytes, bool more) {
  return zmq_send(socket, bytes.data(), bytes.size(), ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)) >= 0;
}

bool readable(void* socket, int timeout_ms) {
  zmq_pollitem_t item{socket, 0, ZMQ_POLLIN, 0};
  return zmq_poll(&item, 1, timeout_ms) > 0;
}

}  // namespace

struct Server::Sockets {
  void* context = nullptr;
  void* guard = nullptr;
  void* router = nullptr;
  ~Sockets() {
    if (guard) zmq_close(guard);
    if (router) zmq_close(router);
    if (context) zmq_ctx_term(context);
  }
};

Server::Server(const std::string& endpoint, const TransportKeys& keys, Allow allow, Serve serve)
    : sockets_(std::make_unique<Sockets>()), allow_(std::move(allow)), serve_(std::move(serve)) {
  auto& s = *sockets_;
  s.context = zmq_ctx_new();
  s.guard = zmq_socket(s.context, ZMQ_REP);
  if (!s.guard || zmq_bind(s.guard, "inproc://zeromq.zap.01") != 0) fail("the transport's guard could not start");
  set(s.guard, ZMQ_LINGER, 0);
  guard_thread_ = std::thread([this] { guard(); });
  try {
    s.router = zmq_socket(s.context, ZMQ_ROUTER);
    if (!s.router) fail("the transport's socket could not be made");
    bound(s.router, kRequestMaxBytes);
    set(s.router, ZMQ_CURVE_SERVER, 1);
    set_bytes(s.router, ZMQ_CURVE_SECRETKEY, keys.secret_key.data(), keys.secret_key.size());
    set_bytes(s.router, ZMQ_ZAP_DOMAIN, kDomain, sizeof kDomain - 1);
    if (zmq_bind(s.router, endpoint.c_str()) != 0) fail("cannot listen on " + endpoint);
    char bound_to[256];
    size_t size = sizeof bound_to;
    if (zmq_getsockopt(s.router, ZMQ_LAST_ENDPOINT, bound_to, &size) != 0) fail("cannot listen on " + endpoint);
    endpoint_ = bound_to;
  } catch (...) {
    stopping_ = true;
    guard_thread_.join();
    throw;
  }
  run_thread_ = std::thread([this] { run(); });
}

Server::~Server() {
  stopping_ = true;
  if (run_thread_.joinable()) run_thread_.join();
  if (guard_thread_.joinable()) guard_thread_.join();
}

// ZAP 1.0: version, request id, domain, address, identity, mechanism, credentials (the client's CURVE key).
void Server::guard() {
  void* socket = sockets_->guard;
  while (!stopping_) {
    if (!readable(socket, kPollMs)) continue;
    const auto frames = receive_all(socket);
    if (frames.empty()) continue;
    std::optional<AccountId> account;
    if (frames.size() == 7 && frames[5] == Bytes{'C', 'U', 'R', 'V', 'E'} && frames[6].size() == 32) {
      CurveKey key{};
      std::copy(frames[6].begin(), frames[6].end(), key.begin());
      account = allow_(key);
    }
    if (!account) log_debug("transport.refused", {{"address", frames.size() > 3 ? std::string(frames[3].begin(), frames[3].end()) : "?"}});
    const std::string id = account ? account->hex() : "";
    const Bytes request_id = frames.size() > 1 ? frames[1] : Bytes{};
    send(socket, as_bytes("1.0"), true);
    send(socket, request_id, true);
    send(socket, as_bytes(account ? "200" : "400"), true);
    send(socket, as_bytes(account ? "" : "this key has no part in a job that is served here"), true);
    send(socket, as_bytes(id), true);
    send(socket, {}, false);
  }
}

void Server::run() {
  void* socket = sockets_->router;
  while (!stopping_) {
    if (!readable(socket, kPollMs)) continue;
    std::string user;
    const auto frames = receive_all(socket, &user);
    const auto account = AccountId::from_hex(user);
    if (frames.size() != 2 || !account) continue;
    const auto request = decode<Request>(frames[1]);
    if (!request) continue;  // a peer that speaks otherwise gets no answer
    const Reply reply{request->number, serve_(*account, request->ask)};
    // A peer that does not take its answers loses them: the router never waits for one of many.
    if (send(socket, frames[0], true)) send(socket, encode(reply), false);
  }
}

struct Caller::Socket {
  void* context = nullptr;
  void* dealer = nullptr;
  void* monitor = nullptr;  // tells when the peer refuses our key: no answer will ever come over this connection
  ~Socket() {
    if (monitor) zmq_close(monitor);
    if (dealer) zmq_close(dealer);
    if (context) zmq_ctx_term(context);
  }
};

Caller::Caller(std::string endpoint, const PublicKey& peer, const TransportKeys& own)
    : endpoint_(std::move(endpoint)), peer_{}, own_(own) {
  if (auto key = transport_key(peer)) peer_ = *key;  // a key that is no curve point stays zero: nobody can answer for it
}
Caller::~Caller() = default;
Caller::Caller(Caller&&) noexcept = default;

Result<> Caller::connect() {
  auto fresh = std::make_unique<Socket>();
  fresh->context = zmq_ctx_new();
  fresh->dealer = zmq_socket(fresh->context, ZMQ_DEALER);
  fresh->monitor = zmq_socket(fresh->context, ZMQ_PAIR);
  if (!fresh->dealer || !fresh->monitor) fail("the transport's socket could not be made");
  bound(fresh->dealer, kReplyMaxBytes);
  set_bytes(fresh->dealer, ZMQ_CURVE_SERVERKEY, peer_.data(), peer_.size());
  set_bytes(fresh->dealer, ZMQ_CURVE_PUBLICKEY, own_.public_key.data(), own_.public_key.size());
  set_bytes(fresh->dealer, ZMQ_CURVE_SECRETKEY, own_.secret_key.data(), own_.secret_key.size());
  set(fresh->monitor, ZMQ_LINGER, 0);
  constexpr int kRefused = ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL;
  if (zmq_socket_monitor(fresh->dealer, "inproc://monitor", kRefused) != 0 || zmq_connect(fresh->monitor, "inproc://monitor") != 0)
    fail("the transport's monitor could not start");
  if (zmq_connect(fresh->dealer, endpoint_.c_str()) != 0)
    return Error{Code::unreachable, "`" + endpoint_ + "` is no address: " + zmq_strerror(zmq_errno()),
                 "an address looks like tcp://127.0.0.1:7710"};
  socket_ = std::move(fresh);
  return {};
}

// A peer learns of its guests from the chain, some blocks after we have: whoever is refused knocks again until its time is up.
Result<Answer> Caller::ask(const Ask& what, uint32_t timeout_ms) {
  constexpr int kKnockMs = 50;
  const SystemClock clock;
  const uint64_t end_ns = clock.steady_ns() + uint64_t{timeout_ms} * 1'000'000;
  bool refused = false;
  while (clock.steady_ns() < end_ns) {
    if (!socket_) TRY(connect());
    const Request request{next_number_++, what};
    bool open = send(socket_->dealer, encode(request), false);
    while (open && clock.steady_ns() < end_ns) {
      zmq_pollitem_t items[] = {{socket_->dealer, 0, ZMQ_POLLIN, 0}, {socket_->monitor, 0, ZMQ_POLLIN, 0}};
      const auto left_ms = static_cast<long>((end_ns - clock.steady_ns()) / 1'000'000 + 1);
      if (zmq_poll(items, 2, left_ms) <= 0) break;
      if (items[1].revents != 0) {
        refused = true;
        open = false;
        break;
      }
      const auto frames = receive_all(socket_->dealer);
      if (frames.size() != 1) continue;
      auto reply = decode<Reply>(frames[0]);
      if (!reply) {
        socket_.reset();
        return Error{Code::malformed, "the peer " + endpoint_ + " sent what is no answer", "try another peer"};
      }
      if (reply->number != request.number) continue;  // to a question that timed out
      if (const auto* told = std::get_if<Refused>(&reply->answer))
        return Error{told->code, told->text + " (says " + endpoint_ + ")", ""};
      return std::move(reply->answer);
    }
    socket_.reset();
    if (!open) std::this_thread::sleep_for(std::chrono::milliseconds(kKnockMs));
  }
  if (refused)
    return Error{Code::unreachable, endpoint_ + " does not know our key",
                 "check that this account is party to the job and that the peer follows the same chain"};
  return Error{Code::unreachable, endpoint_ + " did not answer within " + std::to_string(timeout_ms) + " ms",
               "check that the peer runs"};
}

}  // namespace cairn::agent
