#include "runtime/worker_client.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

namespace cairn::runtime {
namespace {

constexpr int kWorkerFd = 3;
constexpr uint64_t kLibraryBytes = 2ull << 30;  // what libtorch and its threads reserve for themselves

}  // namespace

Result<std::unique_ptr<WorkerClient>> WorkerClient::start(const std::filesystem::path& program, const WorkerLimits& limits,
                                                          const std::vector<std::string>& arguments) {
  std::error_code ignored;
  if (std::filesystem::is_socket(program, ignored)) return connect(program, limits);
  if (program.has_parent_path() && ::access(program.c_str(), X_OK) != 0)
    return Error{Code::not_found, "no worker program at " + program.string(), "name it in the configuration (`worker:`)"};
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
    return Error{Code::io, std::string("no socket for the worker: ") + std::strerror(errno), "check open files (ulimit -n)"};
  std::vector<std::string> words{program.string()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const int pid = ::fork();
  if (pid == 0) {  // only async-signal-safe calls from here to exec
    if (pair[1] == kWorkerFd) {
      ::fcntl(kWorkerFd, F_SETFD, 0);
    } else if (::dup2(pair[1], kWorkerFd) != kWorkerFd) {
      ::_exit(127);
    }
    if (limits.memory_bytes != 0) {
      const rlimit limit{limits.memory_bytes + kLibraryBytes, limits.memory_bytes + kLibraryBytes};
      ::setrlimit(RLIMIT_DATA, &limit);
    }
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  ::close(pair[1]);
  if (pid < 0) {
    ::close(pair[0]);
    return Error{Code::io, std::string("cannot start the worker: ") + std::strerror(errno), "check memory and process limits"};
  }
  return std::unique_ptr<WorkerClient>(new WorkerClient(pair[0], pid, limits));
}

// A worker of the service manager: it starts one process for each connection, with limits of its own.
Result<std::unique_ptr<WorkerClient>> WorkerClient::connect(const std::filesystem::path& socket, const WorkerLimits& limits) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = socket.string();
  if (path.size() >= sizeof address.sun_path)
    return Error{Code::invalid, "the worker's socket has too long a path: " + path, "put it in /run"};
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const std::string why = std::strerror(errno);
    if (fd >= 0) ::close(fd);
    return Error{Code::unreachable, "no worker answers at " + path + ": " + why, "systemctl start cairn-worker.socket"};
  }
  return std::unique_ptr<WorkerClient>(new WorkerClient(fd, 0, limits));
}

void WorkerClient::stop() {
  if (ended_) return;
  if (pid_ != 0) {
    ::kill(pid_, SIGKILL);
  } else {
    ::shutdown(fd_, SHUT_RDWR);  // the worker ends when it next speaks, or the service manager's limit ends it
  }
}

WorkerClient::~WorkerClient() {
  ::close(fd_);
  if (!ended_ && pid_ != 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
}

// Waits for the process that has hung up, and says how it ended.
Error WorkerClient::gone() {
  if (pid_ == 0) {
    ended_ = true;
    ::shutdown(fd_, SHUT_RDWR);
    return {Code::unreachable, "the worker's service closed the connection", "journalctl -u 'cairn-worker@*' says why"};
  }
  int status = 0;
  if (!ended_) {
    ::kill(pid_, SIGKILL);  // it closed its socket: whatever it still does is of no use
    ::waitpid(pid_, &status, 0);
    ended_ = true;
  }
  std::string how = "the worker ended";
  if (WIFSIGNALED(status)) how += std::string(" by signal ") + std::to_string(WTERMSIG(status));
  if (WIFEXITED(status)) how += " with status " + std::to_string(WEXITSTATUS(status));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127) how += ": the program could not be started";
  return {Code::unreachable, how, "start it again: what it had reached lies in its checkpoints"};
}

template <class T>
Result<T> WorkerClient::ask(const Ask& ask, const OnProgress& progress, const OnCheckpoint& checkpoint) {
  if (ended_ || !send_frame(fd_, encode(ask))) return gone();
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(limits_.seconds);
  while (true) {
    if (limits_.seconds != 0) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
      pollfd waiting{fd_, POLLIN, 0};
      if (left <= 0 || ::poll(&waiting, 1, static_cast<int>(std::min<int64_t>(left, INT32_MAX))) == 0) {
        static_cast<void>(gone());
        return Error{Code::timed_out, "the worker did not answer within " + std::to_string(limits_.seconds) + " s",
                     "raise the limit, or run it on a faster machine"};
      }
    }
    auto frame = receive_frame(fd_);
    if (!frame) return gone();
    TRY_LET(answer, decode<Answer>(*frame));
    if (auto* told = std::get_if<Progress>(&answer)) {
      if (progress) progress(*told);
    } else if (auto* made = std::get_if<CheckpointMade>(&answer)) {
      if (checkpoint) checkpoint(*made);
    } else if (auto* failed = std::get_if<Failed>(&answer)) {
      return Error{failed->code, failed->text, failed->next};
    } else if (auto* expected = std::get_if<T>(&answer)) {
      return std::move(*expected);
    } else {
      return Error{Code::malformed, "the worker answered something else than was asked", "use programs of one version"};
    }
  }
}

Result<Inspection> WorkerClient::inspect(const std::string& program) {
  TRY_LET(answer, ask<Inspected>(AskInspect{program}));
  return answer.inspection;
}
Result<Traced> WorkerClient::trace(const AskTrace& request) { return ask<Traced>(request); }
Result<StateReached> WorkerClient::initial(const Work& work) { return ask<StateReached>(AskInitial{work}); }
Result<StateReached> WorkerClient::run(const AskRun& request, const OnProgress& progress, const OnCheckpoint& checkpoint) {
  return ask<StateReached>(request, progress, checkpoint);
}
Result<attest::Knowledge> WorkerClient::check(const AskCheck& request) {
  TRY_LET(answer, ask<Checked>(request));
  return answer.knowledge;
}
Result<attest::Move> WorkerClient::move(const AskMove& request) {
  TRY_LET(answer, ask<Moved>(request));
  return answer.move;
}
Result<Judged> WorkerClient::judge(const AskJudge& request) { return ask<Judged>(request); }

}  // namespace cairn::runtime
