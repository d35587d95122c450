// Every operator: its definition equals its fast bodies, bit for bit; its known answer stands; what it refuses.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <set>
#include <thread>

#include "tests/kernels/family.h"

namespace cairn::kernels {
namespace {

TEST(Operators, each_has_a_case) {
  std::set<std::string_view> covered;
  for (const Case& c : cases()) covered.insert(c.op);
  for (const Operator* op : operators()) EXPECT_TRUE(covered.contains(op->name)) << op->name << " has no case";
}

TEST(Operators, ids_and_names_are_unique_and_texts_are_there) {
  std::set<std::string_view> names;
  uint16_t last = 0;
  for (const Operator* op : operators()) {
    EXPECT_GT(op->id, last);
    last = op->id;
    EXPECT_TRUE(names.insert(op->name).second);
    EXPECT_FALSE(op->formula.empty() || op->order.empty() || op->source.empty()) << op->name;
    EXPECT_EQ(find_operator(op->id), op);
    EXPECT_EQ(find_operator(op->name), op);
  }
  EXPECT_EQ(find_operator(uint16_t{9999}), nullptr);
  EXPECT_EQ(find_operator("nothing.v1"), nullptr);
}

TEST(Operators, fast_bodies_equal_the_definition) {
  Pool two(2), seven(7);
  for (const Case& c : cases())
    for (const Values values : {Values::tame, Values::wild})
      for (const uint64_t step : {0, 3}) {
        const Trial run(c, values);
        const StepContext context{0x1234567890ABCDEF, step};
        const std::vector<Buffer> want = run.reference(context);
        for (const Isa isa : isas())
          for (Pool* pool : {static_cast<Pool*>(nullptr), &two, &seven}) {
            const std::vector<Buffer> have = run.host(context, {isa, pool});
            for (size_t o = 0; o < want.size(); o++)
              EXPECT_TRUE(have[o] == want[o]) << describe(c) << ": output " << o << ", " << name(isa) << ", "
                                              << (pool ? pool->threads() : 1) << " threads, "
                                              << (values == Values::wild ? "wild" : "tame") << ", step " << step;
          }
      }
}

TEST(Operators, outputs_may_go_over_the_inputs_they_name) {
  for (const Case& c : cases())
    for (const InPlace pair : find_operator(std::string_view(c.op))->in_place) {
      Trial run(c, Values::wild);
      if (pair.input >= run.in_types.size() || run.out_types[pair.output] != run.in_types[pair.input]) continue;
      const StepContext context{7, 1};
      const std::vector<Buffer> want = run.host(context, {});
      std::vector<Buffer> have = run.outputs();
      std::vector<void*> out = Trial::pointers(have);
      out[pair.output] = run.in[pair.input].data.get();
      run.op.host(run.call(), context, run.in_data, out, {});
      for (size_t o = 0; o < want.size(); o++)
        EXPECT_EQ(std::memcmp(out[o], want[o].data.get(), want[o].size), 0)
            << describe(c) << ": output " << o << " with " << pair.output << " over " << pair.input;
    }
}

TEST(Operators, a_nan_result_is_the_one_nan) {
  for (const Case& c : cases()) {
    const Trial run(c, Values::wild);
    if (run.op.order.find("moves bits") != std::string_view::npos) continue;
    const std::vector<Buffer> out = run.host({1, 0}, {});
    for (size_t o = 0; o < out.size(); o++)
      for (int64_t i = 0; run.out_types[o].dtype == DType::f32 && i < elements(run.out_types[o]); i++)
        if (std::isnan(out[o].as<float>()[i])) {
          ASSERT_EQ(out[o].as<uint32_t>()[i], 0x7FC00000u) << describe(c);
        }
  }
}

TEST(Operators, known_answers_on_every_instruction_set) {
  for (const Isa isa : isas()) {
    const auto result = self_test(isa);
    EXPECT_TRUE(result) << result.error().message();
  }
}

TEST(Operators, cost_counts_what_is_done) {
  const Trial product({"matmul.f32.v1", {f32({7, 300}), f32({300, 9})}, {0, 0}}, Values::tame);
  const Cost cost = product.op.cost(product.call());
  EXPECT_EQ(cost.multiply_adds, 7u * 300 * 9);
  EXPECT_EQ(cost.bytes, 4u * (7 * 300 + 300 * 9 + 7 * 9));
  for (const Case& c : cases()) {
    const Trial run(c, Values::tame);
    EXPECT_GT(run.op.cost(run.call()).bytes, 0u) << describe(c);
  }
}

// ---- refusals -----------------------------------------------------------------------------------------------------------

TEST(Operators, refuse_what_does_not_fit) {
  for (const Family& family : families())
    for (const Refused& row : family.refused) {
      const auto result = find_operator(std::string_view(row.call.op))->infer(row.call.in, row.call.attrs);
      ASSERT_FALSE(result) << describe(row.call);
      EXPECT_EQ(result.error().code, Code::shape);
      EXPECT_NE(result.error().text.find(row.text), std::string::npos) << describe(row.call) << ": " << result.error().text;
      EXPECT_EQ(result.error().text.find(row.call.op), 0u) << result.error().text;
    }
}

// ---- state of the processor -----------------------------------------------------------------------------------------------

#if defined(__aarch64__)
unsigned control_word() { return __builtin_aarch64_get_fpcr(); }
void set_control_word(unsigned word) { __builtin_aarch64_set_fpcr(word); }
constexpr unsigned kFlushToZero = 1u << 24, kChanged[] = {kFlushToZero, 1u << 25 /* one NaN for all */, 1u << 22 /* round up */};
#else
unsigned control_word() { return __builtin_ia32_stmxcsr(); }
void set_control_word(unsigned word) { __builtin_ia32_ldmxcsr(word); }
constexpr unsigned kFlushToZero = 0x9F80, kChanged[] = {kFlushToZero, 0x1FC0 /* denormals are zero */, 0x5F80 /* round up */, 0x1F00 /* traps */};
#endif

struct ControlWord {  // of this thread, for a scope
  explicit ControlWord(unsigned word) : before(control_word()) { set_control_word(word); }
  ~ControlWord() { set_control_word(before); }
  unsigned before;
};

template <class Body>
bool refuses_cpu_state(Body body) {
  try {
    body();
  } catch (const Fault& fault) {
    return fault.error().code == Code::cpu_state;
  }
  return false;
}

TEST(CpuState, a_changed_control_word_is_refused_by_every_operator) {
  for (const unsigned word : kChanged) {
    for (const Case& c : cases()) {
      const Trial run(c, Values::tame);
      const bool refused = refuses_cpu_state([&] {
        const ControlWord changed(word);
        run.host({}, {});
      });
      EXPECT_TRUE(refused) << describe(c) << " with " << word;
      if (word == kFlushToZero) {
        EXPECT_TRUE(refuses_cpu_state([&] {
          const ControlWord changed(word);
          run.reference({});
        })) << describe(c);
      }
    }
  }
}

TEST(CpuState, sticky_status_bits_are_no_change) {
#if !defined(__aarch64__)  // there they are no part of the control word
  const ControlWord sticky(0x1FA2u);
#endif
  Trial({"add.v1", {f32({3}), f32({3})}, {}}, Values::tame).host({}, {});
}

TEST(CpuState, a_changed_worker_thread_is_refused_too) {
  Pool pool(2);
  // Two parts that meet, so that each has a thread of its own.
  struct Meeting {
    std::atomic<int> came{0};
    std::thread::id caller = std::this_thread::get_id();
  } meeting;
  pool.run(2, [](void* data, int) {
    auto& m = *static_cast<Meeting*>(data);
    for (m.came++; m.came < 2;) std::this_thread::yield();
    if (std::this_thread::get_id() != m.caller) set_control_word(kFlushToZero);
  }, &meeting);
  // The changed thread is refused when it takes a part, however late that is.
  const auto short_work = [](void*, int) { std::this_thread::sleep_for(std::chrono::milliseconds(1)); };
  bool refused = false;
  for (int round = 0; round < 10'000 && !refused; round++)
    refused = refuses_cpu_state([&] { pool.run(2, short_work, nullptr); });
  EXPECT_TRUE(refused);
}

TEST(PoolTest, ends_whenever_its_threads_look) {
  for (int round = 0; round < 2000; round++) Pool(3);
}

TEST(PoolTest, runs_every_part_once_and_throws_the_first_fault) {
  Pool pool(5);
  for (int round = 0; round < 1000; round++) {
    int seen[5] = {};
    const int parts = round % 5 + 1;
    pool.run(parts, [](void* data, int part) { static_cast<int*>(data)[part]++; }, seen);
    for (int part = 0; part < 5; part++) ASSERT_EQ(seen[part], part < parts ? 1 : 0);
  }
  try {
    pool.run(5, [](void*, int part) { if (part >= 2) throw Fault({Code::internal, "part " + std::to_string(part), ""}); }, nullptr);
    FAIL();
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.error().text, "part 2");
  }
}

// Its threads are told to end at any moment of theirs.
TEST(PoolTest, ends_whatever_its_threads_do) {
  for (int round = 0; round < 2000; round++) {
    Pool pool(3);
    if (round % 2) pool.run(3, [](void*, int) {}, nullptr);
  }
}

}  // namespace
}  // namespace cairn::kernels
