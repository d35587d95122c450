// Key files and whole writes: modes, damage, refusals, and that a failed write leaves what was there.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <set>
#include <thread>

#include "base/file.h"
#include "base/key_file.h"
#include "base/scratch.h"

namespace cairn {
namespace {

class Files : public testing::Test {
 protected:
  std::filesystem::path path(const char* name) const { return folder_ / name; }
  static unsigned mode(const std::filesystem::path& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 0777 : 0;
  }
  // Of all that lies in the folder, sorted.
  std::string names() const {
    std::set<std::string> sorted;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) sorted.insert(entry.path().filename());
    std::string out;
    for (const auto& name : sorted) out += (out.empty() ? "" : " ") + name;
    return out;
  }
  const Scratch scratch_;
  const std::filesystem::path folder_ = scratch_.path;
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
  EXPECT_EQ(names(), "key");
  EXPECT_EQ(load_key(path("none")).error().code, Code::key_file);
  for (const unsigned open : {0640u, 0604u, 0660u, 0644u, 0700u, 0200u, 04600u}) {
    ASSERT_EQ(::chmod(path("key").c_str(), open), 0);
    EXPECT_EQ(load_key(path("key")).error().code, Code::key_file) << std::oct << open;
  }
}

constexpr SealCost kCheap{8192, 1};
AskPassphrase says(std::string text) {
  return [text](const std::filesystem::path&) -> Result<std::string> { return text; };
}
// Without a sync: thousands of them are written.
void scribble(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::remove(path);
  std::ofstream(path, std::ios::binary) << text;
  ::chmod(path.c_str(), 0600);
}
const AskPassphrase nobody = [](const std::filesystem::path&) -> Result<std::string> { return Error{Code::internal, "asked", ""}; };

TEST_F(Files, EveryDamagedByteOfAKeyFileIsSeen) {
  const SecretKey key = SecretKey::generate();
  for (const bool sealed : {false, true}) {
    std::filesystem::remove(path("key"));
    ASSERT_TRUE(save_key(path("key"), {key, AccountId{{7}}}, sealed ? std::optional<std::string>("secret") : std::nullopt, kCheap));
    const std::string good = *read_text(path("key"), 1000);
    for (size_t i = 0; i < good.size(); i++) {
      std::string bad = good;
      bad[i] = bad[i] == '0' ? '1' : '0';
      scribble(path("bad"), bad);
      const auto loaded = load_stored_key(path("bad"), nobody);
      ASSERT_FALSE(loaded) << i;
      EXPECT_EQ(loaded.error().code, Code::key_file) << "before the passphrase is asked for";
    }
    for (const std::string& bad : {std::string(), good.substr(0, 50), good + "x", good + good, good.substr(0, good.size() - 1), std::string(5000, 'x')}) {
      scribble(path("bad"), bad);
      EXPECT_EQ(load_stored_key(path("bad"), nobody).error().code, Code::key_file);
    }
    uint64_t random = 1;
    for (int i = 0; i < 3'000; i++) {  // cuts, doublings and noise
      std::string bad = good;
      for (int n = 0; n < 3; n++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        const size_t at = (random >> 33) % bad.size();
        if (random % 3 == 0) bad.erase(at, 1 + (random >> 40) % 9);
        else if (random % 3 == 1) bad.insert(at, bad.substr(at, (random >> 40) % 9));
        else bad[at] = static_cast<char>(random >> 24);
        if (bad.empty()) bad = "x";
      }
      if (bad == good) continue;
      scribble(path("bad"), bad);
      EXPECT_FALSE(key_file_facts(path("bad")));
    }
  }
}

TEST_F(Files, AKeyMayBeSealed) {
  const SecretKey key = SecretKey::generate();
  const AccountId account{{7}};
  ASSERT_TRUE(save_key(path("key"), {key, account}, "correct horse", kCheap));
  EXPECT_EQ(mode(path("key")), 0600u);
  EXPECT_EQ(read_text(path("key"), 1000)->find(to_hex(key.seed())), std::string::npos);
  const auto facts = must(key_file_facts(path("key")));
  EXPECT_TRUE(facts.sealed);
  EXPECT_EQ(facts.account, account);
  EXPECT_EQ(facts.public_key, key.public_key());
  const auto loaded = must(load_stored_key(path("key"), says("correct horse")));
  EXPECT_EQ(loaded.key.seed(), key.seed());
  EXPECT_EQ(loaded.account, account);
  for (const char* wrong : {"", "correct hors", "correct horse ", "Correct horse"})
    EXPECT_EQ(load_stored_key(path("key"), says(wrong)).error().code, Code::unauthorised);
  EXPECT_EQ(load_stored_key(path("key"), nobody).error().code, Code::internal);  // what asking gives
  EXPECT_EQ(save_key(path("empty"), {key, account}, "").error().code, Code::invalid);
  EXPECT_FALSE(std::filesystem::exists(path("empty")));

  // Another passphrase, then none: the file is whole at each step.
  ASSERT_TRUE(replace_key(path("key"), loaded, "battery staple", kCheap));
  EXPECT_EQ(load_stored_key(path("key"), says("correct horse")).error().code, Code::unauthorised);
  EXPECT_TRUE(load_stored_key(path("key"), says("battery staple")));
  ASSERT_TRUE(replace_key(path("key"), loaded));
  EXPECT_TRUE(load_stored_key(path("key"), nobody));
  EXPECT_EQ(mode(path("key")), 0600u);
  EXPECT_EQ(replace_key(path("none"), loaded).error().code, Code::key_file);
}

TEST_F(Files, AServiceReadsItsPassphraseFromAFile) {
  const SecretKey key = SecretKey::generate();
  ASSERT_TRUE(save_key(path("key"), {key, account_of(key.public_key())}, "secret", kCheap));
  ::unsetenv("CAIRN_PASSPHRASE_FILE");
  EXPECT_EQ(load_key(path("key")).error().code, Code::key_file);
  ::setenv("CAIRN_PASSPHRASE_FILE", path("passphrase").c_str(), 1);
  EXPECT_EQ(load_key(path("key")).error().code, Code::key_file);  // no such file
  ASSERT_TRUE(write_file(path("passphrase"), as_bytes("secret\n"), 0644));
  EXPECT_EQ(load_key(path("key")).error().code, Code::key_file);  // for all to read
  ASSERT_EQ(::chmod(path("passphrase").c_str(), 0400), 0);
  EXPECT_TRUE(load_key(path("key")));
  // A credential has the modes that systemd gives, and its folder is for this service alone.
  ASSERT_EQ(::chmod(path("passphrase").c_str(), 0440), 0);
  EXPECT_FALSE(load_key(path("key")));
  ::setenv("CREDENTIALS_DIRECTORY", folder_.c_str(), 1);
  EXPECT_TRUE(load_key(path("key")));
  ASSERT_EQ(::chmod(path("passphrase").c_str(), 0444), 0);
  EXPECT_FALSE(load_key(path("key")));
  ::unsetenv("CREDENTIALS_DIRECTORY");
  ::unsetenv("CAIRN_PASSPHRASE_FILE");
}

TEST_F(Files, ALinkOrAFolderIsNoKeyFile) {
  ASSERT_TRUE(save_key(path("key"), SecretKey::generate()));
  ASSERT_EQ(::symlink(path("key").c_str(), path("link").c_str()), 0);
  EXPECT_EQ(load_key(path("link")).error().code, Code::key_file);
  std::filesystem::create_directory(path("folder"));
  EXPECT_EQ(load_key(path("folder")).error().code, Code::key_file);
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  EXPECT_EQ(load_key(path("pipe")).error().code, Code::key_file);
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
  EXPECT_EQ(create_file(path("a"), Bytes{2}).error().code, Code::exists);
  EXPECT_EQ(create_file(path("folder"), Bytes{2}).error().code, Code::exists);
  EXPECT_EQ(create_file(path("no/such"), Bytes{2}).error().code, Code::not_found);
  EXPECT_EQ(*read_file(path("a"), 10), Bytes{1});
  ASSERT_TRUE(create_file(path("b"), Bytes{2}, 0640));
  EXPECT_EQ(mode(path("b")), 0640u);
  EXPECT_EQ(*read_file(path("b"), 10), Bytes{2});
  EXPECT_EQ(names(), "a b empty folder");
}

TEST_F(Files, ThreadsMayWriteOnePath) {
  std::vector<std::thread> threads;
  for (uint8_t n = 0; n < 4; n++)
    threads.emplace_back([&, n] {
      for (int i = 0; i < 50; i++) {
        const auto done = write_file(path("a"), Bytes(1 + n * 1'000u, n));
        EXPECT_TRUE(done) << done.error().text;
      }
    });
  for (auto& thread : threads) thread.join();
  const Bytes last = must(read_file(path("a"), 10'000));
  EXPECT_EQ(last, Bytes(1 + last[0] * 1'000u, last[0]));
  EXPECT_EQ(names(), "a");
}

// A process that dies at the first byte that it writes leaves no key without one.
TEST_F(Files, ACutLeavesNoHalfOfAKey) {
  const SecretKey key = SecretKey::generate();
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_FSIZE, &none);
    ::setrlimit(RLIMIT_CORE, &none);
    (void)save_key(path("key"), key);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
  EXPECT_FALSE(std::filesystem::exists(path("key")));
  ASSERT_TRUE(save_key(path("key"), key));
  EXPECT_EQ(must(load_key(path("key"))).seed(), key.seed());
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
