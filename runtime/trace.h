// Tracing: one run of a program on the `exact` device, recorded as a plan.
//
//   train    sample_rows of every data input (a batch that holds all rows is the data in its own order), forward, autograd's backward, the optimizer's calls, put_rows into `losses`
//   predict  sample_rows in order, forward, put_rows into `output_0`, `output_1`, ...; where one step covers all rows, the
//            outputs as they are, of any shape
//
// Rows are what the first dimension of the first input counts. An input that has this dimension first is sampled; another (a
// mask, a table) is brought whole.
//
// State of a training plan: every parameter and buffer by its name, `adam_m:NAME` and `adam_v:NAME` (or `momentum:NAME`) of
// every parameter that has a gradient, `losses`. A prediction plan takes its weights as inputs, by name.
// What is written is found by the tracer; nothing is believed of the file.
#pragma once

#include <map>

#include "attest/plan.h"
#include "attest/records.h"
#include "runtime/optimizer.h"
#include "runtime/program.h"

namespace cairn::runtime {

inline constexpr std::string_view kLosses = "losses";
inline constexpr std::string_view kSchedule = "schedule";

struct DataType {
  std::string name;
  kernels::TensorType type;  // with all its rows
  static constexpr auto fields() { return std::tuple{field("name", &DataType::name), field("type", &DataType::type)}; }
};

struct TraceRequest {
  bool train = true;               // else predict
  std::vector<DataType> data;      // one for every input of the program, by name
  uint64_t batch = 0;              // 0: the program's own, or 64
  uint64_t steps = 0;              // 0 when predicting: as many as cover the data
  Optimizer optimizer;
  std::vector<std::string> given;  // parameters whose weights are brought; the others start from the seed
  attest::NumericClass numeric = attest::NumericClass::f32;
  attest::WorkTable work;
  static constexpr auto fields() {
    using R = TraceRequest;
    return std::tuple{field("train", &R::train), field("data", &R::data),           field("batch", &R::batch),
                      field("steps", &R::steps), field("optimizer", &R::optimizer), field("given", &R::given),
                      field("numeric", &R::numeric), field("work", &R::work)};
  }
};

struct Trace {
  attest::Plan plan;
  attest::PlanFacts facts;
  uint64_t batch = 0;
  uint64_t steps = 0;
};

// How a parameter starts that nobody brings weights for. By its name's last word and its shape, as PyTorch's layers mostly do:
//   two or more dimensions        uniform in +-1/sqrt(product of all dimensions but the first)
//   one, `weight` or `running_var` ones
//   else                          zeros
attest::Init default_init(const Parameter& parameter);

// What the dispatcher computed while tracing, to compare the executor with.
struct Rehearsal {
  uint64_t seed = 0;
  std::map<std::string, ByteSpan> bytes;      // plan inputs and given state, by name; zeros where missing
  std::vector<std::vector<Hash>> output_ids;  // filled: of every call
};

// Errors: usage (data that does not fit the program, with the line that would make it fit), undefined_operator,
// data_dependent, shape, and those of validate().
Result<Trace> trace(const Program& program, const TraceRequest& request, Rehearsal* rehearsal = nullptr);

// What can be said of a program without data.
struct Inspection {
  struct Value {
    std::string name;
    std::string type;
    static constexpr auto fields() { return std::tuple{field("name", &Value::name), field("type", &Value::type)}; }
  };
  struct Count {
    std::string name;
    uint32_t calls = 0;
    static constexpr auto fields() { return std::tuple{field("name", &Count::name), field("calls", &Count::calls)}; }
  };
  Hash program;
  bool trains = false;  // the first output is a scalar that depends on parameters: a loss
  std::vector<Value> inputs;
  std::vector<Value> outputs;
  std::vector<Value> parameters;
  std::vector<Count> operators;        // of the plan
  std::vector<std::string> undefined;  // what `exact` has no definition of, and where
  std::vector<std::string> removed;    // by normalising
  uint64_t batch = 0;                  // for which the following holds
  uint64_t step_work_ns = 0;
  uint64_t peak_bytes = 0;
  uint64_t state_bytes = 0;
  static constexpr auto fields() {
    using I = Inspection;
    return std::tuple{field("program", &I::program),       field("trains", &I::trains),
                      field("inputs", &I::inputs),         field("outputs", &I::outputs),
                      field("parameters", &I::parameters), field("operators", &I::operators),
                      field("undefined", &I::undefined),   field("removed", &I::removed),
                      field("batch", &I::batch),           field("step_work_ns", &I::step_work_ns),
                      field("peak_bytes", &I::peak_bytes), field("state_bytes", &I::state_bytes)};
  }
};
Result<Inspection> inspect(const Import& import);

}  // namespace cairn::runtime
