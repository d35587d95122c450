// Plans: the ladder of refusals, memory by liveness, the sum tree, and a decoder and validator that no input can crash.
#include "attest/plan.h"

#include <gtest/gtest.h>

#include <functional>

#include "attest/records.h"
#include "attest/tree.h"
#include "tests/attest/trial.h"

namespace cairn::attest {
namespace {

using kernels::DType;

const kernels::Operator& op(std::string_view name) { return *kernels::find_operator(name); }

Call call_of(const kernels::Operator& of, std::vector<ValueRef> refs, std::vector<TensorType> types, std::vector<int64_t> attrs = {}) {
  Call call;
  call.op = of.id;
  call.attrs = std::move(attrs);
  call.inputs = std::move(refs);
  call.input_types = std::move(types);
  call.output_types = must(of.infer(call.input_types, call.attrs));
  call.work_ns = work_of(of, {call.input_types, call.output_types, call.attrs}, WorkTable{});
  return call;
}

// w <- w + relu(x w); the loss-like sum is state too.
Plan small_plan() {
  const TensorType x{DType::f32, {6, 4}}, w{DType::f32, {4, 4}}, y{DType::f32, {6, 4}}, sum{DType::f32, {4}};
  Plan plan;
  plan.inputs = {{"x", x}};
  plan.constants = {{w, Bytes(64, 1)}};
  plan.state = {{"w", w, {InitKind::uniform, 0x3f000000}, {From::call, 3, 0}}, {"sums", sum, {}, {From::call, 2, 0}}};
  plan.calls = {call_of(op("matmul.f32.v1"), {{From::input, 0, 0}, {From::state, 0, 0}}, {x, w}, {0, 0}),
                call_of(op("relu.v1"), {{From::call, 0, 0}}, {y}),
                call_of(op("sum_rows.v1"), {{From::call, 1, 0}}, {y}),
                call_of(op("add.v1"), {{From::state, 0, 0}, {From::constant, 0, 0}}, {w, w})};
  return plan;
}

TEST(Plan, Refusals) {
  struct Row {
    const char* text;  // part of the message
    Code code;
    std::function<void(Plan&)> change;
  };
  const Row rows[] = {
      {"version", Code::malformed, [](Plan& p) { p.version = 2; }},
      {"0 calls", Code::malformed, [](Plan& p) { p.calls.clear(); }},
      {"without state", Code::malformed, [](Plan& p) { p.state.clear(); }},
      {"input: a name", Code::malformed, [](Plan& p) { p.inputs[0].name.clear(); }},
      {"state: a name", Code::malformed, [](Plan& p) { p.state[0].name.assign(300, 'x'); }},
      {"state x: the name is taken", Code::malformed, [](Plan& p) { p.state[0].name = "x"; }},
      {"dimensions", Code::shape, [](Plan& p) { p.inputs[0].type.shape.assign(17, 1); }},
      {"no elements", Code::shape, [](Plan& p) { p.state[1].type.shape = {0}; }},
      {"", Code::shape, [](Plan& p) { p.inputs[0].type.shape = {INT64_MAX, INT64_MAX}; }},
      {"", Code::shape, [](Plan& p) { p.inputs[0].type.shape = {-1}; }},
      {"constant 0: 63 bytes", Code::shape, [](Plan& p) { p.constants[0].bytes.pop_back(); }},
      {"64 MiB", Code::limit, [](Plan& p) {
         p.constants.push_back({{DType::u8, {33 << 20}}, Bytes(33 << 20)});
         p.constants.push_back(p.constants.back());
       }},
      {"only f32", Code::shape, [](Plan& p) { p.state[0].type.dtype = DType::i32; }},
      {"no value", Code::malformed, [](Plan& p) { p.state[1].init.value_bits = 1; }},
      {"call 1 (operator 9999): no operator", Code::undefined_operator, [](Plan& p) { p.calls[1].op = 9999; }},
      {"call 1 (relu.v1)", Code::shape, [](Plan& p) { p.calls[1].attrs = {1}; }},
      {"call 1 (relu.v1): 1 inputs with 2 types", Code::shape, [](Plan& p) { p.calls[1].input_types.push_back({}); }},
      {"call 1 (relu.v1)", Code::shape, [](Plan& p) { p.calls[1].output_types[0].shape = {4, 6}; }},
      {"call 1 (relu.v1)", Code::shape, [](Plan& p) { p.calls[1].output_types.clear(); }},
      {"call 0 (matmul.f32.v1): it states", Code::understated_work, [](Plan& p) { p.calls[0].work_ns--; }},
      {"call 1 (relu.v1): input 0 is call 1 output 0", Code::malformed, [](Plan& p) { p.calls[1].inputs[0].index = 1; }},
      {"call 1 (relu.v1): input 0 is call 0 output 1", Code::malformed, [](Plan& p) { p.calls[1].inputs[0].output = 1; }},
      {"call 0 (matmul.f32.v1): input 0 is input 1", Code::malformed, [](Plan& p) { p.calls[0].inputs[0].index = 1; }},
      {"call 0 (matmul.f32.v1): input 0 is input 0", Code::malformed, [](Plan& p) { p.calls[0].inputs[0].output = 1; }},
      {"call 3 (add.v1): input 1 is constant 0 of type", Code::shape, [](Plan& p) { p.constants[0] = {{DType::f32, {4}}, Bytes(16)}; }},
      {"call 3 (add.v1): input 1 is constant 0 of type", Code::shape, [](Plan& p) { p.constants[0] = {{DType::i32, {4, 4}}, Bytes(64)}; }},
      {"state sums: its next value is call 9 output 0", Code::malformed, [](Plan& p) { p.state[1].next.index = 9; }},
      {"state sums of type f32[4]: its next value is state 0", Code::shape, [](Plan& p) { p.state[1].next = {From::state, 0, 0}; }},
  };
  ASSERT_TRUE(validate(small_plan(), WorkTable{})) << validate(small_plan(), WorkTable{}).error().message();
  for (const Row& row : rows) {
    Plan plan = small_plan();
    row.change(plan);
    const auto result = validate(plan, WorkTable{});
    ASSERT_FALSE(result) << row.text;
    EXPECT_EQ(result.error().code, row.code) << result.error().message();
    EXPECT_NE(result.error().text.find(row.text), std::string::npos) << row.text << " / " << result.error().text;
    EXPECT_FALSE(result.error().next.empty());
  }
}

TEST(Plan, Facts) {
  const Plan plan = small_plan();
  const PlanFacts facts = *validate(plan, WorkTable{});
  EXPECT_EQ(facts.id, blake3(encode(plan)));
  EXPECT_EQ(facts.root, plan_root(plan));
  EXPECT_EQ(facts.work_ns, plan_head(plan).calls_top.work_ns);
  EXPECT_EQ(facts.state_bytes, 64u + 16);
  // Inputs 96, constants 64, state 80; live together: product 96 and relu 96 at call 1; relu 96 and sums 16 at call 2.
  EXPECT_EQ(facts.peak_bytes, 96u + 64 + 80 + 192);
  // The same bytes under another shape are the same value.
  Plan reshaped = plan;
  reshaped.state[1].type.shape = {2, 2};
  EXPECT_TRUE(validate(reshaped, WorkTable{}));
  EXPECT_EQ(facts.root.hex().substr(0, 16), "c96c042ff3c2a6f9");
  EXPECT_EQ(facts.id.hex().substr(0, 16), "2ee8d84430298ffb");
}

TEST(Plan, Work) {
  const TensorType a{DType::f32, {100, 300}}, b{DType::f32, {300, 50}}, c{DType::f32, {100, 50}};
  const std::vector<TensorType> in{a, b}, out{c};
  const std::vector<int64_t> attrs{0, 0};
  const kernels::CallShape shape{in, out, attrs};
  const kernels::Cost cost = op("matmul.f32.v1").cost(shape);
  EXPECT_EQ(cost.multiply_adds, 1'500'000u);
  EXPECT_EQ(work_of(op("matmul.f32.v1"), shape, {32, 1 << 30, 1}), (1'500'000u + 31) / 32);
  EXPECT_EQ(work_of(op("matmul.f32.v1"), shape, {1 << 30, 16, 1}), (cost.bytes + 15) / 16);
  EXPECT_EQ(work_of(op("matmul.f32.v1"), shape, {1 << 30, 1 << 30, 777}), 777u);
}

TEST(Plan, LeavesOpen) {
  std::mt19937_64 rng(8);
  const Plan plan = random_example(rng, 300).plan;
  const Hash root = plan_root(plan);
  const PlanHead head = plan_head(plan);
  for (uint32_t i = 0; i < plan.calls.size(); i += 7) {
    const SumPath path = plan_path(plan, i);
    ASSERT_TRUE(check_call(root, head, i, plan.calls[i], path));
    EXPECT_FALSE(check_call(root, head, i ^ 1, plan.calls[i], path));
    Call cheaper = plan.calls[i];
    cheaper.work_ns--;
    EXPECT_FALSE(check_call(root, head, i, cheaper, path));
    PlanHead cheap = head;
    cheap.calls_top.work_ns--;
    EXPECT_FALSE(check_call(root, cheap, i, plan.calls[i], path));
    SumPath moved = path;  // work taken from one leaf and given to another
    if (moved.groups[0].size() > 1) {
      moved.groups[0][0].work_ns++;
      moved.groups[0][1].work_ns--;
      EXPECT_FALSE(check_call(root, head, i, plan.calls[i], moved));
    }
  }
  for (uint32_t i = 0; i < plan.constants.size(); i += 5) {
    const ConstantLeaf leaf{plan.constants[i].type, blake3(plan.constants[i].bytes)};
    ASSERT_TRUE(check_constant(root, head, i, leaf, constant_path(plan, i)));
    EXPECT_FALSE(check_constant(root, head, i, {leaf.type, {}}, constant_path(plan, i)));
  }
  for (uint32_t i = 0; i < plan.state.size(); i += 5) {
    ASSERT_TRUE(check_slot(root, head, i, plan.state[i], slot_path(plan, i)));
    StateSlot other = plan.state[i];
    other.next.index++;
    EXPECT_FALSE(check_slot(root, head, i, other, slot_path(plan, i)));
  }
}

TEST(Plan, JobsSayWhatTheirPlansSay) {
  const Plan plan = small_plan();
  const PlanFacts facts = *validate(plan, WorkTable{});
  JobSpec spec;
  spec.plan = facts.id;
  spec.plan_root = facts.root;
  spec.calls = 4;
  spec.state_slots = 2;
  spec.step_work_ns = static_cast<uint64_t>(facts.work_ns);
  spec.memory_bytes = facts.peak_bytes;
  spec.inputs = {{"x", {}, {}}};
  EXPECT_TRUE(check_against_plan(spec, plan, facts));
  const std::function<void(JobSpec&)> changes[] = {
      [](JobSpec& s) { s.plan = {}; },          [](JobSpec& s) { s.plan_root = {}; }, [](JobSpec& s) { s.calls++; },
      [](JobSpec& s) { s.state_slots++; },      [](JobSpec& s) { s.step_work_ns--; }, [](JobSpec& s) { s.memory_bytes--; },
      [](JobSpec& s) { s.inputs[0].name = "y"; }, [](JobSpec& s) { s.inputs.clear(); },
  };
  for (const auto& change : changes) {
    JobSpec bad = spec;
    change(bad);
    const auto result = check_against_plan(bad, plan, facts);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Code::invalid);
  }
}

int64_t odd_number(std::mt19937_64& rng) {
  constexpr int64_t kOdd[] = {0, 1, -1, 2, 3, 16, 255, 256, 257, 4096, 65537, INT32_MAX, int64_t{1} << 32, int64_t{1} << 45, INT64_MAX, INT64_MIN};
  return rng() % 3 ? kOdd[rng() % std::size(kOdd)] : static_cast<int64_t>(rng() % 400);
}

// A plan from a stranger: whatever it says, decode and validate answer.
TEST(Plan, FuzzedPlans) {
  std::mt19937_64 rng(6);
  int valid = 0, refused = 0, undecoded = 0;
  for (int round = 0; round < 60; round++) {
    const Plan plan = random_example(rng, 1 + rng() % 12).plan;
    ASSERT_TRUE(validate(plan, WorkTable{}));
    const Bytes good = encode(plan);
    for (int i = 0; i < 60; i++) {
      Bytes bad = good;
      for (uint64_t n = 1 + rng() % 6; n > 0; n--) bad[rng() % (rng() % 2 ? bad.size() : std::min<size_t>(bad.size(), 400))] = static_cast<uint8_t>(rng());
      if (rng() % 10 == 0) bad.resize(rng() % bad.size());
      const auto decoded = decode<Plan>(bad);
      undecoded += !decoded;
      if (decoded) (validate(*decoded, WorkTable{}) ? valid : refused)++;
    }
    for (int i = 0; i < 300; i++) {  // well-formed bytes, odd numbers
      Plan odd;
      odd.inputs = plan.inputs;
      odd.state = plan.state;
      odd.constants = plan.constants;
      odd.calls = plan.calls;
      Call& call = odd.calls[rng() % odd.calls.size()];
      for (uint64_t n = 1 + rng() % 3; n > 0; n--) {
        switch (rng() % 7) {
          case 0: if (!call.attrs.empty()) call.attrs[rng() % call.attrs.size()] = odd_number(rng); break;
          case 1: if (!call.input_types.empty()) call.input_types[rng() % call.input_types.size()].shape.assign(rng() % 5, odd_number(rng)); break;
          case 2: {
            if (call.input_types.empty()) break;
            auto& shape = call.input_types[rng() % call.input_types.size()].shape;
            if (!shape.empty()) shape[rng() % shape.size()] = odd_number(rng);
            break;
          }
          case 3: call.op = kernels::operators()[rng() % kernels::operators().size()]->id; break;
          case 4: call.attrs.resize(rng() % 9, odd_number(rng)); break;
          case 5: if (!call.input_types.empty()) call.input_types[rng() % call.input_types.size()].dtype = static_cast<DType>(1 + rng() % 4); break;
          case 6: {
            call.input_types.resize(rng() % 7);
            call.inputs.resize(call.input_types.size());
            break;
          }
        }
      }
      // Let the rules say what follows, so that the mutation is not refused for its outputs alone.
      bool fits = true;
      for (const TensorType& type : call.input_types) fits &= type.shape.size() <= kMaxRank && kernels::elements_checked(type) && *kernels::elements_checked(type) > 0;
      if (fits && rng() % 4)
        if (auto outputs = kernels::find_operator(call.op)->infer(call.input_types, call.attrs)) call.output_types = *outputs;
      (void)check_leaf(call);
      (validate(odd, WorkTable{}) ? valid : refused)++;
    }
  }
  std::printf("fuzzed plans: %d valid, %d refused, %d undecodable\n", valid, refused, undecoded);
}

}  // namespace
}  // namespace cairn::attest
