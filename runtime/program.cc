#include "runtime/program.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "base/json.h"
#include "runtime/archive.h"

namespace cairn::runtime {
namespace {

using kernels::DType;
using kernels::TensorType;
using nlohmann::json;

constexpr size_t kMaxModelBytes = 256u << 20;
constexpr size_t kMaxExpandedBytes = 256u << 20;  // that a file's tensors may have beyond twice its own
constexpr int64_t kUnbounded = int64_t{1} << 40;

// Inside this file a rejection travels as an exception, like those of the JSON library; import_pt2 turns it back.
struct Refused {
  Error error;
};
[[noreturn]] void refuse(Code code, std::string text, std::string next) {
  throw Refused{{code, std::move(text), std::move(next)}};
}
template <class T>
T take(Result<T> result) {
  if (!result) throw Refused{result.error()};
  return *std::move(result);
}

// What get<int64_t>() makes of 1e99 is not defined; a reference refuses it.
int64_t whole(const json& value) { return value.get_ref<const json::number_integer_t&>(); }

// torch's serialised scalar types
DType dtype_of(int64_t scalar_type, const std::string& what) {
  switch (scalar_type) {
    case 1: case 12: return DType::u8;
    case 4: return DType::i32;
    case 5: return DType::i64;
    case 7: return DType::f32;
    case 13: return DType::bf16;
    default:
      refuse(Code::invalid, what + " has dtype number " + std::to_string(scalar_type) + " of torch",
             "use float32, bfloat16, int64, int32, uint8 or bool");
  }
}

class Importer {
 public:
  Importer(Archive archive, size_t file_bytes) : archive_(std::move(archive)), room_bytes_(2 * file_bytes + kMaxExpandedBytes) {}

  Import run() {
    find_root();
    const json model = parse("models/model.json");
    check_version(model);
    const json& module = model.at("graph_module");
    read_symbols(model);
    read_signature(module.at("signature"), module.at("graph"));
    read_nodes(module.at("graph"));
    note_removed(model);
    return std::move(out_);
  }

 private:
  void find_root() {
    for (const auto& [name, bytes] : archive_.members())
      if (name.ends_with("/models/model.json")) root_ = name.substr(0, name.size() - std::strlen("models/model.json"));
    if (root_.empty() && !archive_.has("models/model.json"))
      refuse(Code::schema, "the file holds no models/model.json", "write it with torch.export.save of PyTorch 2.11");
  }

  json parse(const std::string& member) const {
    const ByteSpan bytes = take(archive_.member(root_ + member));
    if (bytes.size() > kMaxModelBytes) refuse(Code::limit, member + " is over 256 MiB", "");
    return json::parse(bytes.begin(), bytes.end());
  }

  void check_version(const json& model) const {
    const int64_t major = whole(model.at("schema_version").at("major"));
    if (major != 8)
      refuse(Code::schema, "the program has schema version " + std::to_string(major) + ", this reader knows 8",
             "export it with PyTorch 2.11");
    const ByteSpan order = take(archive_.member(root_ + "byteorder"));
    if (std::string_view(reinterpret_cast<const char*>(order.data()), order.size()).substr(0, 6) != "little")
      refuse(Code::schema, "the program's bytes are not little-endian", "export it on a little-endian machine");
  }

  void read_symbols(const json& model) {
    for (const auto& [name, range] : model.at("range_constraints").items()) {
      const auto bound = [&range = range](const char* key, int64_t otherwise) {
        return range.contains(key) && range[key].is_number_integer() ? whole(range[key]) : otherwise;
      };
      Symbol symbol{name, std::max<int64_t>(bound("min_val", 1), 1), std::min(bound("max_val", kUnbounded), kUnbounded)};
      if (symbol.max < symbol.min) refuse(Code::malformed, "dimension " + name + " has an empty range", "export it again");
      out_.program.symbols.push_back(symbol);
    }
  }

  // "Symbol('s17', positive=True, integer=True)" or "s17": a bare symbol; expressions are refused.
  Dim symbol_of(const std::string& text, const std::string& what) const {
    std::string name = text;
    if (const auto open = text.find("Symbol('"); open == 0) name = text.substr(8, text.find('\'', 8) - 8);
    if (name.starts_with("u"))
      refuse(Code::data_dependent, what + " has dimension " + name + ", whose size depends on values",
             "give it a static size before torch.export");
    for (const Symbol& symbol : out_.program.symbols)
      if (symbol.name == name) return {0, name};
    refuse(Code::schema, what + " has the dimension " + text, "use plain torch.export.Dim dimensions, without arithmetic");
  }

  std::vector<Dim> dims(const json& sizes, const std::string& what) const {
    std::vector<Dim> out;
    for (const json& size : sizes) {
      if (size.contains("as_int")) out.push_back({whole(size["as_int"]), ""});
      else out.push_back(symbol_of(size.at("as_expr").at("expr_str").get<std::string>(), what));
      if (out.back().size < 0) refuse(Code::malformed, what + " has a negative dimension", "export it again");
    }
    return out;
  }

  // A union of the schema: an object whose one member says by its name what it is.
  static json::const_iterator union_of(const json& value, const std::string& what) {
    if (!value.is_object() || value.size() != 1) refuse(Code::malformed, what + " is damaged", "export it again");
    return value.begin();
  }

  static std::vector<int64_t> fixed(const json& numbers, const std::string& what) {
    std::vector<int64_t> out;
    for (const json& number : numbers) {
      if (!number.contains("as_int")) refuse(Code::schema, what + " has a symbolic layout", "make it static");
      out.push_back(whole(number["as_int"]));
    }
    return out;
  }

  struct Stored {
    TensorType type;
    Bytes bytes;        // empty: not in the file
    std::string place;  // equal for tied weights; empty with them
  };

  // A weight file is a whole storage; offset and strides say which part is the tensor.
  Stored read_stored(const std::string& folder, const json& entry, const std::string& what) {
    const json& meta = entry.at("tensor_meta");
    Stored out{{dtype_of(whole(meta.at("dtype")), what), fixed(meta.at("sizes"), what)}, {}, ""};
    const int64_t count = take(kernels::elements_checked(out.type));
    std::vector<int64_t> strides = fixed(meta.at("strides"), what);
    const int64_t offset = fixed(json::array({meta.at("storage_offset")}), what)[0];
    if (strides.size() != out.type.shape.size()) refuse(Code::malformed, what + " has a damaged layout", "export it again");
    if (entry.value("use_pickle", false)) return out;
    const auto file = entry.at("path_name").get<std::string>();
    const ByteSpan storage = take(archive_.member(root_ + folder + file));
    if (storage.empty() || count == 0) return out;

    const size_t width = static_cast<size_t>(kernels::size_of(out.type.dtype));
    for (size_t d = 0; d < strides.size(); d++)
      if (out.type.shape[d] == 1) strides[d] = 0;  // nobody steps there
    bool inside = offset >= 0;
    u128 last = static_cast<u128>(std::max<int64_t>(offset, 0));
    for (size_t d = 0; d < strides.size(); d++) {
      inside = inside && strides[d] >= 0;
      last += static_cast<u128>(out.type.shape[d] - 1) * static_cast<u128>(std::max<int64_t>(strides[d], 0));
    }
    if (!inside || last >= storage.size() / width) refuse(Code::malformed, what + " lies outside its file", "export it again");
    if (static_cast<uint64_t>(count) > room_bytes_ / width)
      refuse(Code::limit, "the tensors up to " + what + " are far larger than the file", "make what is expanded or shared contiguous before torch.export");
    out.bytes.resize(static_cast<size_t>(count) * width);
    room_bytes_ -= out.bytes.size();
    std::vector<int64_t> index(strides.size(), 0);
    int64_t at = offset;
    for (int64_t i = 0; i < count; i++) {
      std::memcpy(&out.bytes[static_cast<size_t>(i) * width], &storage[static_cast<size_t>(at) * width], width);
      for (size_t d = strides.size(); d-- > 0;) {
        at += strides[d];
        if (++index[d] < out.type.shape[d]) break;
        at -= strides[d] * out.type.shape[d];
        index[d] = 0;
      }
    }
    out.place = to_json(out.type) + to_json(strides) + std::to_string(offset) + file;
    return out;
  }

  void read_signature(const json& signature, const json& graph) {
    const json weights = parse("data/weights/model_weights_config.json").at("config");
    const json constants = parse("data/constants/model_constants_config.json").at("config");
    std::map<std::string, size_t> tied;  // place -> parameter
    const auto add_parameter = [&](const std::string& name, const std::string& value, bool trained) {
      Stored stored = read_stored("data/weights/", weights.at(name), "parameter '" + name + "'");
      if (!stored.place.empty()) {
        const auto [at, is_new] = tied.emplace(stored.place, out_.program.parameters.size());
        if (!is_new) {
          Parameter& first = out_.program.parameters[at->second];
          first.values.push_back(value);
          first.aliases.push_back(name);
          return;
        }
      }
      out_.program.parameters.push_back({name, {value}, {}, stored.type, trained});
      if (!stored.bytes.empty()) out_.weights.push_back({name, stored.type, std::move(stored.bytes)});
    };
    const auto add_constant = [&](const std::string& name, const std::string& value) {
      Stored stored = read_stored("data/constants/", constants.at(name), "constant '" + name + "'");
      if (stored.bytes.empty() && kernels::elements(stored.type) > 0)
        refuse(Code::invalid, "constant '" + name + "' has no values in the file", "export it on the cpu device, not on meta");
      out_.program.constants.push_back({value, stored.type, std::move(stored.bytes)});
    };
    for (const json& spec : signature.at("input_specs")) {
      const auto one = union_of(spec, "an input of the program");
      const std::string kind = one.key();
      const json& body = one.value();
      if (kind == "parameter") {
        add_parameter(body.at("parameter_name"), body.at("arg").at("name"), true);
      } else if (kind == "buffer") {
        const std::string name = body.at("buffer_name");
        if (weights.contains(name)) add_parameter(name, body.at("arg").at("name"), false);
        else add_constant(name, body.at("arg").at("name"));
      } else if (kind == "tensor_constant") {
        add_constant(body.at("tensor_constant_name"), body.at("arg").at("name"));
      } else if (kind == "user_input" && body.at("arg").contains("as_tensor")) {
        const std::string name = body["arg"]["as_tensor"].at("name");
        const json& value = graph.at("tensor_values").at(name);
        const std::string what = "input '" + name + "'";
        out_.program.inputs.push_back({name, dtype_of(whole(value.at("dtype")), what), dims(value.at("sizes"), what)});
      } else {
        refuse(Code::schema, "an input of the program is of kind " + kind + ", not a tensor", "pass tensors only");
      }
    }
    constexpr int64_t kBool = 12;
    const auto note_truth = [&](const std::string& value) {
      if (whole(graph.at("tensor_values").at(value).at("dtype")) == kBool) out_.program.truths.push_back(value);
    };
    for (const ProgramInput& input : out_.program.inputs) note_truth(input.name);
    for (const ProgramConstant& constant : out_.program.constants) note_truth(constant.value);
    for (const Parameter& parameter : out_.program.parameters)
      for (const std::string& value : parameter.values) note_truth(value);
    for (const json& spec : signature.at("output_specs")) {
      const auto one = union_of(spec, "an output of the program");
      const std::string kind = one.key();
      const json& arg = one.value().at("arg");
      if (kind == "user_output" || kind == "loss_output") {
        const json& tensor = arg.contains("as_tensor") ? arg["as_tensor"] : arg;
        if (!tensor.contains("name")) refuse(Code::schema, "an output of the program is not a tensor", "return tensors only");
        out_.program.outputs.push_back(tensor["name"]);
      }
    }
    if (out_.program.outputs.empty()) refuse(Code::schema, "the program returns nothing", "return the loss, or the predictions");
  }

  Argument argument(const json& arg, const std::string& what) const {
    const auto one = union_of(arg, what);
    const std::string kind = one.key();
    const json& value = one.value();
    using K = ArgumentKind;
    const auto number = [&](const json& v) -> int64_t {
      double wide = 0;
      if (v.is_string()) {  // JSON has no infinities
        const std::string text = v;
        if (text != "Infinity" && text != "-Infinity" && text != "NaN") refuse(Code::malformed, what + " is no number", "export it again");
        wide = text == "NaN" ? NAN : text == "Infinity" ? INFINITY : -INFINITY;
      } else {
        wide = v.get<double>();
      }
      return std::bit_cast<int64_t>(wide);
    };
    Argument out;
    const auto add_symint = [&](const json& v) {
      out.names.push_back(v.contains("as_name") ? v["as_name"].get<std::string>() : "");
      out.numbers.push_back(v.contains("as_int") ? whole(v["as_int"]) : 0);
    };
    if (kind == "as_none") out.kind = K::none;
    else if (kind == "as_tensor") out = {K::tensor, {value.at("name")}, {}, ""};
    else if (kind == "as_tensors") {
      out.kind = K::tensors;
      for (const json& v : value) out.names.push_back(v.at("name"));
    } else if (kind == "as_optional_tensors") {
      out.kind = K::optional_tensors;
      for (const json& v : value) out.names.push_back(v.contains("as_tensor") ? v["as_tensor"].at("name").get<std::string>() : "");
    } else if (kind == "as_int") out = {K::integer, {""}, {whole(value)}, ""};
    else if (kind == "as_sym_int") {
      out.kind = K::integer;
      add_symint(value);
    } else if (kind == "as_ints") {
      out = {K::integers, std::vector<std::string>(value.size()), {}, ""};
      for (const json& v : value) out.numbers.push_back(whole(v));
    } else if (kind == "as_sym_ints") {
      out.kind = K::integers;
      for (const json& v : value) add_symint(v);
    } else if (kind == "as_float") out = {K::number, {}, {number(value)}, ""};
    else if (kind == "as_floats") {
      out.kind = K::numbers;
      for (const json& v : value) out.numbers.push_back(number(v));
    } else if (kind == "as_bool") out = {K::boolean, {}, {value.get<bool>() ? 1 : 0}, ""};
    else if (kind == "as_bools") {
      out.kind = K::booleans;
      for (const json& v : value) out.numbers.push_back(v.get<bool>() ? 1 : 0);
    } else if (kind == "as_string") out = {K::text, {}, {}, value.get<std::string>()};
    else if (kind == "as_scalar_type") out = {K::dtype, {}, {whole(value)}, ""};
    else if (kind == "as_device") out.kind = K::device;  // baked in by the export; a plan has none
    else if (kind == "as_layout") out.kind = K::layout;
    else if (kind == "as_memory_format") out = {K::memory_format, {}, {whole(value)}, ""};
    else refuse(Code::schema, what + " is of kind " + kind, "write that part of the model without it");
    return out;
  }

  void read_nodes(const json& graph) {
    for (const json& entry : graph.at("nodes")) {
      Node node;
      node.target = entry.at("target").get<std::string>();
      for (const json& output : entry.at("outputs")) {
        if (output.contains("as_tensor")) node.outputs.push_back(output["as_tensor"].at("name"));
        else if (output.contains("as_sym_int")) node.outputs.push_back(output["as_sym_int"].at("as_name"));
        else if (output.contains("as_tensors")) {
          node.outputs_are_list = true;
          for (const json& v : output["as_tensors"]) node.outputs.push_back(v.at("name"));
        } else if (output.contains("as_none")) node.outputs.push_back("");
        else refuse(Code::schema, "node for " + node.target + " gives " + union_of(output, "a node").key(), "write that part without it");
      }
      node.name = entry.contains("name") && entry["name"].is_string() ? entry["name"].get<std::string>()
                  : node.outputs.empty()                              ? ""
                                                                      : node.outputs[0];
      if (!node.target.starts_with("torch.ops."))
        refuse(Code::undefined_operator, "node '" + node.name + "' calls " + node.target + ", which is no ATen operator",
               "write that part with tensor operators");
      node.target = node.target.substr(std::strlen("torch.ops."));
      if (node.target.starts_with("aten._assert_tensor_metadata")) continue;
      if (node.target.starts_with("aten._assert_scalar") || node.target.starts_with("aten.item") || node.target.starts_with("aten.nonzero"))
        refuse(Code::data_dependent, "node '" + node.name + "' (" + node.target + ") makes the graph depend on values",
               "write that part without branching on values");
      if (!node.target.starts_with("aten."))
        refuse(Code::undefined_operator, "node '" + node.name + "' calls " + node.target + ", which is no ATen operator",
               "write that part with tensor operators");
      for (const json& input : entry.at("inputs"))
        node.arguments.push_back({input.at("name"), argument(input.at("arg"), "argument '" + input.at("name").get<std::string>() +
                                                                                  "' of node '" + node.name + "'")});
      out_.program.nodes.push_back(std::move(node));
    }
  }

  void note_removed(const json& model) {
    size_t traces = 0, paths = 0;
    for (const json& node : model.at("graph_module").at("graph").at("nodes")) {
      if (!node.contains("metadata")) continue;
      traces += node["metadata"].contains("stack_trace");
      paths += node["metadata"].contains("nn_module_stack");
    }
    if (traces) out_.removed.push_back("stack traces of " + std::to_string(traces) + " nodes, with paths and source lines");
    if (paths) out_.removed.push_back("module paths of " + std::to_string(paths) + " nodes");
    if (model.contains("guards_code") && !model["guards_code"].empty()) out_.removed.push_back("guard expressions");
    if (model.contains("torch_version")) out_.removed.push_back("the exporter's version");
    for (const auto& [name, bytes] : archive_.members())
      if (name.find("/sample_inputs/") != std::string::npos && !bytes.empty()) {
        out_.removed.push_back("sample inputs (a pickle, never read)");
        break;
      }
  }

  Archive archive_;
  std::string root_;
  size_t room_bytes_;  // for tensors: strides of 0 and shared files make many of few
  Import out_;
};

}  // namespace

Result<Import> import_pt2(ByteSpan file) {
  TRY_LET(archive, Archive::open(file));
  try {
    return Importer(std::move(archive), file.size()).run();
  } catch (const Refused& refused) {
    return refused.error;
  } catch (const json::exception& wrong) {
    return Error{Code::malformed, std::string("the program's description is damaged: ") + wrong.what(),
                 "export it again with torch.export.save"};
  }
}

}  // namespace cairn::runtime
