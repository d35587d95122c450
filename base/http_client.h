// The one HTTP client: one exchange at a time, over TCP or a unix socket, without proxies. A connection stays open for the next
// exchange with the same server. One thread at a time; a thread has a client of its own.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace cairn {

struct HttpQuestion {
  std::string url;
  std::filesystem::path socket;       // unix; empty: the host that the URL names
  std::optional<ByteSpan> body;       // posted; none: GET
  std::string content_type = "application/octet-stream";
  uint32_t connect_ms = 2'000;
  uint32_t timeout_ms = 10'000;       // of the whole exchange
  size_t answer_max_bytes = 64u << 20;
};
struct HttpAnswer {
  long status = 0;
  std::string body;
};

class HttpClient {
 public:
  HttpClient();
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Whatever status the server answers with. Error: unreachable (its text says why nobody answered in time, or within the bound).
  Result<HttpAnswer> ask(const HttpQuestion& question);

 private:
  void* handle_;
};

}  // namespace cairn
