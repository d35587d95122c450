#include "base/http.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>

#include <cstring>
#include <mutex>
#include <set>
#include <thread>

#include "base/json.h"

namespace cairn {
namespace {

constexpr size_t kStreamUnreadMax = 1u << 20;

class Server;

// One request from its first byte to the end of its answer. MHD's thread and the answering thread meet under `mutex_`.
class Exchange final : public HttpReply {
 public:
  explicit Exchange(MHD_Connection* connection) : connection_(connection) {}

  HttpRequest request;
  bool too_large = false;

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

  // From MHD's thread: queues the answer if there is one, else puts the connection to sleep.
  MHD_Result answer(const std::shared_ptr<Exchange>& self) {
    std::lock_guard lock(mutex_);
    if (!answered_) {
      suspended_ = true;
      MHD_suspend_connection(connection_);
      return MHD_YES;
    }
    MHD_Response* response = nullptr;
    if (streaming_) {
      response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, &Exchange::read, new std::shared_ptr<Exchange>(self),
                                                   [](void* held) { delete static_cast<std::shared_ptr<Exchange>*>(held); });
      MHD_add_response_header(response, "Cache-Control", "no-store");
    } else {
      response = MHD_create_response_from_buffer(response_.body.size(), response_.body.data(), MHD_RESPMEM_MUST_COPY);
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, response_.content_type.c_str());
    const MHD_Result queued = MHD_queue_response(connection_, static_cast<unsigned>(response_.status), response);
    MHD_destroy_response(response);
    return queued;
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
    daemon_ = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, config_.port, nullptr, nullptr,
        &Server::access, this, MHD_OPTION_SOCK_ADDR, reinterpret_cast<sockaddr*>(&address), MHD_OPTION_CONNECTION_LIMIT,
        config_.connections_max, MHD_OPTION_CONNECTION_TIMEOUT, config_.timeout_s, MHD_OPTION_NOTIFY_COMPLETED,
        &Server::completed, this, MHD_OPTION_CONNECTION_MEMORY_LIMIT, size_t{32768}, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u,
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

 private:
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
      return MHD_YES;
    }
    Exchange& exchange = **held;
    if (*size != 0) {
      if (exchange.request.body.size() + *size > config_.body_max_bytes) {
        exchange.too_large = true;
      } else {
        exchange.request.body.insert(exchange.request.body.end(), data, data + *size);
      }
      *size = 0;
      return MHD_YES;
    }
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
      if (exchange.too_large) {
        exchange.send(error_response({Code::limit, "the body is larger than " + std::to_string(config_.body_max_bytes) + " bytes",
                                      "send less"}));
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
    return exchange.answer(*held);
  }

  static void completed(void* self, MHD_Connection*, void** state, MHD_RequestTerminationCode) {
    auto* held = static_cast<std::shared_ptr<Exchange>*>(*state);
    if (!held) return;
    (*held)->forget();
    {
      auto* server = static_cast<Server*>(self);
      std::lock_guard lock(server->mutex_);
      server->open_.erase(*held);
    }
    delete held;
    *state = nullptr;
  }

  HttpConfig config_;
  Handler handler_;
  MHD_Daemon* daemon_ = nullptr;
  std::mutex mutex_;
  std::set<std::shared_ptr<Exchange>> open_;
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
