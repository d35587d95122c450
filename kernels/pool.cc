#include "kernels/pool.h"

#include <immintrin.h>

#include <atomic>
#include <exception>
#include <thread>
#include <vector>

#include "base/result.h"

namespace cairn::kernels {

void require_cpu_state() {
  const unsigned mxcsr = _mm_getcsr();
  if ((mxcsr & 0xFFC0) != 0x1F80)
    throw Fault({Code::cpu_state, "this thread's rounding mode or denormal handling was changed",
                 "find the library that calls fesetround or sets flush-to-zero in this process"});
}

// Work is published by `turn`: a worker waits for it to move, runs its part, and counts down `left`.
struct Pool::State {
  std::vector<std::thread> threads;
  std::atomic<uint32_t> turn{0};
  std::atomic<int> left{0};
  bool stop = false;
  int parts = 0;
  void (*task)(void*, int) = nullptr;
  void* data = nullptr;
  std::vector<std::exception_ptr> failed;  // by part

  void run_part(int part) noexcept {
    try {
      require_cpu_state();
      task(data, part);
    } catch (...) {
      failed[static_cast<size_t>(part)] = std::current_exception();
    }
  }

  // Polls for some microseconds before it sleeps: calls follow each other closely.
  template <class Number>
  static void wait_while(const std::atomic<Number>& number, Number value) {
    for (int i = 0; i < 2000; i++) {
      if (number.load(std::memory_order_acquire) != value) return;
      _mm_pause();
    }
    while (number.load(std::memory_order_acquire) == value) number.wait(value, std::memory_order_acquire);
  }

  void work(int part) {
    uint32_t seen = 0;
    while (true) {
      wait_while(turn, seen);
      seen = turn.load(std::memory_order_acquire);
      if (stop) return;
      if (part < parts) run_part(part);
      if (left.fetch_sub(1, std::memory_order_acq_rel) == 1) left.notify_one();
    }
  }
};

Pool::Pool(int threads) : state_(std::make_unique<State>()) {
  CHECK(threads >= 1);
  state_->failed.resize(static_cast<size_t>(threads));
  for (int part = 1; part < threads; part++) state_->threads.emplace_back([this, part] { state_->work(part); });
}

Pool::~Pool() {
  state_->stop = true;
  state_->turn.fetch_add(1, std::memory_order_release);
  state_->turn.notify_all();
  for (auto& thread : state_->threads) thread.join();
}

int Pool::threads() const { return static_cast<int>(state_->threads.size()) + 1; }

void Pool::run(int parts, void (*task)(void*, int), void* data) {
  CHECK(parts >= 1 && parts <= threads());
  State& s = *state_;
  s.task = task;
  s.data = data;
  s.parts = parts;
  if (parts > 1) {
    s.left.store(threads() - 1, std::memory_order_relaxed);
    s.turn.fetch_add(1, std::memory_order_release);
    s.turn.notify_all();
  }
  s.run_part(0);
  if (parts > 1)
    for (int left = s.left.load(std::memory_order_acquire); left != 0; left = s.left.load(std::memory_order_acquire))
      State::wait_while(s.left, left);
  std::exception_ptr first;
  for (auto& failed : s.failed) {
    if (failed && !first) first = failed;
    failed = nullptr;
  }
  if (first) std::rethrow_exception(first);
}

}  // namespace cairn::kernels
