// cairnd: the node. It keeps the chain of one genesis, makes its blocks, and answers HTTP on loopback.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/key_file.h"
#include "ledger/comet/run.h"
#include "ledger/export.h"
#include "ledger/genesis_file.h"
#include "ledger/node.h"
#include "ledger/node_config.h"
#include "ledger/openapi.h"
#include "ledger/search.h"
#include "ledger/solo.h"

namespace cairn::ledger {
namespace {

// Flags go before the file, the file before the defaults.
struct Flags {
  std::string config, genesis, folder, listen, producer_key, vrf_key, log_level;
  std::vector<std::string> arguments;  // all of them, as they came
  int progress_fd = -1;                // of the supervisor, for its application
};

Result<NodeConfig> configured(const Flags& flags) {
  NodeConfig config;
  if (!flags.config.empty()) {
    TRY_LET(from_file, read_config<NodeConfig>(flags.config));
    config = from_file;
  }
  const auto override = [](const std::string& flag, auto& setting) {
    if (!flag.empty()) setting = flag;
  };
  override(flags.genesis, config.genesis);
  override(flags.folder, config.folder);
  override(flags.listen, config.listen);
  override(flags.producer_key, config.producer_key);
  override(flags.vrf_key, config.vrf_key);
  override(flags.log_level, config.log_level);
  TRY(config.check());
  return config;
}

Result<> run(const Flags& flags) {
  // Blocked before any thread starts, so that they reach sigwait() alone.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a file that may not grow fails its write, and the node halts

  TRY_LET(config, configured(flags));
  TRY_LET(http, config.http());
  TRY_LET(level, config.level());
  set_log_level(level);
  TRY_LET(genesis, load_genesis(config.genesis));
  if (genesis.engine == attest::Engine::comet) return comet::run(config, genesis, flags.arguments, flags.progress_fd);
  TRY_LET(producer, load_key(config.producer_key));
  TRY_LET(vrf, load_key(config.vrf_key));
  TRY_LET(chain, Chain::open(config.folder, genesis));
  Feed feed(chain->store());
  Search search(config.folder / "search", chain->store());
  SoloConfig solo_config;
  solo_config.mark = config.producer_key.string() + ".mark";
  solo_config.verifiers = config.verify_threads;
  solo_config.mempool.count = config.mempool_transactions;
  solo_config.mempool.bytes = size_t{config.mempool_mib} << 20;
  solo_config.on_block = [&](const Block&) {
    feed.announce();
    search.announce();
  };
  const SystemClock clock;
  TRY_LET(solo, Solo::start(*chain, producer, vrf, clock, solo_config));
  TRY_LET(node, Node::start(http, *chain, *solo, feed, search));
  log_info("node.ready", {{"chain", genesis.name}, {"genesis", chain->id()}, {"height", number(chain->store().head())}});
  std::printf("listening on %s:%u\n", http.address.c_str(), static_cast<unsigned>(node->port()));
  std::fflush(stdout);

  int signal_number = 0;
  sigwait(&ends, &signal_number);
  log_info("node.stopping", {{"signal", signal_number}, {"height", number(chain->store().head())}});
  return {};
}

struct GenesisFlags {
  std::string name = "devnet", producer_key, vrf_key, faucet, faucet_amount = "1000000000 CRN", out;
};

Result<> make_genesis(const GenesisFlags& flags) {
  const auto amount = parse_amount(flags.faucet_amount);
  if (!amount) return Error{Code::usage, "not an amount: " + flags.faucet_amount, "write it as \"1000 CRN\" or \"7 pebbles\""};
  TRY_LET(producer, key_at(flags.producer_key));
  TRY_LET(vrf, key_at(flags.vrf_key));
  TRY_LET(faucet, key_at(flags.faucet));
  TRY_LET(genesis, make_devnet_genesis(flags.name, producer.public_key(), vrf.public_key(), account_of(faucet.public_key()), *amount,
                                       SystemClock().wall_ms()));
  TRY(save_genesis(flags.out, genesis));
  std::printf("genesis %s\nfaucet %s\n", attest::genesis_hash(genesis).hex().c_str(), genesis.faucet.hex().c_str());
  return {};
}

Result<> export_to(const Flags& flags, const std::string& file) {
  TRY_LET(config, configured(flags));
  TRY_LET(genesis, load_genesis(config.genesis));
  TRY_LET(chain, Chain::open(config.folder, genesis));
  TRY(export_state(*chain, file));
  std::printf("block %llu of chain %s\n", static_cast<unsigned long long>(number(chain->store().head())), genesis.name.c_str());
  return {};
}

Result<> import_from(const Flags& flags, const std::string& file) {
  TRY_LET(config, configured(flags));
  TRY_LET(genesis, load_genesis(config.genesis));
  return import_state(file, genesis, config.folder);
}

int report(const Result<>& result) {
  if (result) return 0;
  std::fprintf(stderr, "%s\n", result.error().message().c_str());
  return exit_status(result.error().code);
}

int main(int argc, char** argv) {
  CLI::App app{"The node of a Cairn chain."};
  Flags flags;
  flags.arguments.assign(argv, argv + argc);
  app.add_option("--progress-fd", flags.progress_fd)->group("");  // of the supervisor alone
  app.add_option("--config", flags.config, "settings, configs/node.yaml shows them all");
  app.add_option("--genesis", flags.genesis, "the chain's genesis file");
  app.add_option("--folder", flags.folder, "blocks and state");
  app.add_option("--listen", flags.listen, "HTTP, as 127.0.0.1:7700; port 0 takes a free one");
  app.add_option("--producer-key", flags.producer_key, "key that signs headers");
  app.add_option("--vrf-key", flags.vrf_key, "key that makes the beacon");
  app.add_option("--log-level", flags.log_level, "debug, info, warning, error");

  GenesisFlags genesis;
  auto* make = app.add_subcommand("genesis", "make a devnet's genesis file, and the keys that are not there yet");
  make->add_option("--name", genesis.name, "of the chain")->capture_default_str();
  make->add_option("--producer-key", genesis.producer_key, "key file; made if missing")->required();
  make->add_option("--vrf-key", genesis.vrf_key, "key file; made if missing")->required();
  make->add_option("--faucet", genesis.faucet, "key file of the account that holds everything; made if missing")->required();
  make->add_option("--faucet-amount", genesis.faucet_amount, "what it holds")->capture_default_str();
  make->add_option("--out", genesis.out, "the genesis file; never overwritten")->required();

  auto* document = app.add_subcommand("openapi", "print the description of the HTTP interface, docs/openapi.json");
  std::string state_file;
  auto* to_file = app.add_subcommand("export", "write the state of a node that is stopped to a file");
  to_file->add_option("--out", state_file, "the file")->required();
  auto* from_file = app.add_subcommand("import", "make a node's folder from such a file: the same chain goes on there");
  from_file->add_option("--in", state_file, "the file")->required();
  app.fallthrough();

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    return app.exit(done);
  } catch (const CLI::ParseError& error) {
    return report(Error{Code::usage, error.what(), "cairnd --help"});
  }
  try {
    if (document->parsed()) return std::fputs(openapi().c_str(), stdout) < 0;
    return report(make->parsed()        ? make_genesis(genesis)
                  : to_file->parsed()   ? export_to(flags, state_file)
                  : from_file->parsed() ? import_from(flags, state_file)
                                        : run(flags));
  } catch (const Fault& fault) {
    return report(fault.error());
  } catch (const std::exception& error) {
    return report(Error{Code::internal, error.what(), "report this with the node's log"});
  }
}

}  // namespace
}  // namespace cairn::ledger

int main(int argc, char** argv) { return cairn::ledger::main(argc, argv); }
