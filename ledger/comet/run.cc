#include "ledger/comet/run.h"

#include <signal.h>
#include <unistd.h>

#include <cstdio>

#include "base/file.h"
#include "base/http_client.h"
#include "base/log.h"
#include "ledger/comet/application.h"
#include "ledger/comet/comet.h"
#include "ledger/comet/home.h"
#include "ledger/comet/supervisor.h"
#include "ledger/genesis_file.h"
#include "ledger/node.h"

namespace cairn::ledger::comet {
namespace {

namespace fs = std::filesystem;

// The sockets' names, and a lock's, must not depend on where a process stands.
fs::path home_of(const NodeConfig& config) { return fs::absolute(config.folder) / "comet"; }

MempoolLimits mempool_of(const NodeConfig& config) {
  MempoolLimits out;
  out.count = config.mempool_transactions;
  out.bytes = size_t{config.mempool_mib} << 20;
  return out;
}

fs::path beside_this_program(const char* name) {
  std::error_code fault;
  const fs::path beside = fs::read_symlink("/proc/self/exe", fault).parent_path() / name;
  return !fault && fs::exists(beside, fault) ? beside : fs::path(name);
}

// ---- what state sync trusts: a sealed header that follows from the genesis ----

constexpr size_t kAnchorMaxBytes = 64u << 20;

fs::path anchor_file(const NodeConfig& config) { return home_of(config) / "anchor"; }

std::optional<attest::SignedHeader> kept_anchor(const NodeConfig& config) {
  const auto bytes = read_file(anchor_file(config), kAnchorMaxBytes);
  const auto anchor = bytes ? decode<attest::SignedHeader>(*bytes) : Result<attest::SignedHeader>(bytes.error());
  return anchor && std::holds_alternative<attest::CometSeal>(anchor->seal) ? std::optional(*anchor) : std::nullopt;
}

// The last header of a node at one of the addresses, believed by nothing but the genesis.
Result<attest::SignedHeader> fetch_anchor(const std::vector<std::string>& addresses, const attest::Genesis& genesis) {
  HttpClient http;
  Error last{Code::unreachable, "no node of sync_from answers", "see that they run"};
  for (const std::string& address : addresses) {
    const auto answered = http.ask({address + "/v1/state/" + to_hex(attest::rules_key(1)) + "?raw=1", {}, {}});
    if (!answered) {
      last = answered.error();
      continue;
    }
    const auto proven = decode<attest::ProvenState>(as_bytes(answered->body));
    const auto believed = proven ? attest::check_header(genesis, proven->header) : Result<>(proven.error());
    if (believed) return proven->header;
    last = believed.error();
  }
  return last;
}

Result<> prepare_state_sync(const NodeConfig& config, const attest::Genesis& genesis, HomeConfig& home) {
  for (std::string address : config.sync_from) {
    while (address.ends_with('/')) address.pop_back();
    home.sync_from.push_back(address.find("://") == std::string::npos ? "http" "://" + address : address);
  }
  home.anchor = kept_anchor(config);
  std::error_code fault;
  if (home.sync_from.empty() || fs::exists(home.home / "data" / "cs.wal", fault)) return {};  // it takes part, or never will sync
  const auto fetched = fetch_anchor(home.sync_from, genesis);
  if (!fetched && home.anchor) return {};
  if (!fetched) return fetched.error();
  home.anchor = *fetched;
  fs::create_directories(home.home, fault);
  return write_file(anchor_file(config), encode(*fetched));
}

Result<> be_the_application(const NodeConfig& config, const HttpConfig& http, const attest::Genesis& genesis, int progress_fd,
                            const Between& between) {
  TRY_LET(validator, load_key(config.producer_key));
  TRY_LET(vrf, load_key(config.vrf_key));
  TRY_LET(chain, Chain::open(config.folder, genesis));
  Feed feed(chain->store());
  Search search(config.folder / "search", chain->store());
  const SystemClock clock;
  Snapshots snapshots(config.folder / "snapshots", *chain, config.snapshot_blocks);
  CometConfig comet_config;
  comet_config.home = home_of(config);
  if (const auto anchor = kept_anchor(config)) comet_config.changes = std::get<attest::CometSeal>(anchor->seal).changes;
  Pool pool(*chain, mempool_of(config));
  Comet comet(*chain, pool, clock, comet_config);
  TRY_LET(node, Node::start(http, *chain, comet, feed, search));
  ApplicationConfig application_config{validator.public_key(), vrf, {}, {}, &snapshots};
  const auto announce = [&] {
    feed.announce();
    search.announce();
    report_progress(progress_fd, number(chain->store().head()));
  };
  application_config.on_block = [&](const Block& block) {
    comet.on_block(block);
    announce();
    snapshots.announce();
  };
  application_config.on_restored = [&] {
    comet.on_restored();
    announce();
  };
  Application application(*chain, pool, application_config);
  TRY_LET(server, AbciServer::start(app_address(comet_config.home),
                                    [&](const auto& request, auto& response) {
                                      const auto handle = [&] { application.handle(request, response); };
                                      between ? between(request, response, handle) : handle();
                                    }));
  const Height head = chain->store().head();
  log_info("node.ready", {{"chain", genesis.name}, {"genesis", chain->id()}, {"height", number(head)}, {"engine", "comet"}});
  std::printf("listening on %s:%u\n", http.address.c_str(), static_cast<unsigned>(node->port()));
  std::fflush(stdout);
  report_progress(progress_fd, number(head));

  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  int signal_number = 0;
  sigwait(&ends, &signal_number);
  log_info("node.stopping", {{"signal", signal_number}, {"height", number(chain->store().head())}});
  return {};
}

}  // namespace

Result<> run(const NodeConfig& config, const attest::Genesis& genesis, const std::vector<std::string>& arguments, int progress_fd,
             const Between& between) {
  TRY_LET(http, config.http());
  if (progress_fd >= 0) return be_the_application(config, http, genesis, progress_fd, between);

  TRY_LET(validator, load_key(config.producer_key));
  TRY_LET(node, key_at(config.p2p_key));
  HomeConfig home{home_of(config), fs::absolute(config.producer_key).string() + ".signed", config.p2p_listen, config.peers, {}, {}, {}};
  const MempoolLimits mempool = mempool_of(config);
  home.mempool_transactions = static_cast<uint32_t>(mempool.count + mempool.moves_count);
  TRY(prepare_state_sync(config, genesis, home));
  TRY(write_home(home, genesis, validator, node));
  const fs::path engine = config.cometbft.empty() ? beside_this_program("cometbft") : config.cometbft;
  SupervisorConfig supervised;
  supervised.application = arguments;
  supervised.application[0] = fs::read_symlink("/proc/self/exe").string();
  supervised.engine = {engine.string(), "start", "--home", home.home.string()};
  supervised.home = home.home;
  log_info("node.supervises", {{"home", home.home.string()}, {"peer_id", peer_id(node.public_key())}});
  return supervise(supervised);
}

}  // namespace cairn::ledger::comet
