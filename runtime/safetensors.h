// Named tensors in a file, as everybody stores weights.
//
//   file := header_bytes:u64 header data
//   header := JSON {"__metadata__": {text: text}, NAME: {"dtype": "F32", "shape": [...], "data_offsets": [begin, end]}}
//
// Read with suspicion: checked arithmetic, spans sorted, contiguous and without holes, product(shape) x dtype = span,
// header at most 8 MiB. Dtypes: F32 I64 I32 U8 BOOL.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "kernels/operator.h"

namespace cairn::runtime {

struct NamedTensor {
  std::string name;
  kernels::TensorType type;
  ByteSpan bytes;  // row-major, in memory owned by somebody else
};

struct TensorFile {
  std::vector<NamedTensor> tensors;  // in the order of their bytes
  std::map<std::string, std::string> metadata;

  const NamedTensor* find(std::string_view name) const;
};

// Views into `file`. Errors: malformed, limit, invalid (a dtype that Cairn has not).
Result<TensorFile> parse_tensors(ByteSpan file);

// The same values always give the same bytes.
Bytes write_tensors(const TensorFile& file);

}  // namespace cairn::runtime
