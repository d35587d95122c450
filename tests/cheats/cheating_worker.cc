// cairn-cheating-worker STEP CALL OUTPUT ELEMENT ADD: an honest worker but for one lie, for tests and demonstrations.
//
// At step STEP it adds ADD to number ELEMENT of output OUTPUT of call CALL, and stands by it: its checkpoints, its verdicts and
// its side of a dispute all follow from that.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "runtime/worker.h"

int main(int count, char** words) {
  if (count != 6) {
    std::fprintf(stderr, "usage: cairn-cheating-worker STEP CALL OUTPUT ELEMENT ADD\n");
    return 2;
  }
  const unsigned long step = std::strtoul(words[1], nullptr, 10), call = std::strtoul(words[2], nullptr, 10),
                      output = std::strtoul(words[3], nullptr, 10), element = std::strtoul(words[4], nullptr, 10);
  const float add = std::strtof(words[5], nullptr);
  return cairn::runtime::worker_main([=](uint64_t s, uint32_t c, uint8_t o, std::span<uint8_t> bytes) {
    if (s != step || c != call || o != output || element * 4 + 4 > bytes.size()) return;
    float value = 0;
    std::memcpy(&value, &bytes[element * 4], 4);
    value += add;
    std::memcpy(&bytes[element * 4], &value, 4);
  });
}
