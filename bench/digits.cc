#include "bench/digits.h"

#include <map>

#include "base/file.h"
#include "runtime/artefacts.h"

namespace cairn::bench {

DigitsJob::DigitsJob(const std::string& program, uint64_t steps) : worker(must(runtime::WorkerClient::start(program))) {
  const Bytes file = must(read_file("examples/digits/train.safetensors", 1 << 24));
  const auto data = must(runtime::parse_tensors(file));
  runtime::AskTrace ask{"examples/digits/train.pt2", store.path.string(), {}, {}};
  std::map<std::string, Hash> ids;
  for (const auto& tensor : data.tensors) {
    ask.request.data.push_back({tensor.name, tensor.type});
    ids[tensor.name] = must(runtime::write_artefact(store.path, tensor.bytes));
  }
  ask.request.steps = steps;
  traced = must(worker->trace(ask));
  ids["schedule"] = traced.schedule.value();
  work.store = store.path.string();
  work.plan = traced.plan;
  work.seed = 1;
  for (const auto& input : traced.inputs) work.inputs.push_back(ids.at(input));
}

}  // namespace cairn::bench
