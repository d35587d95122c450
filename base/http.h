// The one HTTP listener: loopback by default, bounded requests, one thread with epoll for all connections. A reply may
// come later and from another thread (waiting for a block, long polls, event streams): the connection sleeps meanwhile.
//
// A client is an address. Whoever passes a bound of its own is answered 429 with code `limit`, and is told when to come back; a
// body that is too large is answered 413, `limit`. When all connections are taken, a new one takes the place of the one that has
// been longest about sending its request or reading its answer: slow clients cost each other, not the others.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/metrics.h"
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
  uint32_t connections_max = 2048;
  uint32_t client_connections = 1024;     // of these, one client's
  uint32_t client_requests = 512;         // one client's that are being answered
  uint32_t client_requests_per_s = 50'000;
  uint32_t client_memory_bytes = 64u << 20;  // of one client's bodies, and of answers that it has not read; the last answer may pass it
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

  // What happened since the start.
  struct Counts {
    uint64_t connections = 0;                      // open now
    uint64_t connections_taken = 0;
    uint64_t connections_displaced = 0;            // slow ones that gave way
    uint64_t requests = 0;
    uint64_t requests_refused = 0;                 // 429
    std::map<int, uint64_t> answers;               // by status
    HistogramCounts answer_s;                      // from the headers' arrival to the answer's beginning; streams left out
    uint64_t bytes_in = 0, bytes_out = 0;          // of bodies
    uint64_t bytes_held = 0;                       // now: of bodies, and of answers that have not been read
  };
  virtual Counts counts() const = 0;
};

}  // namespace cairn
