// `cairn program ...`: a program on this machine alone, without chain, keys or pay. The same worker, the same plan and so the
// same bits as a job would give. Nothing here knows libtorch; it talks to cairn-worker.
#pragma once

#include <filesystem>

#include "agent/output.h"
#include "runtime/optimizer.h"

namespace cairn::agent {

// What a program is, needs, and what of it `exact` does not define.
Result<> program_inspect(const Output& out, const std::filesystem::path& program);

enum class LocalTier : uint8_t { exact = 1, native = 2, both = 3 };  // both: exact, and native beside it for comparison
Result<LocalTier> parse_local_tier(const std::string& text);         // error: usage

struct ProgramRun {
  std::filesystem::path program;
  std::filesystem::path weights;  // safetensors by parameter name; empty: the file's own, else from the seed
  std::filesystem::path inputs;   // safetensors by input name
  std::filesystem::path outputs;  // safetensors: output_0, output_1, ... with one row for each row of the inputs
  LocalTier tier = LocalTier::exact;
  uint64_t batch = 0;
  uint64_t seed = 0;
  uint32_t threads = 1;  // 0: as many as there are cores
};
Result<> program_run(const Output& out, const ProgramRun& request);

struct ProgramTraining {
  std::filesystem::path program;
  std::filesystem::path weights;  // to start from; may be empty
  std::filesystem::path data;     // safetensors by input name
  std::filesystem::path outputs;  // safetensors by parameter name
  std::filesystem::path folder;   // keeps plan and checkpoints; a run that lies there is gone on with. Empty: none is kept
  uint64_t steps = 0;
  uint64_t interval = 0;          // between checkpoints; 0: a tenth of the steps with a folder, else only the end
  uint64_t batch = 0;
  uint64_t seed = 0;
  runtime::Optimizer optimizer;
  LocalTier tier = LocalTier::exact;
  uint32_t threads = 1;  // 0: as many as there are cores
};
Result<> program_train(const Output& out, const ProgramTraining& request);

}  // namespace cairn::agent
