// cairnd of a CometBFT chain whose application crashes or lies where it is told to: what no configuration may do.
//
//   cairn-comet-trial --config NODE.yaml [--crash PLACE HEIGHT | --wrong HEIGHT | --propose-rubbish]
//
// PLACE is finalize_before, finalize_after, commit_before or commit_after; it ends there once, as a power cut would. --wrong: from
// that height on it comes to another result than everybody. --propose-rubbish: its proposals hold what nobody accepts.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "base/config.h"
#include "ledger/comet/run.h"
#include "ledger/genesis_file.h"
#include "tendermint/abci/types.pb.h"

namespace cairn::ledger::comet {
namespace {

struct Wish {
  std::string config, crash;
  uint64_t height = 0, wrong = 0;
  bool rubbish = false;
  int progress_fd = -1;
};

Wish understood(int argc, char** argv) {
  Wish out;
  for (int i = 1; i < argc; i++) {
    const std::string word = argv[i];
    const auto next = [&] { return std::string(i + 1 < argc ? argv[++i] : ""); };
    if (word == "--config") out.config = next();
    else if (word == "--crash") out.crash = next(), out.height = std::stoull(next());
    else if (word == "--wrong") out.wrong = std::stoull(next());
    else if (word == "--propose-rubbish") out.rubbish = true;
    else if (word == "--progress-fd") out.progress_fd = std::stoi(next());
  }
  return out;
}

Result<> trial(const Wish& wish, const std::vector<std::string>& arguments) {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  sigprocmask(SIG_BLOCK, &ends, nullptr);
  signal(SIGPIPE, SIG_IGN);
  TRY_LET(config, read_config<NodeConfig>(wish.config));
  TRY_LET(genesis, load_genesis(config.genesis));
  const std::string once = config.folder.string() + ".crashed";
  const auto crash_at = [&](const char* place, uint64_t height) {
    if (wish.crash != place || wish.height != height) return;
    if (::open(once.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600) >= 0) ::kill(::getpid(), SIGKILL);
  };
  uint64_t height = 0;  // of the last FinalizeBlock
  return run(config, genesis, arguments, wish.progress_fd, [&](const auto& request, auto& response, const auto& handle) {
    const bool finalizes = request.has_finalize_block();
    if (finalizes) height = static_cast<uint64_t>(request.finalize_block().height());
    if (finalizes) crash_at("finalize_before", height);
    if (request.has_commit()) crash_at("commit_before", height);
    handle();
    if (finalizes) crash_at("finalize_after", height);
    if (request.has_commit()) crash_at("commit_after", height);
    if (finalizes && wish.wrong != 0 && height >= wish.wrong) response.mutable_finalize_block()->mutable_app_hash()->front() ^= 1;
    if (wish.rubbish && request.has_prepare_proposal()) response.mutable_prepare_proposal()->add_txs("rubbish");
  });
}

}  // namespace
}  // namespace cairn::ledger::comet

int main(int argc, char** argv) {
  try {
    const auto done = cairn::ledger::comet::trial(cairn::ledger::comet::understood(argc, argv), {argv, argv + argc});
    if (!done) std::fprintf(stderr, "%s\n", done.error().message().c_str());
    return done ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
