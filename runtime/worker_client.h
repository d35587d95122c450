// A worker from outside: starts the process, asks, listens, kills. No libtorch here.
//
// The worker is a separate process of no keys and no network, one a job: a poisoned driver or a hostile program ends it and
// nothing else. It dies with the process that started it.
#pragma once

#include <functional>
#include <memory>

#include "runtime/messages.h"

namespace cairn::runtime {

struct WorkerLimits {
  uint64_t memory_bytes = 0;     // of private memory (RLIMIT_DATA), beside 1 GiB for libraries; 0: none
  uint32_t cpu_seconds = 0;      // RLIMIT_CPU; 0: none
};

class WorkerClient {
 public:
  // Starts `program` (a cairn-worker) and waits until its operators have passed their self-test.
  // `arguments` are for workers that take some. Errors: not_found, io, known_answer, unreachable.
  static Result<std::unique_ptr<WorkerClient>> start(const std::filesystem::path& program, const WorkerLimits& limits = {},
                                                     const std::vector<std::string>& arguments = {});
  ~WorkerClient();  // kills it
  WorkerClient(const WorkerClient&) = delete;
  WorkerClient& operator=(const WorkerClient&) = delete;

  // What happens while a request runs; return false to kill the worker (the request then ends with `cancelled`).
  using OnProgress = std::function<bool(const std::variant<Progress, Checkpointed>&)>;

  // Each waits for its answer, `timeout_ms` at most (0: for ever), and then kills the worker (`timed_out`).
  // Errors: those the worker answers; unreachable when it died.
  Result<Inspection> inspect(const std::filesystem::path& program, uint64_t timeout_ms = 0);
  Result<Traced> trace(const TraceProgram& request, uint64_t timeout_ms = 0);
  Result<Ran> run(const RunPlan& request, const OnProgress& on_progress = {}, uint64_t timeout_ms = 0);
  Result<Checked> check(const CheckSegment& request, uint64_t timeout_ms = 0);
  Result<attest::Move> play(const PlayDispute& request, uint64_t timeout_ms = 0);

  int process_id() const { return process_id_; }
  bool alive() const { return process_id_ > 0; }
  void kill();  // at once; state on disk is whole

 private:
  WorkerClient(int process_id, int fd);
  template <class Answer>
  Result<Answer> ask(const Request& request, const OnProgress& on_progress, uint64_t timeout_ms);
  Error died();
  int process_id_;
  int fd_;
  Channel channel_;
};

// cairn-worker beside this program, or in the folder that CAIRN_BIN names.
std::filesystem::path default_worker();

// The tensors of a safetensors file as slices of it. Errors: those of reading it.
Result<std::vector<TensorBytes>> tensors_in(const std::filesystem::path& file);

}  // namespace cairn::runtime
