// Random plans over the whole list of operators: the dispatcher's `exact` device, and the executor on every instruction set with
// 1, 2 and 7 threads, give one bit pattern. plan_fuzz_test --plans=N runs N of them; the test a few.
#include <gtest/gtest.h>

#include <cstring>

#include "runtime/exact_device.h"
#include "runtime/executor.h"
#include "runtime/torch.h"
#include "tests/kernels/cases.h"

namespace cairn::runtime {

int plans = 250;  // --plans=N

namespace {

using attest::From;
using attest::Plan;
using attest::ValueRef;
using kernels::Case;
using kernels::TensorType;

constexpr int64_t kMostBytes = 1 << 16;  // of all operands of a call, so that a plan takes milliseconds

struct Example {
  Plan plan;
  std::vector<Bytes> inputs;
  State start;
};

class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed) {
    for (const Case& c : kernels::cases()) {
      int64_t size = 0;
      for (const TensorType& type : c.in) size += kernels::bytes(type);
      if (size <= kMostBytes) small_.push_back(&c);
    }
  }

  // Calls of random cases; an operand is a value that is there, if one has its type, or comes from outside. Some calls' values
  // become slots, with others of their type or themselves before the step.
  Example plan(int calls) {
    Example example;
    add_slot(example, {kernels::DType::f32, {5, 67}});
    for (int i = 0; i < calls; i++) add_call(example, *small_[random_() % small_.size()]);
    for (attest::StateSlot& slot : example.plan.state)
      if (const auto next = any_of(example.plan, slot.type)) slot.next = *next;
    return example;
  }

 private:
  std::optional<ValueRef> any_of(const Plan& plan, const TensorType& type) {
    std::vector<ValueRef> found;
    const auto look = [&](ValueRef ref, const TensorType& of) {
      if (of == type) found.push_back(ref);
    };
    for (uint32_t i = 0; i < plan.state.size(); i++) look({From::state, i, 0}, plan.state[i].type);
    for (uint32_t i = 0; i < plan.inputs.size(); i++) look({From::input, i, 0}, plan.inputs[i].type);
    for (uint32_t i = 0; i < plan.constants.size(); i++) look({From::constant, i, 0}, plan.constants[i].type);
    for (uint32_t c = 0; c < plan.calls.size(); c++)
      for (uint8_t o = 0; o < plan.calls[c].output_types.size(); o++) look({From::call, c, o}, plan.calls[c].output_types[o]);
    if (found.empty()) return std::nullopt;
    return found[random_() % found.size()];
  }
  Bytes values(const TensorType& type) {
    const auto filled = kernels::fill({type}, random_() % 4 ? kernels::Values::tame : kernels::Values::wild, random_() % 2, 7, random_());
    const auto* bytes = filled[0].as<uint8_t>();
    return Bytes(bytes, bytes + filled[0].size);
  }
  ValueRef from_outside(Example& example, const TensorType& type) {
    Plan& plan = example.plan;
    const auto number = [](const auto& list) { return static_cast<uint32_t>(list.size()) - 1; };
    switch (random_() % 3) {
      case 0:
        plan.inputs.push_back({"x" + std::to_string(plan.inputs.size()), type});
        example.inputs.push_back(values(type));
        return {From::input, number(plan.inputs), 0};
      case 1:
        plan.constants.push_back({type, values(type)});
        return {From::constant, number(plan.constants), 0};
      default: return add_slot(example, type);
    }
  }
  ValueRef add_slot(Example& example, const TensorType& type) {
    const ValueRef itself{From::state, static_cast<uint32_t>(example.plan.state.size()), 0};
    example.plan.state.push_back({"s" + std::to_string(itself.index), type, {attest::InitKind::given, 0}, itself});
    example.start.slots.push_back(values(type));
    return itself;
  }
  void add_call(Example& example, const Case& c) {
    const kernels::Operator& op = *kernels::find_operator(std::string_view(c.op));
    attest::Call call;
    call.op = op.id;
    call.attrs = c.attrs;
    call.input_types = c.in;
    call.output_types = must(op.infer(c.in, c.attrs));
    for (const TensorType& type : c.in) {
      const auto there = random_() % 8 ? any_of(example.plan, type) : std::nullopt;
      call.inputs.push_back(there ? *there : from_outside(example, type));
    }
    call.work_ns = attest::work_of(op, {call.input_types, call.output_types, call.attrs}, {});
    example.plan.calls.push_back(std::move(call));
  }

  std::mt19937_64 random_;
  std::vector<const Case*> small_;
};

at::Tensor on_exact(const TensorType& type, const Bytes& bytes) {
  constexpr at::ScalarType kTypes[] = {at::kFloat, at::kFloat, at::kLong, at::kInt, at::kByte, at::kBFloat16};  // by DType
  at::Tensor tensor = empty_exact(type.shape, kTypes[static_cast<size_t>(type.dtype)]);
  if (!bytes.empty()) std::memcpy(tensor.mutable_data_ptr(), bytes.data(), bytes.size());
  return tensor;
}
Hash id_of(const at::Tensor& tensor) { return blake3({static_cast<const uint8_t*>(tensor.const_data_ptr()), tensor.nbytes()}); }

// Step 0 with seed 0, the outputs' ids by call.
std::vector<std::vector<Hash>> by_dispatcher(const Example& example) {
  const Plan& plan = example.plan;
  std::vector<std::vector<at::Tensor>> made;
  const auto value = [&](const ValueRef& ref) {
    switch (ref.from) {
      case From::input: return on_exact(plan.inputs[ref.index].type, example.inputs[ref.index]);
      case From::constant: return on_exact(plan.constants[ref.index].type, plan.constants[ref.index].bytes);
      case From::state: return on_exact(plan.state[ref.index].type, example.start.slots[ref.index]);
      case From::call: break;
    }
    return made[ref.index][ref.output];
  };
  std::vector<std::vector<Hash>> ids;
  for (const attest::Call& one : plan.calls) {
    std::vector<Operand> operands;
    for (size_t i = 0; i < one.inputs.size(); i++) operands.push_back({value(one.inputs[i]), one.input_types[i].shape});
    made.push_back(call(kernels::find_operator(one.op)->name, one.attrs, operands));
    ids.emplace_back();
    for (const at::Tensor& tensor : made.back()) ids.back().push_back(id_of(tensor));
  }
  return ids;
}

TEST(PlanFuzz, DispatcherAndEveryExecutorGiveOneBitPattern) {
  register_exact_device();
  for (int number = 0; number < plans; number++) {
    Generator generator(static_cast<uint64_t>(number));
    const Example example = generator.plan(1 + number % 40);
    const Plan& plan = example.plan;
    ASSERT_TRUE(attest::validate(plan, {})) << attest::validate(plan, {}).error().message();
    const std::vector<ByteSpan> inputs(example.inputs.begin(), example.inputs.end());
    const std::vector<std::vector<Hash>> want = by_dispatcher(example);
    std::optional<Hash> root;
    for (const kernels::Isa isa : kernels::isas())
      for (const int threads : {1, 2, 7}) {
        auto executor = must(Executor::make(plan, inputs, 0, {isa, threads, {}}));
        must(executor->load(example.start));
        executor->run_step([&](uint32_t c, uint8_t o, ByteSpan bytes) {
          EXPECT_EQ(blake3(bytes), want[c][o]) << "plan " << number << ", call " << c << " (" << kernels::find_operator(plan.calls[c].op)->name << "), output "
                                               << int{o} << ", " << kernels::name(isa) << ", " << threads << " threads";
        });
        executor->run_step();
        if (!root) root = executor->root();
        EXPECT_EQ(executor->root(), *root) << "plan " << number << ", " << kernels::name(isa) << ", " << threads << " threads";
      }
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace cairn::runtime

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; i++)
    if (std::string(argv[i]).rfind("--plans=", 0) == 0) cairn::runtime::plans = std::atoi(argv[i] + 8);
  return RUN_ALL_TESTS();
}
