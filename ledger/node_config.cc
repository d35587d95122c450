#include "ledger/node_config.h"

#include <charconv>

namespace cairn::ledger {

Result<HttpConfig> NodeConfig::http() const {
  const Error wrong{Code::invalid, "`listen` is no loopback address with a port: " + listen,
                    "write it as 127.0.0.1:7700; a proxy of yours can show it to others"};
  const size_t colon = listen.rfind(':');
  if (colon == std::string::npos) return wrong;
  HttpConfig out;
  out.address = listen.substr(0, colon);
  if (out.address == "localhost") out.address = "127.0.0.1";
  if (!out.address.starts_with("127.")) return wrong;
  const std::string_view port = std::string_view(listen).substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (error != std::errc() || end != port.data() + port.size()) return wrong;
  out.connections_max = http_connections;
  out.client_connections = client_connections;
  out.client_requests = client_requests;
  out.client_requests_per_s = client_requests_per_s;
  out.client_memory_bytes = client_memory_mib * (1u << 20);
  return out;
}

Result<LogLevel> NodeConfig::level() const {
  constexpr std::string_view kNames[] = {"debug", "info", "warning", "error"};
  for (int n = 0; n < 4; n++)
    if (log_level == kNames[n]) return static_cast<LogLevel>(n);
  return Error{Code::invalid, "`log_level` is no level: " + log_level, "one of debug, info, warning, error"};
}

}  // namespace cairn::ledger
