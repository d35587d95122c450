#include "kernels/pool.h"

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <exception>
#include <thread>
#include <vector>

#include "base/result.h"

#if !defined(__aarch64__)
#include <immintrin.h>
#endif

namespace cairn::kernels {

namespace {
// Rounding to nearest even, denormals kept, nothing trapped; status bits may be anything.
#if defined(__aarch64__)
bool is_cpu_state_sound() { return (__builtin_aarch64_get_fpcr() & 0x07C89F07) == 0; }
void pause() { asm volatile("yield"); }
#else
bool is_cpu_state_sound() { return (_mm_getcsr() & 0xFFC0) == 0x1F80; }
void pause() { _mm_pause(); }
#endif
}  // namespace

void require_cpu_state() {
  if (!is_cpu_state_sound())
    throw Fault({Code::cpu_state, "this thread's rounding mode or denormal handling was changed",
                 "find the library that calls fesetround or sets flush-to-zero in this process"});
}

namespace {

// What is left to take, in one word: a thread that takes a part of it holds the call open, so task and data may be read then.
struct Ticket {
  uint32_t word;
  static Ticket of(uint32_t turn, int parts, int next) {
    return {turn << 20 | static_cast<uint32_t>(parts) << 10 | static_cast<uint32_t>(next)};
  }
  uint32_t turn() const { return word >> 20; }
  int parts() const { return static_cast<int>(word >> 10 & 1023); }
  int next() const { return static_cast<int>(word & 1023); }
};

// Polls for some microseconds before it sleeps: calls follow each other closely.
template <class Number, class Sleep>
void wait_while(const std::atomic<Number>& number, Number value, Sleep sleep) {
  for (int i = 0; i < 2000; i++) {
    if (number.load(std::memory_order_acquire) != value) return;
    pause();
  }
  sleep(true);
  while (number.load(std::memory_order_acquire) == value) number.wait(value, std::memory_order_acquire);
  sleep(false);
}

// A thread that wakes while every other CPU is busy is put on the CPU of the one that woke it, and waits there until that one
// waits for it: so it is kept off that CPU. `cpus` are those that this process may use.
struct Sleeper {
  std::thread thread;
  std::atomic<bool> asleep{false};
  int kept_off = -1;

  void keep_off(int cpu, const cpu_set_t& cpus) {
    if (cpu == kept_off || cpu < 0) return;
    cpu_set_t others = cpus;
    CPU_CLR(static_cast<size_t>(cpu), &others);
    if (CPU_COUNT(&others) > 0 && pthread_setaffinity_np(thread.native_handle(), sizeof others, &others) == 0) kept_off = cpu;
  }
};

}  // namespace

struct Pool::State {
  explicit State(int threads) : sleepers(static_cast<size_t>(threads - 1)) {
    CPU_ZERO(&cpus);
    sched_getaffinity(0, sizeof cpus, &cpus);
  }

  cpu_set_t cpus;
  std::vector<Sleeper> sleepers;
  std::atomic<uint32_t> ticket{0};
  std::atomic<int> left{0};  // parts that are not done
  std::atomic<bool> stop{false};
  void (*task)(void*, int) = nullptr;
  void* data = nullptr;
  std::vector<std::exception_ptr> failed = std::vector<std::exception_ptr>(kMaxParts);  // by part

  void run_part(int part) noexcept {
    try {
      require_cpu_state();
      task(data, part);
    } catch (...) {
      failed[static_cast<size_t>(part)] = std::current_exception();
    }
    if (left.fetch_sub(1, std::memory_order_acq_rel) == 1) left.notify_one();
  }

  // Until nothing is left to take; gives the ticket that said so.
  uint32_t take_parts() {
    Ticket seen{ticket.load(std::memory_order_acquire)};
    while (seen.next() < seen.parts())
      if (ticket.compare_exchange_weak(seen.word, seen.word + 1, std::memory_order_acq_rel, std::memory_order_acquire)) {
        run_part(seen.next());
        seen.word = ticket.load(std::memory_order_acquire);
      }
    return seen.word;
  }

  void work(Sleeper& self) {
    while (!stop.load(std::memory_order_acquire)) {
      const uint32_t seen = take_parts();
      wait_while(ticket, seen, [&](bool asleep) { self.asleep.store(asleep, std::memory_order_relaxed); });
    }
  }
};

Pool::Pool(int threads) {
  CHECK(threads >= 1);
  state_ = std::make_unique<State>(threads);
  for (auto& sleeper : state_->sleepers)
    sleeper.thread = std::thread([state = state_.get(), &sleeper] { state->work(sleeper); });
}

Pool::~Pool() {
  State& s = *state_;
  s.stop.store(true, std::memory_order_release);
  s.ticket.store(Ticket::of(Ticket{s.ticket.load()}.turn() + 1, 0, 0).word, std::memory_order_release);
  s.ticket.notify_all();
  for (auto& sleeper : s.sleepers) sleeper.thread.join();
}

int Pool::threads() const { return static_cast<int>(state_->sleepers.size()) + 1; }

void Pool::run(int parts, void (*task)(void*, int), void* data) {
  CHECK(parts >= 1 && parts <= kMaxParts);
  State& s = *state_;
  s.task = task;
  s.data = data;
  s.left.store(parts, std::memory_order_relaxed);
  if (parts > 1)
    for (auto& sleeper : s.sleepers)
      if (sleeper.asleep.load(std::memory_order_relaxed)) sleeper.keep_off(sched_getcpu(), s.cpus);
  s.ticket.store(Ticket::of(Ticket{s.ticket.load(std::memory_order_relaxed)}.turn() + 1, parts, 0).word, std::memory_order_release);
  if (parts > 1) s.ticket.notify_all();
  s.take_parts();
  for (int left = s.left.load(std::memory_order_acquire); left != 0; left = s.left.load(std::memory_order_acquire))
    wait_while(s.left, left, [](bool) {});
  std::exception_ptr first;
  for (int part = 0; part < parts; part++) {
    auto& failed = s.failed[static_cast<size_t>(part)];
    if (failed && !first) first = failed;
    failed = nullptr;
  }
  if (first) std::rethrow_exception(first);
}

}  // namespace cairn::kernels
