#include "ledger/comet/supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "base/clock.h"
#include "base/log.h"
#include "ledger/comet/diagnosis.h"
#include "ledger/comet/home.h"

namespace cairn::ledger::comet {
namespace {

constexpr int kProgressFd = 3;
constexpr uint64_t kTickMs = 100;
constexpr uint64_t kEndMs = 10'000;           // from SIGTERM to SIGKILL
constexpr uint64_t kEngineEndMs = 2'000;      // CometBFT may wait for good once its application has gone
constexpr uint64_t kReadyMs = 60'000;         // for the application to open its state
constexpr uint64_t kPauseMs = 100, kPauseMaxMs = 5'000;  // before a start; longer from one life to the next that saw no block
constexpr off_t kLogMaxBytes = 64 << 20;

struct Child {
  pid_t pid = 0;
  bool over = false;
  int status = 0;
};

// Runs before exec, between fork and it: only what is allowed there.
[[noreturn]] void become(char* const* argv, int progress, int output, pid_t parent) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  if (progress >= 0 && progress != kProgressFd) dup2(progress, kProgressFd);
  if (progress == kProgressFd) fcntl(kProgressFd, F_SETFD, 0);
  if (output >= 0) {
    dup2(output, 1);
    dup2(output, 2);
  }
  execvp(argv[0], argv);
  _exit(127);
}

Result<Child> start(const std::vector<std::string>& words, int progress, int output) {
  std::vector<char*> argv;
  for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return Error{Code::io, words[0] + " cannot be started: " + std::strerror(errno), "see how many processes may run"};
  if (pid == 0) become(argv.data(), progress, output, parent);
  return Child{pid, false, 0};
}

void look(Child& child) {
  if (child.pid > 0 && !child.over && ::waitpid(child.pid, &child.status, WNOHANG) == child.pid) child.over = true;
}

std::string how(const Child& child) {
  if (WIFSIGNALED(child.status)) return "signal " + std::to_string(WTERMSIG(child.status));
  return "status " + std::to_string(WEXITSTATUS(child.status));
}

class Supervisor {
 public:
  explicit Supervisor(const SupervisorConfig& config) : config_(config) {
    sigemptyset(&signals_);
    for (const int one : {SIGTERM, SIGINT, SIGCHLD}) sigaddset(&signals_, one);
    sigprocmask(SIG_BLOCK, &signals_, nullptr);
  }

  Result<> run() {
    uint64_t pause_ms = kPauseMs;
    int refusals = 0;  // of the application, before it was ever ready
    while (!ending_) {
      const uint64_t born_ns = clock_.steady_ns();
      TRY(live_once());
      if (ending_) break;
      const uint64_t lived_ms = (clock_.steady_ns() - born_ns) / 1'000'000;
      log_warning("supervisor.restart", {{"application", application_.over ? how(application_) : std::string("ended by us")},
                                         {"engine", engine_.pid == 0 ? std::string("not started") : engine_.over ? how(engine_) : std::string("ended by us")},
                                         {"lived_ms", lived_ms},
                                         {"height", height_}});
      refusals = ready_ ? 0 : refusals + 1;
      if (refusals >= 2 && WIFEXITED(application_.status) && WEXITSTATUS(application_.status) != 0)
        return Error{Code::io, "the application does not start: it ended with " + how(application_), "read what it said above"};
      pause_ms = moved_ ? kPauseMs : std::min(2 * pause_ms, kPauseMaxMs);
      wait(pause_ms, [] { return false; });
    }
    return {};
  }

 private:
  // Both from start to end: returns when neither runs.
  Result<> live_once() {
    ready_ = moved_ = false;
    engine_ = {};
    int pipe_ends[2];
    if (::pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) != 0) return Error{Code::io, std::string("no pipe: ") + std::strerror(errno), "see how many files may be open"};
    progress_ = pipe_ends[0];
    auto words = config_.application;
    words.insert(words.end(), {"--progress-fd", std::to_string(kProgressFd)});
    auto application = start(words, pipe_ends[1], -1);
    ::close(pipe_ends[1]);
    if (!application) return application.error();
    application_ = *application;
    const auto broken = [&] { return application_.over || engine_.over; };
    wait(kReadyMs, [&] { return broken() || ready_; });
    if (ready_ && !broken() && !ending_) {
      std::error_code ignored;
      std::filesystem::remove(rpc_socket(config_.home), ignored);  // of one that was killed: CometBFT would not take it over
      const int log = open_log();
      auto engine = start(config_.engine, -1, log);
      ::close(log);
      if (!engine) return engine.error();
      engine_ = *engine;
      moved_ns_ = clock_.steady_ns();
      while (!broken() && !ending_) {
        wait(kTickMs, broken);
        watch_height();
      }
    }
    end(engine_, kEngineEndMs);
    end(application_, kEndMs);
    ::close(progress_);
    return {};
  }

  int open_log() const {
    const std::filesystem::path path = config_.home / "comet.log";
    std::error_code ignored;
    if (std::filesystem::exists(path, ignored) && std::filesystem::file_size(path, ignored) > kLogMaxBytes)
      std::filesystem::rename(path, config_.home / "comet.log.old", ignored);
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) throw Fault({Code::io, path.string() + " cannot be written: " + std::strerror(errno), "check the folder"});
    return fd;
  }

  void end(Child& child, uint64_t time_ms) {
    if (child.pid == 0 || child.over) return;
    ::kill(child.pid, SIGTERM);
    for (uint64_t waited = 0; waited < time_ms && !child.over; waited += 10) {
      ::usleep(10'000);
      look(child);
    }
    if (child.over) return;
    ::kill(child.pid, SIGKILL);
    ::waitpid(child.pid, &child.status, 0);
    child.over = true;
  }

  template <class Done>
  void wait(uint64_t time_ms, Done&& done) {
    const uint64_t until_ns = clock_.steady_ns() + time_ms * 1'000'000;
    for (;;) {
      look(application_);
      look(engine_);
      read_progress();
      const uint64_t now = clock_.steady_ns();
      if (done() || ending_ || now >= until_ns) return;
      const uint64_t left_ns = std::min(until_ns - now, kTickMs * 1'000'000);
      const timespec left{0, static_cast<long>(left_ns)};
      const int got = ::sigtimedwait(&signals_, nullptr, &left);
      if (got == SIGTERM || got == SIGINT) ending_ = true;
    }
  }

  void read_progress() {
    uint64_t heights[64];
    ssize_t n = 0;
    while (progress_ >= 0 && (n = ::read(progress_, heights, sizeof heights)) > 0) {
      const uint64_t height = heights[static_cast<size_t>(n) / sizeof(uint64_t) - 1];
      if (height != height_) moved_ns_ = clock_.steady_ns();
      moved_ = moved_ || (ready_ && height != height_);
      ready_ = true;
      height_ = height;
      if (std::exchange(still_, false)) log_info("supervisor.moves", {{"height", height_}});
    }
  }

  void watch_height() {
    const uint64_t still_ms = (clock_.steady_ns() - moved_ns_) / 1'000'000;
    if (still_ms < config_.stall_ms || std::exchange(still_, true)) return;
    const Error why = diagnose(config_.home, still_ms);
    log_error("supervisor.stalled", {{"height", height_}, {"why", why.text}, {"next", why.next}});
  }

  const SupervisorConfig& config_;
  const SystemClock clock_;
  sigset_t signals_{};
  Child application_, engine_;
  int progress_ = -1;
  uint64_t height_ = 0, moved_ns_ = 0;
  bool ready_ = false, moved_ = false;  // in this life
  bool still_ = false, ending_ = false;
};

}  // namespace

void report_progress(int fd, uint64_t height) {
  if (fd < 0) return;
  // A supervisor that does not read for a while misses heights, not the last one for long.
  static_cast<void>(!::write(fd, &height, sizeof height));
}

Result<> supervise(const SupervisorConfig& config) { return Supervisor(config).run(); }

}  // namespace cairn::ledger::comet
