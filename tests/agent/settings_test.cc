// The sample files are the manual: every setting stands in them, with its default, under a comment.
#include "agent/settings.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "base/json.h"

namespace cairn::agent {
namespace {

// Paths are compared as text.
template <class T>
std::string shown(const T& value) {
  if constexpr (std::is_same_v<T, std::filesystem::path>) {
    return expand_home(value).string();
  } else if constexpr (is_within_v<T>) {
    return std::to_string(value.value);
  } else {
    return to_json(value);
  }
}

template <class Config>
void expect_manual(const std::string& file) {
  const auto text = read_text(file, 1 << 20);
  ASSERT_TRUE(text) << text.error().message();
  const auto tree = parse_config(*text, file);
  ASSERT_TRUE(tree) << tree.error().message();
  auto config = read_config<Config>(file);
  ASSERT_TRUE(config) << config.error().message();
  std::map<std::string, std::string> defaults;
  Config fresh;
  for_each_field(fresh, [&](const char* key, const auto& value) { defaults[key] = shown(value); });
  for_each_field(*config, [&](const char* key, const auto& value) {
    EXPECT_NE(tree->find(key), nullptr) << file << " does not show `" << key << "`";
    EXPECT_EQ(shown(value), defaults[key]) << file << " shows another default for `" << key << "`";
  });
}

TEST(Settings, SamplesShowEveryFieldWithItsDefault) {
  expect_manual<ProviderConfig>("configs/provider.yaml");
  expect_manual<VerifierConfig>("configs/verifier.yaml");
  expect_manual<RequesterConfig>("configs/requester.yaml");
}

TEST(Settings, AProviderOffersNoDeviceThatPlansDoNotRunOn) {
  EXPECT_TRUE(read_config_text<ProviderConfig>("device: cpu\n", "p.yaml"));
  const auto refused = read_config_text<ProviderConfig>("device: cuda\n", "p.yaml");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::config);
  EXPECT_NE(refused.error().text.find("plans do not run on a GPU yet"), std::string::npos) << refused.error().text;
  EXPECT_EQ(refused.error().next, "write device: cpu");
}

}  // namespace
}  // namespace cairn::agent
