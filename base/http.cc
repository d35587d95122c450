#include "base/http.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cstring>
#include <list>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "base/json.h"

namespace cairn {
namespace {

constexpr size_t kStreamUnreadMax = 1u << 20;
constexpr uint32_t kFilesBeside = 512;      // that a process opens besides its connections
constexpr uint32_t kLeavingMax = 64;        // connections that have been displaced and are not closed yet
constexpr size_t kClientsRemembered = 4096; // without a connection, for their rates

using Steady = std::chrono::steady_clock;
double seconds_between(Steady::time_point from, Steady::time_point to) { return std::chrono::duration<double>(to - from).count(); }

// One request from its first byte to the end of its answer. MHD's thread and the answering thread meet under `mutex_`.
class Exchange final : public HttpReply {
 public:
  explicit Exchange(MHD_Connection* connection) : connection_(connection) {}

  HttpRequest request;
  std::optional<HttpResponse> refusal;  // whatever the request says
  size_t discarded = 0;                 // bytes of the body that were not kept
  Steady::time_point began = Steady::now();
  size_t in_memory = 0;                 // bytes of the body, and of the answer until it has been read

  void send(HttpResponse response) override {
    std::lock_guard lock(mutex_);
    if (gone_ || answered_) return;
    answered_ = true;
    response_ = std::move(response);
    wake();
  }
  void stream(std::string content_type) override {
    std::lock_guard lock(mutex_);
    if (gone_ || answered_) return;
    answered_ = streaming_ = true;
    response_.content_type = std::move(content_type);
    wake();
  }
  void push(std::string_view bytes) override {
    std::lock_guard lock(mutex_);
    if (gone_ || !streaming_ || closed_) return;
    if (unread_.size() + bytes.size() > kStreamUnreadMax) {
      closed_ = true;
    } else {
      unread_.append(bytes);
    }
    wake();
  }
  void close() override {
    std::lock_guard lock(mutex_);
    closed_ = true;
    if (!gone_) wake();
  }
  bool gone() const override {
    std::lock_guard lock(mutex_);
    return gone_;
  }

  struct Answered {
    bool waits = false, streams = false;
    int status = 0;
    size_t bytes = 0;
    MHD_Result result = MHD_YES;
  };
  // From MHD's thread: queues the answer if there is one, else puts the connection to sleep.
  Answered answer(const std::shared_ptr<Exchange>& self) {
    {
      std::lock_guard lock(mutex_);
      if (!answered_) {
        suspended_ = true;
        MHD_suspend_connection(connection_);
        return {.waits = true};
      }
    }
    // An answer does not change any more. Without the lock: MHD locks its response here, and holds it when it calls read().
    MHD_Response* response = nullptr;
    if (streaming_) {
      response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, &Exchange::read, new std::shared_ptr<Exchange>(self),
                                                   [](void* held) { delete static_cast<std::shared_ptr<Exchange>*>(held); });
      MHD_add_response_header(response, "Cache-Control", "no-store");
    } else {
      response = MHD_create_response_from_buffer(response_.body.size(), response_.body.data(), MHD_RESPMEM_MUST_COPY);
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, response_.content_type.c_str());
    if (response_.status == 429) MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    if (refusal) MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    const Answered out{.streams = streaming_, .status = response_.status, .bytes = response_.body.size(),
                       .result = MHD_queue_response(connection_, static_cast<unsigned>(response_.status), response)};
    MHD_destroy_response(response);
    response_.body.clear();
    return out;
  }

  void forget() {
    std::lock_guard lock(mutex_);
    gone_ = true;
  }
  // The server stops: nothing may stay suspended.
  void stop() {
    std::lock_guard lock(mutex_);
    if (gone_) return;
    if (!answered_) {
      answered_ = true;
      response_ = error_response({Code::unreachable, "the node is stopping", "ask again when it is back"});
    }
    closed_ = true;
    wake();
  }

 private:
  static ssize_t read(void* held, uint64_t, char* out, size_t max) {
    Exchange& self = **static_cast<std::shared_ptr<Exchange>*>(held);
    std::lock_guard lock(self.mutex_);
    if (self.unread_.empty()) {
      if (self.closed_) return MHD_CONTENT_READER_END_OF_STREAM;
      self.suspended_ = true;
      MHD_suspend_connection(self.connection_);
      return 0;
    }
    const size_t size = std::min(max, self.unread_.size());
    std::memcpy(out, self.unread_.data(), size);
    self.unread_.erase(0, size);
    return static_cast<ssize_t>(size);
  }
  void wake() {
    if (!suspended_) return;
    suspended_ = false;
    MHD_resume_connection(connection_);
  }

  mutable std::mutex mutex_;
  MHD_Connection* connection_;
  HttpResponse response_;
  std::string unread_;
  bool answered_ = false, streaming_ = false, closed_ = false, suspended_ = false, gone_ = false;
};

class Server final : public HttpServer {
 public:
  Server(const HttpConfig& config, Handler handler) : config_(config), handler_(std::move(handler)) {}

  Result<> listen() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(config_.port);
    if (inet_pton(AF_INET, config_.address.c_str(), &address.sin_addr) != 1)
      return Error{Code::invalid, "not an IPv4 address: " + config_.address, "write it as 127.0.0.1"};
    raise_file_limit();
    daemon_ = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, config_.port, nullptr, nullptr,
        &Server::access, this, MHD_OPTION_SOCK_ADDR, reinterpret_cast<sockaddr*>(&address), MHD_OPTION_CONNECTION_LIMIT,
        config_.connections_max + kLeavingMax, MHD_OPTION_CONNECTION_TIMEOUT, config_.timeout_s, MHD_OPTION_NOTIFY_COMPLETED,
        &Server::completed, this, MHD_OPTION_NOTIFY_CONNECTION, &Server::connected, this, MHD_OPTION_CONNECTION_MEMORY_LIMIT, size_t{32768},
        MHD_OPTION_END);
    if (!daemon_)
      return Error{Code::io, "cannot listen on " + config_.address + ":" + std::to_string(config_.port),
                   "another program may hold the port: choose another"};
    return {};
  }

  ~Server() override {
    if (!daemon_) return;
    MHD_quiesce_daemon(daemon_);
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      for (const auto& exchange : open_) exchange->stop();
    }
    for (int waited_ms = 0; waited_ms < 1000; waited_ms += 2) {  // let the answers leave
      {
        std::lock_guard lock(mutex_);
        if (open_.empty()) break;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    MHD_stop_daemon(daemon_);
  }

  uint16_t port() const override {
    const auto* info = MHD_get_daemon_info(daemon_, MHD_DAEMON_INFO_BIND_PORT);
    return info ? info->port : config_.port;
  }

  Counts counts() const override {
    std::lock_guard lock(mutex_);
    Counts out = counts_;
    out.connections = connections_.size();
    for (const auto& [address, client] : clients_) out.bytes_held += client.held;
    return out;
  }

 private:
  struct Client {
    uint32_t connections = 0, requests = 0;
    size_t held = 0;
    double tokens = 0;  // requests that it may send now
    Steady::time_point filled{};
  };
  // In connections_ by when it last finished something: the first is the slowest.
  struct Connection {
    int fd;
    uint32_t address;
    bool over;          // beyond its client's bound: one answer, 429
    bool busy = false;  // it waits for us, or streams: not to be displaced
    bool leaving = false;
    std::list<Connection>::iterator self{};
  };

  // The least of what is needed and what the system allows.
  void raise_file_limit() {
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
    const rlim_t wanted = config_.connections_max + kLeavingMax + kFilesBeside;
    if (files.rlim_cur >= wanted) return;
    files.rlim_cur = std::min<rlim_t>(wanted, files.rlim_max);
    ::setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < wanted) config_.connections_max = static_cast<uint32_t>(std::max<rlim_t>(files.rlim_cur, 640) - kLeavingMax - kFilesBeside);
  }

  static Connection& connection_of(MHD_Connection* connection) {
    return *static_cast<Connection*>(MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context);
  }

  static void connected(void* self, MHD_Connection* connection, void** context, MHD_ConnectionNotificationCode what) {
    auto& server = *static_cast<Server*>(self);
    std::lock_guard lock(server.mutex_);
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
      *context = &server.opened(connection);
    } else if (*context) {
      const auto at = static_cast<Connection*>(*context)->self;
      server.clients_[at->address].connections--;
      server.connections_.erase(at);
    }
  }

  Connection& opened(MHD_Connection* connection) {
    const auto* address = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
    const int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    sockaddr_in from{};
    if (address && address->sa_family == AF_INET) std::memcpy(&from, address, sizeof from);
    if (clients_.size() > kClientsRemembered) std::erase_if(clients_, [](const auto& entry) { return entry.second.connections == 0; });
    Client& client = clients_[from.sin_addr.s_addr];
    client.connections++;
    counts_.connections_taken++;
    connections_.push_back({fd, from.sin_addr.s_addr, client.connections > config_.client_connections});
    connections_.back().self = std::prev(connections_.end());
    if (connections_.size() > config_.connections_max) displace();
    return connections_.back();
  }

  void displace() {
    for (auto& slow : connections_) {
      if (slow.busy || slow.leaving) continue;
      slow.leaving = true;
      counts_.connections_displaced++;
      ::shutdown(slow.fd, SHUT_RDWR);  // MHD finds it ended, and closes it
      return;
    }
  }

  HttpResponse refuse(const std::string& what) {
    counts_.requests_refused++;
    HttpResponse response = error_response({Code::limit, what, "close what you do not need, ask less often, and try again in a second"});
    response.status = 429;
    return response;
  }
  HttpResponse refuse_memory() { return refuse("a client's bodies and unread answers may have " + std::to_string(config_.client_memory_bytes) + " bytes"); }

  // Why a client's request is not heard, if it is not. Takes a place for it.
  std::optional<HttpResponse> admit(const Connection& connection) {
    Client& client = clients_[connection.address];
    const auto now = Steady::now();
    client.tokens = std::min<double>(config_.client_requests_per_s, client.tokens + seconds_between(client.filled, now) * config_.client_requests_per_s);
    client.filled = now;
    client.requests++;
    counts_.requests++;
    if (connection.over) return refuse("a client may have " + std::to_string(config_.client_connections) + " connections");
    if (client.requests > config_.client_requests) return refuse("a client may wait for " + std::to_string(config_.client_requests) + " answers at once");
    if (client.held > config_.client_memory_bytes) return refuse_memory();
    if (client.tokens < 1) return refuse("a client may send " + std::to_string(config_.client_requests_per_s) + " requests a second");
    client.tokens -= 1;
    return std::nullopt;
  }

  static MHD_Result access(void* self, MHD_Connection* connection, const char* url, const char* method, const char*,
                           const char* data, size_t* size, void** state) {
    return static_cast<Server*>(self)->serve(connection, url, method, data, size, state);
  }

  MHD_Result serve(MHD_Connection* connection, const char* url, const char* method, const char* data, size_t* size,
                   void** state) {
    auto* held = static_cast<std::shared_ptr<Exchange>*>(*state);
    if (!held) {  // the headers are in
      held = new std::shared_ptr<Exchange>(std::make_shared<Exchange>(connection));
      *state = held;
      std::lock_guard lock(mutex_);
      open_.insert(*held);
      (*held)->refusal = admit(connection_of(connection));
      return MHD_YES;
    }
    Exchange& exchange = **held;
    if (*size != 0) return take_body(connection_of(connection), exchange, {data, std::exchange(*size, 0)});
    if (exchange.request.method.empty()) {  // the body is in; a resumed connection comes here again
      exchange.request.method = method;
      exchange.request.path = url;
      MHD_get_connection_values(
          connection, MHD_GET_ARGUMENT_KIND,
          [](void* query, MHD_ValueKind, const char* key, const char* value) {
            (*static_cast<std::map<std::string, std::string>*>(query))[key] = value ? value : "";
            return MHD_YES;
          },
          &exchange.request.query);
      const auto header = [&](const char* key) -> std::string {
        const char* value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, key);
        return value ? value : "";
      };
      exchange.request.accept = header("Accept");
      exchange.request.last_event_id = header("Last-Event-ID");
      if (exchange.refusal) {
        exchange.send(*exchange.refusal);
      } else {
        try {
          handler_(exchange.request, *held);
        } catch (const Fault& fault) {
          exchange.send(error_response(fault.error()));
        }
      }
      std::lock_guard lock(mutex_);
      if (stopping_) exchange.stop();
    }
    const auto answered = exchange.answer(*held);
    std::lock_guard lock(mutex_);
    Connection& here = connection_of(connection);
    here.busy |= answered.waits || answered.streams;
    if (answered.waits) return answered.result;
    if (!answered.streams) here.busy = false;
    exchange.in_memory += answered.bytes;
    clients_[here.address].held += answered.bytes;
    counts_.answers[answered.status]++;
    counts_.bytes_out += answered.bytes;
    if (!answered.streams) counts_.answer_s.observe(seconds_between(exchange.began, Steady::now()));
    return answered.result;
  }

  MHD_Result take_body(const Connection& here, Exchange& exchange, std::string_view data) {
    auto& body = exchange.request.body;
    std::lock_guard lock(mutex_);
    Client& client = clients_[here.address];
    if (!exchange.refusal) {
      if (body.size() + data.size() > config_.body_max_bytes) {
        exchange.refusal = error_response({Code::limit, "the body is larger than " + std::to_string(config_.body_max_bytes) + " bytes", "send less"});
      } else if (client.held + data.size() > config_.client_memory_bytes) {
        exchange.refusal = refuse_memory();
      } else {
        body.insert(body.end(), data.begin(), data.end());
        exchange.in_memory += data.size();
        client.held += data.size();
        return MHD_YES;
      }
      client.held -= std::exchange(exchange.in_memory, 0);
      body = {};
    }
    exchange.discarded += data.size();
    return exchange.discarded / 4 <= config_.body_max_bytes ? MHD_YES : MHD_NO;  // so far it may still hear why
  }

  static void completed(void* self, MHD_Connection* connection, void** state, MHD_RequestTerminationCode) {
    auto* held = static_cast<std::shared_ptr<Exchange>*>(*state);
    if (!held) return;
    (*held)->forget();
    {
      auto& server = *static_cast<Server*>(self);
      std::lock_guard lock(server.mutex_);
      Connection& here = connection_of(connection);
      Client& client = server.clients_[here.address];
      client.requests--;
      client.held -= (*held)->in_memory;
      server.counts_.bytes_in += (*held)->request.body.size();
      here.busy = false;
      server.connections_.splice(server.connections_.end(), server.connections_, here.self);
      server.open_.erase(*held);
    }
    delete held;
    *state = nullptr;
  }

  HttpConfig config_;
  Handler handler_;
  MHD_Daemon* daemon_ = nullptr;
  mutable std::mutex mutex_;
  std::set<std::shared_ptr<Exchange>> open_;
  std::list<Connection> connections_;
  std::map<uint32_t, Client> clients_;
  Counts counts_;
  bool stopping_ = false;
};

int http_status(Code code) {
  switch (code) {
    case Code::not_found:
    case Code::unknown_account:
    case Code::no_offer: return 404;
    case Code::unauthorised:
    case Code::bad_signature:
    case Code::not_party: return 403;
    case Code::limit: return 413;
    case Code::mempool_full:
    case Code::unreachable:
    case Code::halted: return 503;
    case Code::internal:
    case Code::io: return 500;
    case Code::timed_out: return 504;
    default: return 400;
  }
}

}  // namespace

HttpResponse error_response(const Error& error) {
  return {http_status(error.code), "application/json",
          "{\"code\":" + json_quote(name(error.code)) + ",\"text\":" + json_quote(error.text) +
              ",\"next\":" + json_quote(error.next) + "}"};
}

Result<std::unique_ptr<HttpServer>> HttpServer::start(const HttpConfig& config, Handler handler) {
  auto server = std::make_unique<Server>(config, std::move(handler));
  TRY(server->listen());
  return std::unique_ptr<HttpServer>(std::move(server));
}

}  // namespace cairn
