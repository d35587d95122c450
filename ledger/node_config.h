// configs/node.yaml, for cairnd; the flags --genesis, --folder, --listen, --producer-key, --vrf-key and --log-level go before it.
#pragma once

#include "base/config.h"
#include "base/http.h"
#include "base/log.h"

namespace cairn::ledger {

struct NodeConfig {
  std::filesystem::path genesis = "/etc/cairn/genesis.json";                        // which chain
  std::filesystem::path folder = "/var/lib/cairn/node/chain";                      // blocks and state; nobody else writes there
  std::string listen = "127.0.0.1:7700";                                           // HTTP, loopback alone; port 0 takes a free one
  std::filesystem::path producer_key = "/var/lib/cairn/node/producer.key";         // signs headers; mode 0600
  std::filesystem::path vrf_key = "/var/lib/cairn/node/producer-vrf.key";          // makes the beacon; mode 0600
  Within<uint32_t, 0, 1024> verify_threads{0};                                     // solo chains: that check signatures; 0: one a core
  Within<uint32_t, 1, 10'000'000> mempool_transactions{65'536};                    // that may wait for a block
  Within<uint32_t, 1, 65'536> mempool_mib{64};
  Within<uint32_t, 16, 100'000> http_connections{2048};                            // open at once; then the slowest gives way
  Within<uint32_t, 1, 100'000> client_connections{1024};                           // of one address; beyond it: 429, limit
  Within<uint32_t, 1, 100'000> client_requests{512};                               // of one address, being answered
  Within<uint32_t, 1, 10'000'000> client_requests_per_s{50'000};
  Within<uint32_t, 1, 4'095> client_memory_mib{64};                               // of one address's bodies, and of answers that it has not read
  std::string p2p_listen = "127.0.0.1:26656";                                      // comet chains: where other validators reach this one
  std::vector<std::string> peers;                                                  // comet chains: other validators, ID@HOST:PORT
  std::filesystem::path p2p_key = "/var/lib/cairn/node/p2p.key";                   // comet chains: made if missing; its id is in the log
  std::vector<std::string> sync_from;                                              // comet chains: HTTP addresses of nodes whose state a new one takes
  uint32_t snapshot_blocks = 1'000;                                                // comet chains: offers its state at every so many blocks; 0: never
  std::filesystem::path cometbft;                                                  // comet chains: the program; empty: beside cairnd, or in PATH
  std::string log_level = "info";                                                  // debug, info, warning, error
  static constexpr auto fields() {
    using C = NodeConfig;
    return std::tuple{field("genesis", &C::genesis),
                      field("folder", &C::folder),
                      field("listen", &C::listen),
                      field("producer_key", &C::producer_key),
                      field("vrf_key", &C::vrf_key),
                      field("verify_threads", &C::verify_threads),
                      field("mempool_transactions", &C::mempool_transactions),
                      field("mempool_mib", &C::mempool_mib),
                      field("http_connections", &C::http_connections),
                      field("client_connections", &C::client_connections),
                      field("client_requests", &C::client_requests),
                      field("client_requests_per_s", &C::client_requests_per_s),
                      field("client_memory_mib", &C::client_memory_mib),
                      field("p2p_listen", &C::p2p_listen),
                      field("peers", &C::peers),
                      field("p2p_key", &C::p2p_key),
                      field("sync_from", &C::sync_from),
                      field("snapshot_blocks", &C::snapshot_blocks),
                      field("cometbft", &C::cometbft),
                      field("log_level", &C::log_level)};
  }
  // Errors: invalid.
  Result<> check() const {
    TRY(http());
    TRY(level());
    return {};
  }
  Result<HttpConfig> http() const;
  Result<LogLevel> level() const;
};

}  // namespace cairn::ledger
