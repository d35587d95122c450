#include "runtime/worker_client.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>

#include "base/file.h"
#include "runtime/safetensors.h"

namespace cairn::runtime {
namespace {

constexpr uint64_t kLibraryBytes = uint64_t{1} << 30;
constexpr int kStartTimeoutMs = 120'000;
constexpr int kSocket = 3;  // where the worker finds its socket

// In the child between fork and exec: calls that are safe there, and nothing that allocates.
[[noreturn]] void become(const char* program, char* const* arguments, int fd, const WorkerLimits& limits) {
  if (limits.memory_bytes != 0) {
    const rlimit memory{limits.memory_bytes + kLibraryBytes, limits.memory_bytes + kLibraryBytes};
    setrlimit(RLIMIT_DATA, &memory);
  }
  if (limits.cpu_seconds != 0) {
    const rlimit cpu{limits.cpu_seconds, limits.cpu_seconds};
    setrlimit(RLIMIT_CPU, &cpu);
  }
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  if (fd == kSocket) fcntl(fd, F_SETFD, 0);
  else dup2(fd, kSocket);
  close_range(kSocket + 1, ~0u, 0);
  execv(program, arguments);
  _exit(126);
}

}  // namespace

WorkerClient::WorkerClient(int process_id, int fd) : process_id_(process_id), fd_(fd), channel_(fd) {}

Result<std::unique_ptr<WorkerClient>> WorkerClient::start(const std::filesystem::path& program, const WorkerLimits& limits,
                                                          const std::vector<std::string>& arguments) {
  if (access(program.c_str(), X_OK) != 0)
    return Error{Code::not_found, "there is no worker at " + program.string(), "install cairn-worker beside this program"};
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return Error{Code::io, "no socket for the worker", ""};
  std::vector<std::string> words{program.string()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) become(program.c_str(), pointers.data(), ends[1], limits);
  close(ends[1]);
  if (child < 0) {
    close(ends[0]);
    return Error{Code::io, "no process for the worker", ""};
  }
  std::unique_ptr<WorkerClient> client(new WorkerClient(child, ends[0]));
  auto ready = client->channel_.receive<Reply>(kStartTimeoutMs);  // an empty Progress, or what its self-test found
  if (!ready) return ready.error().code == Code::unreachable ? client->died() : ready.error();
  if (const auto* failed = std::get_if<Failed>(&*ready)) return Error{failed->code, failed->text, failed->next};
  return client;
}

WorkerClient::~WorkerClient() {
  kill();
  close(fd_);
}

void WorkerClient::kill() {
  if (process_id_ <= 0) return;
  ::kill(process_id_, SIGKILL);
  while (waitpid(process_id_, nullptr, 0) < 0 && errno == EINTR) {
  }
  process_id_ = 0;
}

Error WorkerClient::died() {
  if (process_id_ <= 0) return {Code::unreachable, "the worker was stopped", "start another"};
  int status = 0;
  while (waitpid(process_id_, &status, 0) < 0 && errno == EINTR) {
  }
  process_id_ = 0;
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU) return {Code::timed_out, "the worker used up its processor time", "raise its limit"};
  if (WIFSIGNALED(status))
    return {Code::unreachable, "the worker was ended by signal " + std::to_string(WTERMSIG(status)), "start another: it goes on from the last checkpoint"};
  return {Code::unreachable, "the worker ended with status " + std::to_string(WEXITSTATUS(status)), "see its log"};
}

template <class Answer>
Result<Answer> WorkerClient::ask(const Request& request, const OnProgress& on_progress, uint64_t timeout_ms) {
  using Clock = std::chrono::steady_clock;
  if (process_id_ <= 0 || !channel_.send(request)) return died();
  const auto deadline = Clock::now() + std::chrono::milliseconds(timeout_ms);
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    auto reply = channel_.receive<Reply>(timeout_ms == 0 ? -1 : static_cast<int>(std::clamp<int64_t>(left, 0, INT32_MAX)));
    if (!reply) {
      if (reply.error().code == Code::unreachable) return died();
      kill();
      return reply.error();
    }
    if (auto* answer = std::get_if<Answer>(&*reply)) return std::move(*answer);
    if (const auto* failed = std::get_if<Failed>(&*reply)) return Error{failed->code, failed->text, failed->next};
    bool go_on = true;
    if (const auto* progress = std::get_if<Progress>(&*reply)) go_on = !on_progress || on_progress(*progress);
    else if (const auto* checkpointed = std::get_if<Checkpointed>(&*reply)) go_on = !on_progress || on_progress(*checkpointed);
    else {
      kill();
      return Error{Code::malformed, "the worker answered another question", "this is a bug: please report it"};
    }
    if (!go_on) {
      kill();
      return Error{Code::cancelled, "the run was stopped", "run it again: it goes on from the last checkpoint"};
    }
  }
}

Result<Inspection> WorkerClient::inspect(const std::filesystem::path& program, uint64_t timeout_ms) {
  TRY_LET(answer, ask<Inspected>(InspectProgram{program.string()}, {}, timeout_ms));
  return answer.inspection;
}
Result<Traced> WorkerClient::trace(const TraceProgram& request, uint64_t timeout_ms) { return ask<Traced>(request, {}, timeout_ms); }
Result<Ran> WorkerClient::run(const RunPlan& request, const OnProgress& on_progress, uint64_t timeout_ms) {
  return ask<Ran>(request, on_progress, timeout_ms);
}
Result<Checked> WorkerClient::check(const CheckSegment& request, uint64_t timeout_ms) { return ask<Checked>(request, {}, timeout_ms); }
Result<attest::Move> WorkerClient::play(const PlayDispute& request, uint64_t timeout_ms) {
  TRY_LET(answer, ask<Played>(request, {}, timeout_ms));
  return decode<attest::Move>(answer.move);
}

std::filesystem::path default_worker() {
  if (const char* folder = std::getenv("CAIRN_BIN")) return std::filesystem::path(folder) / "cairn-worker";
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return (error ? std::filesystem::path("/usr/bin") : self.parent_path()) / "cairn-worker";
}

Result<std::vector<TensorBytes>> tensors_in(const std::filesystem::path& file) {
  TRY_LET(bytes, read_file(file, size_t{1} << 36));
  TRY_LET(parsed, parse_tensors(bytes));
  std::vector<TensorBytes> out;
  for (const NamedTensor& tensor : parsed.tensors)
    out.push_back({tensor.name, file.string(), static_cast<uint64_t>(tensor.bytes.data() - bytes.data()), tensor.bytes.size()});
  return out;
}

}  // namespace cairn::runtime
