// Against the real worker program: what a daemon needs of it, and what becomes of damage and interruption.
#include "agent/computer.h"

#include <gtest/gtest.h>

#include <fstream>

#include "agent/settings.h"
#include "base/scratch.h"
#include "tests/agent/small_job.h"

namespace cairn::agent {
namespace {

const std::filesystem::path kWorker = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "../bin/cairn-worker";
const attest::WorkTable kTable;

TEST(Computer, AVerifierFindsWhatTheProviderCommitted) {
  Scratch scratch;
  ArtifactStore store(scratch.path / "store");
  const std::atomic<bool> stop = false;
  Computer computer(kWorker, 1, kTable, scratch.path / "job", store, stop);
  const Assignment job = small_job(store, 25, 10);
  ASSERT_TRUE(load_assignment(job.spec, store, kTable, {})) << load_assignment(job.spec, store, kTable, {}).error().message();
  ASSERT_TRUE(computer.check_initial(job));
  const auto ran = computer.run(job, {});
  ASSERT_TRUE(ran) << ran.error().message();
  ASSERT_EQ(ran->leaves.size(), 3u);
  EXPECT_EQ(ran->states[2].step, 25u);
  for (uint64_t segment = 0; segment < 3; segment++) {
    const auto found = computer.check(job, segment, segment == 0 ? StateIds{} : ran->states[segment - 1], segment * 10 + 3, 1);
    ASSERT_TRUE(found) << found.error().message();
    EXPECT_EQ(found->end_root, ran->leaves[segment]);
  }
  // A run that is there already is not run again; one that is cut short goes on to the same bits.
  Ran cut = *ran;
  cut.leaves.pop_back();
  cut.states.pop_back();
  ASSERT_TRUE(write_file(scratch.path / "job" / "ran", encode(cut)));
  uint64_t first_step = 0;
  const auto again = computer.run(job, [&](uint64_t step, std::optional<float>) {
    if (first_step == 0) first_step = step;
  });
  ASSERT_TRUE(again);
  EXPECT_EQ(again->leaves, ran->leaves);
  EXPECT_TRUE(first_step == 0 || first_step > 20);
}

TEST(Computer, DamagedCheckpointsAreMadeAnew) {
  Scratch scratch;
  ArtifactStore store(scratch.path / "store");
  const std::atomic<bool> stop = false;
  Computer computer(kWorker, 1, kTable, scratch.path / "job", store, stop);
  const Assignment job = small_job(store, 30, 10);
  const auto ran = computer.run(job, {});
  ASSERT_TRUE(ran) << ran.error().message();
  for (const auto& id : ran->states[2].ids) std::ofstream(store.path_of(id), std::ios::binary) << "damage";
  const auto again = computer.run(job, {});
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->leaves, ran->leaves);
  for (const auto& id : again->states[2].ids) EXPECT_TRUE(store.verified(id));
}

TEST(Computer, AFalseInitialStateAndAFalsePlanAreRefused) {
  Scratch scratch;
  ArtifactStore store(scratch.path / "store");
  const std::atomic<bool> stop = false;
  Computer computer(kWorker, 1, kTable, scratch.path / "job", store, stop);
  const Assignment honest = small_job(store, 10, 5);
  const struct {
    const char* what;
    std::function<void(Assignment&)> lie;
    Code code;
  } rows[] = {
      {"less work", [](Assignment& a) { a.spec.step_work_ns--; }, Code::understated_work},
      {"another root", [](Assignment& a) { a.spec.plan_root.v[0] ^= 1; }, Code::invalid},
      {"less memory", [](Assignment& a) { a.spec.memory_bytes--; }, Code::invalid},
      {"more calls", [](Assignment& a) { a.spec.calls++; }, Code::invalid},
      {"an input of another size", [&](Assignment& a) { a.spec.inputs[0].id = must(store.put(Bytes(5))); }, Code::shape},
      {"an input that is not here", [](Assignment& a) { a.spec.inputs[0].id.v[0] ^= 1; }, Code::not_found},
      {"an input of another name", [](Assignment& a) { a.spec.inputs[0].name = "v"; }, Code::invalid},
  };
  for (const auto& row : rows) {
    Assignment job = honest;
    row.lie(job);
    const auto loaded = load_assignment(job.spec, store, kTable, {});
    ASSERT_FALSE(loaded) << row.what;
    EXPECT_EQ(loaded.error().code, row.code) << row.what << ": " << loaded.error().text;
  }
  // A plan that understates a call's work is caught by the plan's own rule.
  Assignment cheap = honest;
  cheap.plan.calls[0].work_ns--;
  cheap.spec.plan = must(store.put(encode(cheap.plan)));
  EXPECT_EQ(load_assignment(cheap.spec, store, kTable, {}).error().code, Code::understated_work);

  Assignment elsewhere = honest;
  elsewhere.spec.initial_state.v[0] ^= 1;
  EXPECT_EQ(computer.check_initial(elsewhere).error().code, Code::invalid);
}

TEST(Computer, AWorkerThatIsMissingOrStoppedIsAnError) {
  Scratch scratch;
  ArtifactStore store(scratch.path / "store");
  const Assignment job = small_job(store, 10, 5);
  const std::atomic<bool> run_on = false;
  Computer missing(scratch.path / "no-worker", 1, kTable, scratch.path / "job", store, run_on);
  EXPECT_EQ(missing.check_initial(job).error().code, Code::not_found);
  Computer mute("/bin/true", 1, kTable, scratch.path / "job", store, run_on);
  EXPECT_EQ(mute.check_initial(job).error().code, Code::unreachable);

  std::atomic<bool> stop = false;
  Computer stopped(kWorker, 1, kTable, scratch.path / "job", store, stop);
  const Assignment endless = small_job(store, 50'000'000, 25'000'000);
  std::thread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    stop = true;
  });
  const auto ran = stopped.run(endless, {});
  stopper.join();
  ASSERT_FALSE(ran);
  EXPECT_EQ(ran.error().code, Code::cancelled);
}

TEST(Computer, MeasuresThisMachine) {
  Scratch scratch;
  ArtifactStore store(scratch.path / "store");
  const std::atomic<bool> stop = false;
  Computer computer(kWorker, 1, kTable, scratch.path / "job", store, stop);
  const auto speed = computer.speed();
  ASSERT_TRUE(speed) << speed.error().message();
  EXPECT_GT(*speed, 0.0);
}

}  // namespace
}  // namespace cairn::agent
