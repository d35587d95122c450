#include "runtime/safetensors.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/json.h"

namespace cairn::runtime {
namespace {

using kernels::DType;
using nlohmann::json;

constexpr uint64_t kMaxHeader = 8u << 20;

Error damaged(std::string what) {
  return {Code::malformed, "the safetensors file is damaged: " + what, "fetch or write it again"};
}

std::optional<DType> dtype_of(const std::string& name) {
  if (name == "F32") return DType::f32;
  if (name == "I64") return DType::i64;
  if (name == "I32") return DType::i32;
  if (name == "BF16") return DType::bf16;
  if (name == "U8" || name == "BOOL") return DType::u8;
  return std::nullopt;
}

const char* name_of(DType type) {
  switch (type) {
    case DType::f32: return "F32";
    case DType::i64: return "I64";
    case DType::i32: return "I32";
    case DType::u8: return "U8";
    case DType::bf16: return "BF16";
  }
  return "?";
}

struct Span {
  uint64_t begin, end;
};

Result<NamedTensor> parse_entry(const std::string& name, const json& entry, Span& span) {
  if (!entry.is_object() || !entry.contains("dtype") || !entry.contains("shape") || !entry.contains("data_offsets"))
    return damaged("tensor '" + name + "' lacks dtype, shape or data_offsets");
  const json &dtype = entry["dtype"], &shape = entry["shape"], &offsets = entry["data_offsets"];
  if (!dtype.is_string() || !shape.is_array() || !offsets.is_array() || offsets.size() != 2 ||
      !offsets[0].is_number_unsigned() || !offsets[1].is_number_unsigned())
    return damaged("tensor '" + name + "' is described wrongly");
  const auto type = dtype_of(dtype.get<std::string>());
  if (!type)
    return Error{Code::invalid, "tensor '" + name + "' has dtype " + dtype.get<std::string>(),
                 "convert it to F32, BF16, I64, I32, U8 or BOOL"};
  NamedTensor tensor{name, {*type, {}}, {}};
  for (const json& dim : shape) {
    if (!dim.is_number_unsigned() || dim.get<uint64_t>() > INT64_MAX) return damaged("tensor '" + name + "' has a wrong shape");
    tensor.type.shape.push_back(dim.get<int64_t>());
  }
  if (tensor.type.shape.size() > 16) return damaged("tensor '" + name + "' has more than 16 dimensions");
  TRY_LET(count, kernels::elements_checked(tensor.type));
  span = {offsets[0].get<uint64_t>(), offsets[1].get<uint64_t>()};
  if (span.end < span.begin || span.end - span.begin != static_cast<uint64_t>(count * kernels::size_of(*type)))
    return damaged("tensor '" + name + "' has a shape that does not fit its bytes");
  return tensor;
}

}  // namespace

const NamedTensor* TensorFile::find(std::string_view name) const {
  for (const NamedTensor& tensor : tensors)
    if (tensor.name == name) return &tensor;
  return nullptr;
}

Result<TensorFile> parse_tensors(ByteSpan file) {
  if (file.size() < 8) return damaged("it is shorter than its length field");
  uint64_t header_bytes = 0;
  for (size_t i = 0; i < 8; i++) header_bytes |= static_cast<uint64_t>(file[i]) << (8 * i);
  if (header_bytes > kMaxHeader) return Error{Code::limit, "the header of the safetensors file is over 8 MiB", "bring a file that save_file of safetensors wrote"};
  if (header_bytes > file.size() - 8) return damaged("its header is cut");
  const ByteSpan text = file.subspan(8, header_bytes), data = file.subspan(8 + header_bytes);
  const json header = json::parse(text.begin(), text.end(), nullptr, false);
  if (!header.is_object()) return damaged("its header is no JSON object");

  TensorFile out;
  std::vector<std::pair<Span, NamedTensor>> found;
  for (const auto& [key, entry] : header.items()) {
    if (key == "__metadata__") {
      if (!entry.is_object()) return damaged("its metadata is no object");
      for (const auto& [name, value] : entry.items()) {
        if (!value.is_string()) return damaged("its metadata holds more than text");
        out.metadata[name] = value.get<std::string>();
      }
      continue;
    }
    Span span{};
    TRY_LET(tensor, parse_entry(key, entry, span));
    found.emplace_back(span, std::move(tensor));
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first.begin, a.first.end) < std::pair(b.first.begin, b.first.end);
  });
  uint64_t at = 0;
  for (auto& [span, tensor] : found) {
    if (span.begin != at || span.end > data.size()) return damaged("the bytes of tensor '" + tensor.name + "' leave a hole or overlap");
    tensor.bytes = data.subspan(span.begin, span.end - span.begin);
    at = span.end;
    out.tensors.push_back(std::move(tensor));
  }
  if (at != data.size()) return damaged("bytes follow its last tensor");
  return out;
}

Bytes write_tensors(const TensorFile& file) {
  std::string header = "{";
  if (!file.metadata.empty()) {
    header += "\"__metadata__\":{";
    for (const auto& [name, value] : file.metadata)
      header += (header.back() == '{' ? "" : ",") + json_quote(name) + ":" + json_quote(value);
    header += "}";
  }
  uint64_t at = 0;
  for (const NamedTensor& tensor : file.tensors) {
    header += (header.size() > 1 ? "," : "") + json_quote(tensor.name) + ":{\"dtype\":\"" + name_of(tensor.type.dtype) +
              "\",\"shape\":" + to_json(tensor.type.shape) + ",\"data_offsets\":[" + std::to_string(at) + ",";
    at += tensor.bytes.size();
    header += std::to_string(at) + "]}";
  }
  header += "}";
  while ((8 + header.size()) % 64 != 0) header += ' ';  // data starts where vector loads like it

  Bytes out;
  out.reserve(8 + header.size() + at);
  for (size_t i = 0; i < 8; i++) out.push_back(static_cast<uint8_t>(header.size() >> (8 * i)));
  out.insert(out.end(), header.begin(), header.end());
  for (const NamedTensor& tensor : file.tensors) out.insert(out.end(), tensor.bytes.begin(), tensor.bytes.end());
  return out;
}

}  // namespace cairn::runtime
