// A worker process, from outside: one job's libtorch and kernels behind a socket.
//
// Every call blocks until the worker has answered. Errors: what the worker refused with; unreachable when it died (the text
// says by which signal); timed_out. After unreachable or timed_out the process is gone: start another, state lies in the store.
// One thread at a time, but stop() may come from any.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>

#include "runtime/worker_protocol.h"

namespace cairn::runtime {

struct WorkerLimits {
  uint64_t memory_bytes = 0;  // of data the process may allocate beside the libraries' own; 0: none
  uint32_t seconds = 0;       // of one request; 0: none
};

class WorkerClient {
 public:
  using OnProgress = std::function<void(const Progress&)>;
  using OnCheckpoint = std::function<void(const CheckpointMade&)>;

  // Starts `program` (a path) with the socket as descriptor 3; or, when the path is an AF_UNIX socket, connects to it: a service
  // manager starts the worker then, and `arguments` and the memory limit are its business. Errors: not_found, io, unreachable.
  static Result<std::unique_ptr<WorkerClient>> start(const std::filesystem::path& program, const WorkerLimits& limits = {},
                                                     const std::vector<std::string>& arguments = {});
  ~WorkerClient();  // ends the process
  WorkerClient(const WorkerClient&) = delete;
  WorkerClient& operator=(const WorkerClient&) = delete;

  Result<Inspection> inspect(const std::string& program);
  Result<Traced> trace(const AskTrace& ask);
  Result<StateReached> initial(const Work& work);
  Result<StateReached> run(const AskRun& ask, const OnProgress& progress = {}, const OnCheckpoint& checkpoint = {});
  Result<attest::Knowledge> check(const AskCheck& ask);
  Result<attest::Move> move(const AskMove& ask);
  Result<Judged> judge(const AskJudge& ask);

  int pid() const { return pid_; }  // 0: a service manager's
  void stop();  // SIGKILL; a blocked call returns unreachable

 private:
  static Result<std::unique_ptr<WorkerClient>> connect(const std::filesystem::path& socket, const WorkerLimits& limits);
  WorkerClient(int fd, int pid, WorkerLimits limits) : fd_(fd), pid_(pid), limits_(limits) {}
  template <class T>
  Result<T> ask(const Ask& ask, const OnProgress& progress = {}, const OnCheckpoint& checkpoint = {});
  Error gone();
  int fd_;
  int pid_;
  WorkerLimits limits_;
  std::atomic<bool> ended_{false};
};

}  // namespace cairn::runtime
