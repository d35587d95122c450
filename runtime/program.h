// A program: one graph of operators exported by torch.export, freed from everything that is not its meaning.
//
// What is published and hashed is the normalised program below: no stack traces (they hold the requester's paths and source
// lines), no module paths, no sample inputs, no guards, no weights. Weights travel beside it, bound by their content ids.
//
//   program := version:u16 symbols inputs parameters constants nodes outputs        (codec of base/codec.h)
//   id      := tagged_hash("cairn.program.v1", program)
#pragma once

#include <string>
#include <vector>

#include "base/blake3.h"
#include "base/codec.h"
#include "kernels/operator.h"
#include "runtime/safetensors.h"

namespace cairn::runtime {

// A dimension that the caller chooses, within bounds of the export.
struct Symbol {
  std::string name;
  int64_t min = 0;
  int64_t max = 0;
  static constexpr auto fields() {
    return std::tuple{field("name", &Symbol::name), field("min", &Symbol::min), field("max", &Symbol::max)};
  }
};

// A number, or a symbol when that is not empty.
struct Dim {
  int64_t size = 0;
  std::string symbol;
  friend bool operator==(const Dim&, const Dim&) = default;
  static constexpr auto fields() { return std::tuple{field("size", &Dim::size), field("symbol", &Dim::symbol)}; }
};

struct ProgramInput {
  std::string name;
  kernels::DType dtype = kernels::DType::f32;
  std::vector<Dim> shape;
  static constexpr auto fields() {
    return std::tuple{field("name", &ProgramInput::name), field("dtype", &ProgramInput::dtype),
                      field("shape", &ProgramInput::shape)};
  }
};

// A parameter or a persistent buffer: the model's state, known by its name.
struct Parameter {
  std::string name;                // "model.hidden.weight"
  std::vector<std::string> values;  // what the graph calls it; several when weights are tied
  std::vector<std::string> aliases;  // the other names of a tied weight
  kernels::TensorType type;
  bool trained = true;             // a parameter, not a buffer
  static constexpr auto fields() {
    return std::tuple{field("name", &Parameter::name), field("values", &Parameter::values),
                      field("aliases", &Parameter::aliases), field("type", &Parameter::type),
                      field("trained", &Parameter::trained)};
  }
};

// A lifted constant or a buffer that is not persistent: part of the program.
struct ProgramConstant {
  std::string value;
  kernels::TensorType type;
  Bytes bytes;
  static constexpr auto fields() {
    return std::tuple{field("value", &ProgramConstant::value), field("type", &ProgramConstant::type),
                      field("bytes", &ProgramConstant::bytes)};
  }
};

enum class ArgumentKind : uint8_t {
  none = 1, tensor, tensors, optional_tensors, integer, integers, number, numbers, boolean, booleans, text, dtype,
  device, layout, memory_format,
};
constexpr bool is_valid(ArgumentKind k) { return k >= ArgumentKind::none && k <= ArgumentKind::memory_format; }

// One value written in the graph. `names` refer to other values; beside a name in integers, the number is 0.
struct Argument {
  ArgumentKind kind = ArgumentKind::none;
  std::vector<std::string> names;
  std::vector<int64_t> numbers;  // booleans 0 or 1; floats as the bits of an f64
  std::string text;
  static constexpr auto fields() {
    return std::tuple{field("kind", &Argument::kind), field("names", &Argument::names),
                      field("numbers", &Argument::numbers), field("text", &Argument::text)};
  }
};

struct NamedArgument {
  std::string name;
  Argument value;
  static constexpr auto fields() {
    return std::tuple{field("name", &NamedArgument::name), field("value", &NamedArgument::value)};
  }
};

struct Node {
  std::string name;
  std::string target;  // "aten.linear.default"
  std::vector<NamedArgument> arguments;
  std::vector<std::string> outputs;  // empty text: not used
  bool outputs_are_list = false;     // one list of tensors
  static constexpr auto fields() {
    return std::tuple{field("name", &Node::name), field("target", &Node::target), field("arguments", &Node::arguments),
                      field("outputs", &Node::outputs), field("outputs_are_list", &Node::outputs_are_list)};
  }
};

struct Program {
  static constexpr uint16_t kVersion = 1;
  uint16_t version = kVersion;
  std::vector<Symbol> symbols;
  std::vector<ProgramInput> inputs;
  std::vector<Parameter> parameters;
  std::vector<ProgramConstant> constants;
  std::vector<std::string> truths;  // values of the graph, of those above, that are bool: bytes of 0 or 1
  std::vector<Node> nodes;
  std::vector<std::string> outputs;
  static constexpr auto fields() {
    return std::tuple{field("version", &Program::version), field("symbols", &Program::symbols),
                      field("inputs", &Program::inputs),   field("parameters", &Program::parameters),
                      field("constants", &Program::constants), field("truths", &Program::truths),
                      field("nodes", &Program::nodes),
                      field("outputs", &Program::outputs)};
  }
};
inline Hash program_id(const Program& program) { return hash_of("cairn.program.v1", program); }

struct ImportedWeight {
  std::string name;
  kernels::TensorType type;
  Bytes bytes;
};

// What a .pt2 held.
struct Import {
  Program program;
  std::vector<ImportedWeight> weights;  // those that the file carries; an export on the meta device carries none
  std::vector<std::string> removed;     // "stack traces of 5 nodes", ...: what normalising took away
};

// Reads what torch.export.save wrote (schema 8.x). Runs nothing, unpickles nothing.
// Errors: malformed, schema (another major version or byte order), limit, invalid (a dtype that Cairn has not),
// data_dependent (a dimension that depends on values), undefined_operator (a node that is no ATen operator).
Result<Import> import_pt2(ByteSpan file);

}  // namespace cairn::runtime
