#include "runtime/graph_driver.h"

#include <bit>

#include "runtime/exact_device.h"
#include "runtime/recorder.h"

namespace cairn::runtime {
namespace {

using at::Tensor;
using K = ArgumentKind;

at::ScalarType scalar_type(int64_t serialized) {
  constexpr at::ScalarType kTypes[] = {at::kByte, at::kByte,  at::kChar,   at::kShort,         at::kInt,           at::kLong,
                                       at::kHalf, at::kFloat, at::kDouble, at::kComplexHalf,   at::kComplexFloat,  at::kComplexDouble,
                                       at::kBool, at::kBFloat16};
  TORCH_CHECK(serialized >= 0 && serialized < static_cast<int64_t>(std::size(kTypes)), "unknown dtype ", serialized);
  return kTypes[serialized];
}

const c10::IValue& find(const Values& values, const std::string& name) {
  const auto found = values.find(name);
  TORCH_CHECK(found != values.end(), "the graph uses '", name, "' before it is made");
  return found->second;
}

int64_t integer(const Argument& argument, size_t i, const Values& values) {
  return argument.names[i].empty() ? argument.numbers[i] : find(values, argument.names[i]).toInt();
}

// A number where the operator wants a tensor.
Tensor wrapped(const c10::Scalar& value, at::ScalarType dtype) {
  Tensor tensor = at::scalar_tensor(value, at::TensorOptions(dtype));
  tensor.unsafeGetTensorImpl()->set_wrapped_number(true);
  return tensor;
}

c10::IValue convert(const Argument& argument, const c10::TypePtr& wanted, const Values& values, c10::Device device) {
  c10::TypePtr type = wanted;
  if (const auto optional = type->cast<c10::OptionalType>()) type = optional->getElementType();
  const bool as_tensor = type->kind() == c10::TypeKind::TensorType, as_float = type->kind() == c10::TypeKind::FloatType;
  switch (argument.kind) {
    case K::none: return {};
    case K::tensor: return find(values, argument.names.at(0));
    case K::tensors: {
      c10::List<Tensor> list;
      for (const std::string& name : argument.names) list.push_back(find(values, name).toTensor());
      return list;
    }
    case K::optional_tensors: {
      c10::List<std::optional<Tensor>> list;
      for (const std::string& name : argument.names)
        list.push_back(name.empty() ? std::nullopt : std::optional(find(values, name).toTensor()));
      return list;
    }
    case K::integer: {
      const int64_t value = integer(argument, 0, values);
      if (as_tensor) return wrapped(value, at::kLong);
      return as_float ? c10::IValue(static_cast<double>(value)) : c10::IValue(value);
    }
    case K::integers: {
      std::vector<int64_t> list;
      for (size_t i = 0; i < argument.numbers.size(); i++) list.push_back(integer(argument, i, values));
      return list;
    }
    case K::number: {
      const auto value = std::bit_cast<double>(argument.numbers.at(0));
      return as_tensor ? c10::IValue(wrapped(value, at::kDouble)) : c10::IValue(value);
    }
    case K::numbers: {
      std::vector<double> list;
      for (const int64_t bits : argument.numbers) list.push_back(std::bit_cast<double>(bits));
      return list;
    }
    case K::boolean: {
      const bool value = argument.numbers.at(0) != 0;
      return as_tensor ? c10::IValue(wrapped(value, at::kBool)) : c10::IValue(value);
    }
    case K::booleans: {
      c10::List<bool> list;
      for (const int64_t value : argument.numbers) list.push_back(value != 0);
      return list;
    }
    case K::text: return argument.text;
    case K::dtype: return static_cast<int64_t>(scalar_type(argument.numbers.at(0)));
    case K::device: return device;
    case K::layout: return static_cast<int64_t>(at::kStrided);
    case K::memory_format: {
      constexpr at::MemoryFormat kFormats[] = {at::MemoryFormat::Contiguous, at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast,
                                               at::MemoryFormat::ChannelsLast3d, at::MemoryFormat::Preserve};
      const int64_t number = argument.numbers.at(0);
      TORCH_CHECK(number >= 0 && number < static_cast<int64_t>(std::size(kFormats)), "unknown memory format");
      return static_cast<int64_t>(kFormats[number]);
    }
  }
  return {};
}

void run_node(const Node& node, Values& values, c10::Device device) {
  const size_t first = node.target.find('.'), second = node.target.find('.', first + 1);
  TORCH_CHECK(second != std::string::npos, "the target '", node.target, "' is no operator");
  std::string name = node.target.substr(first + 1, second - first - 1), overload = node.target.substr(second + 1);
  if (overload == "default") overload.clear();
  // Graphs rely on the strides of CPU operators: the exporter drops `.contiguous()` where those were contiguous.
  if (name == "view" || name == "_unsafe_view") name = "reshape";
  const auto op = c10::Dispatcher::singleton().findSchema({"aten::" + name, overload});
  if (!op) refuse_undefined("aten::" + name, "");
  torch::jit::Stack stack;
  for (const c10::Argument& argument : op->schema().arguments()) {
    std::string wanted = argument.name();
    if (name == "reshape" && wanted == "shape") wanted = "size";
    const auto given = std::find_if(node.arguments.begin(), node.arguments.end(),
                                    [&](const NamedArgument& one) { return one.name == wanted || one.name == argument.name(); });
    if (argument.name() == "device") stack.emplace_back(device);  // whatever the graph says: no kernel of another device runs
    else if (given != node.arguments.end()) stack.push_back(convert(given->value, argument.type(), values, device));
    else {
      TORCH_CHECK(argument.default_value(), "the argument '", argument.name(), "' is missing");
      stack.push_back(*argument.default_value());
    }
  }
  op->callBoxed(stack);
  if (node.outputs_are_list) {
    TORCH_CHECK(stack.size() == 1 && stack[0].isTensorList(), "it should give a list");
    const auto list = stack[0].toTensorVector();
    TORCH_CHECK(list.size() == node.outputs.size(), "it gives another number of tensors");
    for (size_t i = 0; i < list.size(); i++) values[node.outputs[i]] = list[i];
    return;
  }
  TORCH_CHECK(stack.size() >= node.outputs.size(), "it gives fewer values than the graph takes");
  for (size_t i = 0; i < node.outputs.size(); i++)
    if (!node.outputs[i].empty()) values[node.outputs[i]] = stack[i];
}

}  // namespace

Dead dead_after(const Program& program) {
  std::map<std::string, size_t> last;
  for (size_t n = 0; n < program.nodes.size(); n++) {
    for (const std::string& name : program.nodes[n].outputs) last[name] = n;
    for (const NamedArgument& argument : program.nodes[n].arguments)
      for (const std::string& name : argument.value.names)
        if (const auto found = last.find(name); found != last.end()) found->second = n;
  }
  for (const std::string& name : program.outputs) last.erase(name);
  Dead dead(program.nodes.size());
  for (const auto& [name, n] : last) dead[n].push_back(name);
  return dead;
}

void drive(const Program& program, Values& values, c10::Device device, const Dead& dead) {
  for (size_t n = 0; n < program.nodes.size(); n++) {
    const Node& node = program.nodes[n];
    if (Recorder* recorder = Recorder::current()) recorder->enter_node(node.name, node.target);
    try {
      run_node(node, values, device);
    } catch (const c10::Error& error) {
      throw Refusal({Code::shape, "node '" + node.name + "' (" + node.target + "): " + error.what_without_backtrace(),
                     "compare the shapes of the data with those of the export"});
    }
    if (Recorder* recorder = Recorder::current()) recorder->leave_node();
    if (!dead.empty())
      for (const std::string& name : dead[n]) values.erase(name);
  }
}

}  // namespace cairn::runtime
