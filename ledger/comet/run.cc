#include "ledger/comet/run.h"

#include <signal.h>
#include <unistd.h>

#include <cstdio>

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

fs::path beside_this_program(const char* name) {
  std::error_code fault;
  const fs::path beside = fs::read_symlink("/proc/self/exe", fault).parent_path() / name;
  return !fault && fs::exists(beside, fault) ? beside : fs::path(name);
}

Result<> be_the_application(const NodeConfig& config, const HttpConfig& http, const attest::Genesis& genesis, int progress_fd) {
  TRY_LET(validator, load_key(config.producer_key));
  TRY_LET(vrf, load_key(config.vrf_key));
  TRY_LET(chain, Chain::open(config.folder, genesis));
  Feed feed(chain->store());
  Search search(config.folder / "search", chain->store());
  const SystemClock clock;
  CometConfig comet_config;
  comet_config.home = home_of(config);
  Comet comet(*chain, clock, comet_config);
  TRY_LET(node, Node::start(http, *chain, comet, feed, search));
  Application application(*chain, {validator.public_key(), vrf, false, [&](const Block& block) {
                                     comet.on_block(block);
                                     feed.announce();
                                     search.announce();
                                     report_progress(progress_fd, number(block.header.header.height));
                                   }});
  TRY_LET(server, AbciServer::start(app_address(comet_config.home),
                                    [&](const auto& request, auto& response) { application.handle(request, response); }));
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

Result<> run(const NodeConfig& config, const attest::Genesis& genesis, const std::vector<std::string>& arguments, int progress_fd) {
  TRY_LET(http, config.http());
  if (progress_fd >= 0) return be_the_application(config, http, genesis, progress_fd);

  TRY_LET(validator, load_key(config.producer_key));
  TRY_LET(node, key_at(config.p2p_key));
  HomeConfig home{home_of(config), config.p2p_listen, config.peers, config.mempool_transactions};
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
