// Key files and whole writes: modes, damage, refusals, and that a failed write leaves what was there.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "base/file.h"
#include "base/keys.h"

namespace cairn {
namespace {

class Files : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/cairn-files-XXXXXX";
    folder_ = ::mkdtemp(name);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path path(const char* name) const { return folder_ / name; }
  static unsigned mode(const std::filesystem::path& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 0777 : 0;
  }
  std::filesystem::path folder_;
};

TEST_F(Files, KeysAreSavedOnceAndForTheirOwner) {
  const SecretKey key = SecretKey::generate();
  ASSERT_TRUE(save_key(path("key"), key));
  EXPECT_EQ(mode(path("key")), 0600u);
  const auto loaded = load_key(path("key"));
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->public_key(), key.public_key());
  EXPECT_EQ(save_key(path("key"), key).error().code, Code::exists);
  EXPECT_EQ(save_key(path("no/such/folder"), key).error().code, Code::key_file);
  EXPECT_EQ(load_key(path("none")).error().code, Code::key_file);
  for (const unsigned open : {0640u, 0604u, 0660u, 0644u, 0700u}) {
    ASSERT_EQ(::chmod(path("key").c_str(), open), 0);
    EXPECT_EQ(load_key(path("key")).error().code, Code::key_file) << std::oct << open;
  }
}

TEST_F(Files, EveryDamagedByteOfAKeyFileIsSeen) {
  ASSERT_TRUE(save_key(path("key"), SecretKey::generate()));
  const std::string good = *read_text(path("key"), 1000);
  EXPECT_EQ(good.size(), 86u);
  for (size_t i = 0; i < good.size(); i++) {
    std::string bad = good;
    bad[i] = bad[i] == '0' ? '1' : '0';
    ASSERT_TRUE(write_file(path("bad"), as_bytes(bad), 0600));
    const auto key = load_key(path("bad"));
    ASSERT_FALSE(key) << i;
    EXPECT_EQ(key.error().code, Code::key_file);
  }
  for (const std::string& bad : {std::string(), good.substr(0, 50), good + "x", good + good}) {
    ASSERT_TRUE(write_file(path("bad"), as_bytes(bad), 0600));
    EXPECT_FALSE(load_key(path("bad")));
  }
}

TEST_F(Files, WholeWritesAndBoundedReads) {
  ASSERT_TRUE(write_file(path("a"), Bytes(1000, 7), 0640));
  EXPECT_EQ(mode(path("a")), 0640u);
  EXPECT_EQ(*read_file(path("a"), 1000), Bytes(1000, 7));
  EXPECT_EQ(read_file(path("a"), 999).error().code, Code::limit);
  EXPECT_EQ(read_file(path("b"), 999).error().code, Code::not_found);
  EXPECT_EQ(read_file(folder_, 999).error().code, Code::io);
  ASSERT_TRUE(write_file(path("a"), Bytes{1}));
  EXPECT_EQ(*read_file(path("a"), 10), Bytes{1});
  ASSERT_TRUE(write_file(path("empty"), {}));
  EXPECT_TRUE(read_file(path("empty"), 0)->empty());
  std::filesystem::create_directory(path("folder"));
  EXPECT_FALSE(write_file(path("folder"), Bytes{1}));  // cannot take a folder's place
  EXPECT_FALSE(write_file(path("no/such"), Bytes{1}));
  size_t left = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) left += entry.path().string().find(".part.") != std::string::npos;
  EXPECT_EQ(left, 0u);
}

TEST(Keys, SignaturesCoverChainKindAndAccount) {
  const SecretKey key = SecretKey::from_seed({1}), other = SecretKey::from_seed({2});
  const Hash chain = Hash{{1}}, another_chain = Hash{{2}};
  const AccountId me = account_of(key.public_key()), you = account_of(other.public_key());
  const Bytes text = {1, 2, 3};
  const Signature signature = sign(key, chain, SignKind::reveal, me, text);
  EXPECT_TRUE(verify(key.public_key(), chain, SignKind::reveal, me, text, signature));
  EXPECT_FALSE(verify(key.public_key(), another_chain, SignKind::reveal, me, text, signature));
  EXPECT_FALSE(verify(key.public_key(), chain, SignKind::transaction, me, text, signature));
  EXPECT_FALSE(verify(key.public_key(), chain, SignKind::reveal, you, text, signature));
  EXPECT_FALSE(verify(other.public_key(), chain, SignKind::reveal, me, text, signature));
  EXPECT_FALSE(verify(key.public_key(), chain, SignKind::reveal, me, Bytes{1, 2}, signature));
  for (size_t bit = 0; bit < 512; bit++) {
    Signature bad = signature;
    bad.v[bit / 8] = static_cast<uint8_t>(bad.v[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(verify(key.public_key(), chain, SignKind::reveal, me, text, bad)) << bit;
  }
}

TEST(Keys, TransportKeysFollowFromAccountKeys) {
  const SecretKey key = SecretKey::from_seed({5});
  EXPECT_EQ(*transport_key(key.public_key()), transport_keys(key).public_key);
  EXPECT_FALSE(transport_key(PublicKey{{2}}));
  EXPECT_NE(random_hash(), random_hash());
}

}  // namespace
}  // namespace cairn
