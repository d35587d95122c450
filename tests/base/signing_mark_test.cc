// A key signs nothing twice: tables, damage, a second process, and kills at any moment.
#include "base/signing_mark.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/blake3.h"
#include "base/file.h"
#include "base/scratch.h"

namespace cairn {
namespace {

class Mark : public testing::Test {
 protected:
  static Hash id(uint64_t n) { return blake3(as_bytes(std::to_string(n))); }
  const Scratch scratch_;
  const std::filesystem::path folder_ = scratch_.path, file_ = folder_ / "key.mark";
};

TEST_F(Mark, Table) {
  struct Row {
    uint64_t height, id;
    bool release, ok;
  };
  const std::vector<Row> rows = {
      {1, 1, true, true},   {1, 1, false, true},  // the same again
      {1, 2, false, false},                       // another of a height that was released
      {3, 3, false, true},                        // heights may be left out
      {2, 2, false, false},                       // never back
      {3, 4, false, true},                        // what was not released may be made again
      {3, 3, true, true},   {3, 4, false, false}, {4, 4, true, true}, {3, 3, false, false},
      {5, 5, false, true},  {5, 6, true, true},   // of two slots of one height
      {5, 5, false, false}, {5, 6, false, true},  // the released one counts,
      {6, 6, true, true},   {7, 7, false, true},  // whichever of the two it is
      {7, 8, true, true},   {7, 7, false, false},
  };
  for (const bool reopened : {false, true}) {  // the same table, in one life and with a new one before every row
    std::filesystem::remove(file_);
    auto mark = must(SigningMark::open(file_));
    for (size_t i = 0; i < rows.size(); i++) {
      if (reopened) {
        mark.reset();
        mark = must(SigningMark::open(file_));
      }
      const auto done = mark->advance(rows[i].height, id(rows[i].id));
      EXPECT_EQ(static_cast<bool>(done), rows[i].ok) << i;
      if (!done) {
        EXPECT_EQ(done.error().code, Code::already);
      }
      if (rows[i].release) mark->release();
    }
    EXPECT_EQ(mark->height(), 7u);
  }
}

TEST_F(Mark, OneProcessHoldsIt) {
  const auto mark = must(SigningMark::open(file_));
  EXPECT_EQ(SigningMark::open(file_).error().code, Code::key_file);
}

TEST_F(Mark, DamageIsRefusedAndNeverLeadsBackBeyondOne) {
  {
    auto mark = must(SigningMark::open(file_));
    for (uint64_t n = 1; n <= 9; n++) {
      ASSERT_TRUE(mark->advance(n, id(n)));
      mark->release();
    }
  }
  const Bytes good = must(read_file(file_, 1000));
  ASSERT_EQ(good.size(), 128u);
  for (size_t i = 0; i < good.size(); i++) {  // one slot is lost: the other counts
    Bytes bad = good;
    bad[i] ^= 1;
    ASSERT_TRUE(write_file(file_, bad, 0600));
    EXPECT_GE(must(SigningMark::open(file_))->height(), 8u) << i;
  }
  Bytes both = good;
  both[3] ^= 1;
  both[67] ^= 1;
  for (const Bytes& bad : {both, Bytes(127, 0), Bytes(129, 0), Bytes(128, 0), Bytes(1, 1)}) {
    ASSERT_TRUE(write_file(file_, bad, 0600));
    EXPECT_EQ(SigningMark::open(file_).error().code, Code::key_file);
  }
}

// A child signs as fast as it can, telling each signature it releases; it is killed at any moment. Whatever was told is never
// contradicted by the next life.
TEST_F(Mark, KillsAtAnyMoment) {
  uint64_t told = 0, random = 1, lives = 0;
  for (int life = 0; life < 40; life++) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(pipe[0]);
      auto mark = must(SigningMark::open(file_));
      for (uint64_t n = mark->height() + 1;; n++) {
        if (!mark->advance(n, id(n))) ::_exit(1);
        mark->release();
        if (::write(pipe[1], &n, sizeof n) != sizeof n) ::_exit(2);
      }
    }
    ::close(pipe[1]);
    random = random * 6364136223846793005u + 1442695040888963407u;
    uint64_t n = 0;
    const uint64_t stop = told + 1 + (random >> 33) % 30;  // some way into this life
    while (told < stop && ::read(pipe[0], &n, sizeof n) == sizeof n) {
      EXPECT_GT(n, told);
      told = n;
    }
    ::usleep(static_cast<useconds_t>((random >> 20) % 2'000));
    ::kill(child, SIGKILL);
    while (::read(pipe[0], &n, sizeof n) == sizeof n) told = n;
    ::close(pipe[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
    lives++;
    auto mark = must(SigningMark::open(file_));
    ASSERT_GE(mark->height(), told);
    EXPECT_FALSE(mark->advance(told, id(told + 1'000'000)));
  }
  EXPECT_EQ(lives, 40u);
}

}  // namespace
}  // namespace cairn
