#include "agent/transport.h"

#include <gtest/gtest.h>

#include <random>

#include "agent/exchange.h"
#include "base/clock.h"
#include "base/scratch.h"

namespace cairn::agent {
namespace {

const SecretKey kOwner = SecretKey::generate();
const SecretKey kGuest = SecretKey::generate();
const SecretKey kStranger = SecretKey::generate();
constexpr char kAnywhere[] = "tcp://127.0.0.1:0";

std::optional<AccountId> only_the_guest(const CurveKey& key) {
  if (key == transport_keys(kGuest).public_key) return account_of(kGuest.public_key());
  return std::nullopt;
}

TEST(Transport, AGuestIsServedUnderItsAccountAndAStrangerIsNot) {
  AccountId seen;
  Server server(kAnywhere, transport_keys(kOwner), only_the_guest, [&](const AccountId& client, const Ask&) -> Answer {
    seen = client;
    return Noted{};
  });
  Caller guest(server.endpoint(), kOwner.public_key(), transport_keys(kGuest));
  const auto answer = guest.ask(TellProgress{}, 5000);
  ASSERT_TRUE(answer) << answer.error().message();
  EXPECT_EQ(seen, account_of(kGuest.public_key()));

  seen = {};
  Caller stranger(server.endpoint(), kOwner.public_key(), transport_keys(kStranger));
  EXPECT_EQ(stranger.ask(TellProgress{}, 500).error().code, Code::unreachable);
  EXPECT_TRUE(seen.is_zero());

  // The server proves itself too: one that holds another key gets no request.
  Caller misled(server.endpoint(), kStranger.public_key(), transport_keys(kGuest));
  EXPECT_EQ(misled.ask(TellProgress{}, 500).error().code, Code::unreachable);
  EXPECT_TRUE(seen.is_zero());
}

TEST(Transport, WhoBecomesAPartyLaterIsServedThen) {
  std::atomic<bool> party = false;
  Server server(kAnywhere, transport_keys(kOwner),
                [&](const CurveKey& key) { return party ? only_the_guest(key) : std::nullopt; },
                [](const AccountId&, const Ask&) -> Answer { return Noted{}; });
  Caller guest(server.endpoint(), kOwner.public_key(), transport_keys(kGuest));
  const auto refused = guest.ask(TellProgress{}, 300);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text.find("does not know our key"), std::string::npos) << refused.error().text;
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    party = true;
  });
  const SystemClock clock;
  const uint64_t began_ns = clock.steady_ns();
  EXPECT_TRUE(guest.ask(TellProgress{}, 5000));
  EXPECT_LT(clock.steady_ns() - began_ns, 2'000'000'000u) << "it knocks again at once, not when its time is up";
  later.join();
}

TEST(Transport, ArtefactsArriveWholeResumeAndAreRefusedWhenFalse) {
  Scratch scratch;
  ArtifactStore theirs(scratch.path / "theirs"), ours(scratch.path / "ours");
  Bytes bytes(3'000'000);
  for (size_t i = 0; i < bytes.size(); i++) bytes[i] = static_cast<uint8_t>(i * 7 + i / 251);
  const Hash id = *theirs.put(bytes);
  int asked = 0;
  std::atomic<bool> lie = false;
  Server server(kAnywhere, transport_keys(kOwner), only_the_guest, [&](const AccountId&, const Ask& ask) -> Answer {
    asked++;
    Answer answer = serve_chunk(theirs, std::get<AskChunk>(ask));
    if (auto* chunk = std::get_if<Chunk>(&answer); chunk && lie) chunk->bytes[0] ^= 1;
    return answer;
  });
  Caller guest(server.endpoint(), kOwner.public_key(), transport_keys(kGuest));
  ASSERT_TRUE(ours.append(id, 0, ByteSpan(bytes).first(2 * kChunkMaxBytes)));  // where an earlier process stopped
  ASSERT_TRUE(fetch(guest, id, bytes.size(), ours));
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(*ours.read(id, bytes.size()), bytes);

  EXPECT_EQ(fetch(guest, blake3(as_bytes("absent")), 1000, ours).error().code, Code::not_found);
  const Bytes small(100, 1);
  const Hash second = *theirs.put(small);
  EXPECT_EQ(fetch(guest, second, 99, ours).error().code, Code::limit);
  lie = true;
  EXPECT_EQ(fetch(guest, second, 100, ours).error().code, Code::proof);
  EXPECT_FALSE(ours.has(second));
  lie = false;
  EXPECT_TRUE(fetch(guest, second, 100, ours));
}

TEST(Transport, AnEndpointThatIsNoneIsAnError) {
  Caller nowhere("not an address", kOwner.public_key(), transport_keys(kGuest));
  EXPECT_EQ(nowhere.ask(TellProgress{}, 100).error().code, Code::unreachable);
  EXPECT_THROW(Server("tcp://203.0.113.1:1", transport_keys(kOwner), only_the_guest, {}), Fault);
}

// Any bytes decode to an error or to a value that encodes to the same bytes.
TEST(Transport, DecodersBearAnyBytes) {
  std::mt19937 random(1);
  const Bytes seeds[] = {encode(Request{1, AskChunk{}}), encode(Request{2, TellProgress{JobId{}, 3, 4u}}),
                         encode(Reply{1, Chunk{{}, 0, 5, Bytes(5)}}), encode(Reply{1, StateIds{1, std::vector<Hash>(3)}}),
                         encode(Reply{1, Refused{Code::io, "text"}})};
  for (int round = 0; round < 200'000; round++) {
    Bytes bytes = seeds[random() % std::size(seeds)];
    for (unsigned n = random() % 4; n > 0; n--) bytes[random() % bytes.size()] = static_cast<uint8_t>(random());
    if (random() % 4 == 0) bytes.resize(random() % (bytes.size() + 4));
    if (const auto request = decode<Request>(bytes)) {
      EXPECT_EQ(encode(*request), bytes);
    }
    if (const auto reply = decode<Reply>(bytes)) {
      EXPECT_EQ(encode(*reply), bytes);
    }
  }
}

}  // namespace
}  // namespace cairn::agent
