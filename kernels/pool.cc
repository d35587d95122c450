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

// A call in one word: the how-manieth it is, and its parts.
struct Call {
  uint64_t word;
  static Call of(uint64_t turn, int parts) { return {turn << 16 | static_cast<uint64_t>(parts)}; }
  uint64_t turn() const { return word >> 16; }
  int parts() const { return static_cast<int>(word & 0xFFFF); }
};

// Polls before it sleeps: calls follow each other closely, and parts of one end together.
template <class Number, class Sleep>
void wait_while(const std::atomic<Number>& number, Number value, int polls, Sleep sleep) {
  for (int i = 0; i < polls; i++) {
    if (number.load(std::memory_order_acquire) != value) return;
    pause();
  }
  sleep(true);
  while (number.load(std::memory_order_acquire) == value) number.wait(value, std::memory_order_acquire);
  sleep(false);
}

// A thread that wakes while every other CPU is busy is put on the CPU of the one that woke it, and waits there until that one
// waits for it; and a caller who slept until a part was done may wake on the CPU that the part ran on. So threads are kept off the
// caller's CPU: those that sleep, and those last seen there. `cpus` are those that this process may use.
struct Sleeper {
  std::thread thread;
  std::atomic<bool> asleep{false};
  std::atomic<int> last_on{-1};
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
    if (threads > CPU_COUNT(&cpus)) polls = 100;  // whoever polls keeps another of us waiting
  }

  cpu_set_t cpus;
  int polls = 10'000;  // about half a millisecond
  std::vector<Sleeper> sleepers;
  std::atomic<uint64_t> call{0};
  std::atomic<uint32_t> bell{0};  // rung for each call
  std::vector<std::atomic<uint64_t>> taken = std::vector<std::atomic<uint64_t>>(kMaxParts);  // by part: the turn of its last call
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

  void keep_off(int cpu) {
    if (static_cast<int>(sleepers.size()) >= CPU_COUNT(&cpus)) return;  // there is none for each
    for (auto& sleeper : sleepers)
      if (sleeper.asleep.load(std::memory_order_relaxed) || sleeper.last_on.load(std::memory_order_relaxed) == cpu) sleeper.keep_off(cpu, cpus);
  }

  // Until nothing is left to take. A thread begins with a share of its own, whose operands its caches may hold from the call before. Who
  // has taken a part holds the call open, so task and data may be read then; who comes late finds every part taken.
  void take_parts(size_t thread) {
    const Call now{call.load(std::memory_order_acquire)};
    const int own = now.parts() * static_cast<int>(thread) / static_cast<int>(sleepers.size() + 1);
    for (int i = 0; i < now.parts(); i++) {
      const int part = (own + i) % now.parts();
      auto& last = taken[static_cast<size_t>(part)];
      uint64_t before = last.load(std::memory_order_relaxed);
      if (before < now.turn() && last.compare_exchange_strong(before, now.turn(), std::memory_order_acq_rel)) run_part(part);
    }
  }

  void work(size_t thread) {
    Sleeper& self = sleepers[thread - 1];
    // The bell first: what it was rung for is seen then, be it a call or the end.
    for (uint32_t heard = bell.load(std::memory_order_acquire); !stop.load(std::memory_order_acquire); heard = bell.load(std::memory_order_acquire)) {
      self.last_on.store(sched_getcpu(), std::memory_order_relaxed);
      take_parts(thread);
      wait_while(bell, heard, polls, [&](bool asleep) { self.asleep.store(asleep, std::memory_order_relaxed); });
    }
  }
  void ring() {
    bell.fetch_add(1, std::memory_order_release);
    bell.notify_all();
  }
};

Pool::Pool(int threads) {
  CHECK(threads >= 1);
  state_ = std::make_unique<State>(threads);
  for (size_t thread = 1; thread < static_cast<size_t>(threads); thread++)
    state_->sleepers[thread - 1].thread = std::thread([state = state_.get(), thread] { state->work(thread); });
}

Pool::~Pool() {
  state_->stop.store(true, std::memory_order_release);
  state_->ring();
  for (auto& sleeper : state_->sleepers) sleeper.thread.join();
}

int Pool::threads() const { return static_cast<int>(state_->sleepers.size()) + 1; }

void Pool::run(int parts, void (*task)(void*, int), void* data) {
  CHECK(parts >= 1 && parts <= kMaxParts);
  State& s = *state_;
  s.task = task;
  s.data = data;
  s.left.store(parts, std::memory_order_relaxed);
  if (parts > 1) s.keep_off(sched_getcpu());
  s.call.store(Call::of(Call{s.call.load(std::memory_order_relaxed)}.turn() + 1, parts).word, std::memory_order_release);
  if (parts > 1) s.ring();
  s.take_parts(0);
  for (int left = s.left.load(std::memory_order_acquire); left != 0; left = s.left.load(std::memory_order_acquire))
    wait_while(s.left, left, s.polls, [](bool) {});
  std::exception_ptr first;
  for (int part = 0; part < parts; part++) {
    auto& failed = s.failed[static_cast<size_t>(part)];
    if (failed && !first) first = failed;
    failed = nullptr;
  }
  if (first) std::rethrow_exception(first);
}

}  // namespace cairn::kernels
