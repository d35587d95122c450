// The one HTTP listener: loopback by default, bounded requests, one thread with epoll for all connections. A reply may
// come later and from another thread (waiting for a block, long polls, event streams): the connection sleeps meanwhile.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace cairn {

struct HttpRequest {
  std::string method;  // "GET", "POST"
  std::string path;    // "/v1/status", without the query
  std::map<std::string, std::string> query;
  std::string accept;         // the Accept header
  std::string last_event_id;  // the Last-Event-ID header, for resumed event streams
  Bytes body;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
};
// {"code","text","next"} with the HTTP status that fits the code.
HttpResponse error_response(const Error& error);

// The answer to one request; may outlive the handler. Exactly one of `send` or `stream` counts; all are thread-safe, and
// none does anything once the client is gone.
class HttpReply {
 public:
  virtual ~HttpReply() = default;
  virtual void send(HttpResponse response) = 0;
  virtual void stream(std::string content_type) = 0;  // then push() until close()
  virtual void push(std::string_view bytes) = 0;      // dropped client or more than 1 MiB unread: closes the stream
  virtual void close() = 0;
  virtual bool gone() const = 0;  // the client hung up, or the server stops
};

struct HttpConfig {
  std::string address = "127.0.0.1";
  uint16_t port = 0;               // 0: any free one, see HttpServer::port
  uint32_t connections_max = 1024;
  uint32_t timeout_s = 60;         // of silence on a connection that is not waiting for us
  uint32_t body_max_bytes = 8u << 20;
};

class HttpServer {
 public:
  using Handler = std::function<void(const HttpRequest&, std::shared_ptr<HttpReply>)>;
  // Starts listening at once; the handler runs on the server's thread and must not block. Errors: io.
  static Result<std::unique_ptr<HttpServer>> start(const HttpConfig& config, Handler handler);
  virtual ~HttpServer() = default;  // answers what waits with 503, then stops
  virtual uint16_t port() const = 0;
};

}  // namespace cairn
