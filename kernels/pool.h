// A pool of threads for the host bodies of operators.
//
// The caller cuts the work into parts by its size alone; who takes which part depends on timing, what a part computes does not.
// A thread that comes late finds nothing left, so a call is never slower than its parts one after the other.
//
// Every thread that runs a part first checks that nobody has changed its rounding mode or switched denormals off, and
// refuses with Fault `cpu_state`: a silent change would be a wrong bit, and a wrong bit is a slash.
#pragma once

#include <memory>

namespace cairn::kernels {

// Throws Fault `cpu_state` unless this thread rounds to nearest, keeps denormals and masks exceptions.
void require_cpu_state();

class Pool {
 public:
  static constexpr int kMaxParts = 1023;

  explicit Pool(int threads);  // this many in all, with the caller; CHECK >= 1
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int threads() const;

  // task(data, part) for part = 0 .. parts-1, parts <= kMaxParts, on all threads, the caller among them, which begin with the same
  // parts every time and then take what is left; returns when all are done. A Fault of any part is thrown here, that of the lowest
  // part first. One call at a time; not from within a task.
  void run(int parts, void (*task)(void* data, int part), void* data);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cairn::kernels
