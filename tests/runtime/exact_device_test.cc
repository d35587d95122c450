// What the `exact` device refuses, by name, and that it works on no thread whose rounding somebody changed.
#include "runtime/exact_device.h"

#include <gtest/gtest.h>
#include <immintrin.h>

#include <functional>
#include <thread>

#include "runtime/recorder.h"
#include "runtime/torch.h"

namespace cairn::runtime {
namespace {

using at::Tensor;

Tensor numbers(at::IntArrayRef sizes, at::ScalarType dtype = at::kFloat) {
  register_exact_device();
  return at::ones(sizes, at::TensorOptions(dtype)).to(exact_device());
}

struct Row {
  const char* name;
  std::function<void()> what;
  Code code;
  const char* text;  // part of the sentence
};

template <class Body>
void expect_refused(const char* name, const Body& body, Code code, const char* text) {
  try {
    body();
    FAIL() << name << " was not refused";
  } catch (const Refusal& refusal) {
    EXPECT_EQ(refusal.error.code, code) << name << ": " << refusal.what();
    EXPECT_NE(std::string(refusal.what()).find(text), std::string::npos) << name << ": " << refusal.what();
  }
}

TEST(ExactDevice, RefusesByName) {
  const Tensor x = numbers({3, 4});
  const Row rows[] = {
      {"an operator without definition", [&] { at::digamma(x); }, Code::undefined_operator, "digamma"},
      {"a dtype that Cairn has not", [&] { at::add(numbers({3}, at::kDouble), 1); }, Code::undefined_operator, "Double"},
      {"complex numbers", [&] { at::mul(numbers({3}, at::kComplexFloat), 2); }, Code::undefined_operator, "ComplexFloat"},
      {"a view beyond its storage", [&] { at::add(x.as_strided({5, 4}, {4, 1}), 1); }, Code::shape, "as_strided.v1"},
      {"a view that goes backwards", [&] { at::add(x.as_strided({3}, {-1}, 2), 1); }, Code::shape, "negative stride"},
  };
  for (const Row& row : rows) expect_refused(row.name, row.what, row.code, row.text);
  EXPECT_THROW(numbers({1, 4}).expand({3, 4}).add_(numbers({3, 4})), c10::Error);  // a write to one place several times: ATen's own refusal
}

TEST(ExactDevice, ValuesDoNotLeaveAProgramThatIsTraced) {
  const Tensor x = numbers({1});
  Recorder recorder({}, attest::NumericClass::f32, {});
  recorder.track(x, {attest::From::input, 0, 0});
  expect_refused("a branch on a value", [&] { x.item<float>(); }, Code::data_dependent, "needs a value");
  expect_refused("a copy to the host", [&] { x.to(at::kCPU); }, Code::data_dependent, "needs a value");
  EXPECT_EQ(numbers({1}).item<float>(), 1.0f);  // depends on no input
}

TEST(ExactDevice, NothingPlusNothingIsNothing) { EXPECT_EQ(at::add(numbers({0, 4}), numbers({0, 4})).sizes(), at::IntArrayRef({0, 4})); }

// Views that overlap are read as they lie; a slice that is written is the whole buffer with the slice replaced.
TEST(ExactDevice, OverlappingViewsAreReadAndSlicesWritten) {
  const Tensor x = at::arange(6, at::kFloat).to(exact_device());
  EXPECT_TRUE(at::equal(at::add(x.as_strided({4, 3}, {1, 1}), 0).to(at::kCPU), at::arange(6, at::kFloat).unfold(0, 3, 1)));
  x.slice(0, 1, 6, 2).add_(numbers({3}));
  EXPECT_TRUE(at::equal(x.to(at::kCPU), at::tensor({0, 2, 2, 4, 4, 6}, at::kFloat)));
}

// ---- state of the processor ----

constexpr unsigned kUsual = 0x1F80, kFlushToZero = 0x9F80;

bool refuses_cpu_state(const std::function<void()>& work) {
  try {
    work();
  } catch (const Fault& fault) {
    return fault.error().code == Code::cpu_state;
  }
  return false;
}

TEST(CpuState, ChangedOnTheThreadThatCalls) {
  const Tensor x = numbers({3});
  EXPECT_TRUE(refuses_cpu_state([&] {
    _mm_setcsr(kFlushToZero);
    at::add(x, 1);
  }));
  _mm_setcsr(kUsual);
  at::add(x, 1);
}

// Backward runs on a thread of libtorch's, where a hook may have changed it.
TEST(CpuState, ChangedOnTheThreadOfAutograd) {
  const auto caller = std::this_thread::get_id();
  const auto step = [&](unsigned word) {
    const Tensor x = numbers({3}).set_requires_grad(true), y = at::mul(x, x);
    y.register_hook([=](const Tensor& grad) {
      EXPECT_NE(std::this_thread::get_id(), caller);
      _mm_setcsr(word);
      return grad;
    });
    y.backward(numbers({3}));
  };
  EXPECT_TRUE(refuses_cpu_state([&] { step(kFlushToZero); }));
  step(kUsual);
}

}  // namespace
}  // namespace cairn::runtime
