// A worker with one lie: it adds to one number of one call's output, in one step, and holds to it in every dispute.
//
//   cairn-cheating-worker [STEP [CALL [ELEMENT]]]     default: step 137, number 300 of call 23, which in the digits example is the gradient of the first layer's weights
//
// The environment variable CAIRN_LIE="STEP CALL ELEMENT" says the same, for agents that start workers without arguments.
#include <bit>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "runtime/worker.h"

int main(int argc, char** argv) {
  uint64_t step = 137, call = 23, element = 300;
  std::string words;
  if (const char* lie = std::getenv("CAIRN_LIE")) words = lie;
  for (int i = 1; i < argc; i++) words += std::string(" ") + argv[i];
  std::istringstream(words) >> step >> call >> element;
  return cairn::runtime::serve_worker(3, [=](uint64_t at, uint32_t which, uint8_t output, std::span<uint8_t> bytes) {
    if (at != step || which != call || output != 0 || bytes.size() < (element + 1) * 4) return;
    float value = 0;
    std::memcpy(&value, bytes.data() + element * 4, 4);
    value += 0.25f;
    std::memcpy(bytes.data() + element * 4, &value, 4);
  });
}
