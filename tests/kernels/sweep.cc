#include "tests/kernels/sweep.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>

namespace cairn::kernels {
namespace {

constexpr uint64_t kAll = uint64_t{1} << 32;
constexpr uint64_t kOfLibrary = 64;  // of so many chunks one goes through the library's build of the definition too

struct Room {
  alignas(64) float x[kSweepChunk], want[kSweepChunk], have[kSweepChunk], fixed[kSweepChunk];
};

// The floats whose bits are `first`, first + step, ...; with the library's build of the definition too, or without.
void sweep_chunk(const Swept& function, uint64_t first, uint64_t step, bool of_library, Room& room, Found& found) {
  const Operator& op = *find_operator(std::string_view(function.op));
  const TensorType many{DType::f32, {static_cast<int64_t>(kSweepChunk)}};
  std::vector<const void*> in{room.x};
  if (function.before) in.insert(in.begin(), room.fixed);
  if (function.after) in.push_back(room.fixed);
  const std::vector<TensorType> types(in.size(), many), out_types{many};
  std::vector<int64_t> attrs;
  for (const float attribute : function.attrs) attrs.push_back(attr_of(attribute));
  const CallShape call{types, out_types, attrs};
  for (size_t i = 0; i < kSweepChunk; i++) room.x[i] = std::bit_cast<float>(static_cast<uint32_t>(first + i * step));
  run_definition(function.op, call, in, room.want);
  for (const Isa isa : isas()) {
    if (isa == Isa::vnni) continue;  // has products of its own, and nothing else
    if (isa == Isa::scalar && !of_library) continue;
    const std::vector<void*> out{room.have};
    op.host(call, {}, in, out, {isa, nullptr});
    if (std::memcmp(room.want, room.have, sizeof room.want) == 0) continue;
    for (size_t i = 0; i < kSweepChunk; i++) found.differ += std::memcmp(&room.want[i], &room.have[i], 4) != 0;
  }
  add_errors(function, room.x, room.want, found);
}

}  // namespace

std::string Swept::name() const {
  const auto text = [](float value) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%g", static_cast<double>(value));
    return std::string(digits);
  };
  if (before) return std::string(op) + "(" + text(*before) + ", x)";
  if (after) return std::string(op) + "(x, " + text(*after) + ")";
  return op;
}

Found sweep(const Swept& function, uint64_t stride, unsigned threads) {
  CHECK(std::ranges::count(isas(), Isa::avx2) == 1);
  Found all;
  std::mutex mutex;
  std::vector<std::thread> workers;
  for (unsigned t = 0; t < threads; t++)
    workers.emplace_back([&, t] {
      const auto room = std::make_unique<Room>();
      std::ranges::fill(room->fixed, function.before.value_or(function.after.value_or(0)));
      Found found;
      if (t == 0 && stride > 1) sweep_chunk(function, 0, kAll / kSweepChunk, true, *room, found);  // round numbers, infinities, a NaN
      for (uint64_t chunk = t; chunk * kSweepChunk * stride < kAll; chunk += threads)
        sweep_chunk(function, chunk * kSweepChunk * stride, stride, chunk % kOfLibrary == 0, *room, found);
      const std::lock_guard lock(mutex);
      all.count += found.count;
      all.differ += found.differ;
      all.rounded += found.rounded;
      if (found.worst > all.worst) all.worst = found.worst, all.worst_at = found.worst_at;
      if (found.absolute > all.absolute) all.absolute = found.absolute, all.absolute_at = found.absolute_at;
    });
  for (std::thread& worker : workers) worker.join();
  all.good = all.differ == 0 && all.worst <= function.ulp && all.absolute <= function.absolute;
  return all;
}

}  // namespace cairn::kernels
