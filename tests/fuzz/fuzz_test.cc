// Every target on its corpus, on its own examples, and on a few hundred damaged forms of them.
//
//   fuzz_test --write-corpus     puts the examples into tests/fuzz/corpus/
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "base/blake3.h"
#include "base/log.h"
#include "tests/fuzz/targets.h"

namespace cairn::fuzz {
namespace {

const std::filesystem::path kCorpus = "tests/fuzz/corpus";
constexpr int kDamaged = 300;           // of each target
constexpr size_t kWrittenMost = 4096;   // bytes of an example that is kept as a file
bool write_corpus = false;

Bytes damaged(Bytes bytes, std::mt19937_64& rng) {
  for (uint64_t n = 1 + rng() % 4; n > 0 && !bytes.empty(); n--) bytes[rng() % bytes.size()] = static_cast<uint8_t>(rng());
  if (rng() % 8 == 0) bytes.resize(rng() % (bytes.size() + 1));
  if (rng() % 8 == 0) bytes.push_back(static_cast<uint8_t>(rng()));
  return bytes;
}

class Fuzz : public testing::TestWithParam<size_t> {};

TEST_P(Fuzz, CorpusAndDamage) {
  const Target& target = targets()[GetParam()];
  std::vector<Bytes> inputs = target.examples();
  const auto folder = kCorpus / target.name;
  if (write_corpus) {
    std::filesystem::create_directories(folder);
    for (const Bytes& bytes : inputs)
      if (bytes.size() <= kWrittenMost)
        std::ofstream(folder / blake3(bytes).hex().substr(0, 16), std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  if (std::filesystem::exists(folder))
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      std::ifstream file(entry.path(), std::ios::binary);
      inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
  ASSERT_FALSE(inputs.empty());
  for (const Bytes& bytes : inputs) target.run(bytes);
  std::mt19937_64 rng(GetParam());
  for (int i = 0; i < kDamaged; i++) target.run(damaged(inputs[rng() % inputs.size()], rng));
}

INSTANTIATE_TEST_SUITE_P(Targets, Fuzz, testing::Range<size_t>(0, targets().size()),
                         [](const auto& target) { return std::string(targets()[target.param].name); });

}  // namespace
}  // namespace cairn::fuzz

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  cairn::set_log_level(cairn::LogLevel::error);
  for (int i = 1; i < argc; i++) cairn::fuzz::write_corpus |= std::string(argv[i]) == "--write-corpus";
  return RUN_ALL_TESTS();
}
