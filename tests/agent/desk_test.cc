// Whom a desk lets in.
#include "agent/desk.h"
#include "base/scratch.h"

#include <gtest/gtest.h>


namespace cairn::agent {
namespace {

SecretKey key_named(std::string_view name) { return SecretKey::from_seed(tagged_hash("desk test", {as_bytes(name)}).v); }

TEST(Desk, AnAccountIsRecognisedByItsPresentKeysAlone) {
  const Scratch scratch;
  const ArtifactStore store(scratch.path);
  Desk desk(store);
  const PublicKey first = key_named("first").public_key(), hot = key_named("hot").public_key(), next = key_named("next").public_key();
  const AccountId account = account_of(first), other = account_of(hot);
  const auto allowed = [&](const PublicKey& key) { return desk.allow(must(transport_key(key))); };
  EXPECT_FALSE(desk.knows(account));
  desk.know(account, {first, hot});
  EXPECT_FALSE(allowed(first));  // no guest yet
  Served served;
  served.guests = {account, other};
  desk.serve(JobId{}, served);
  EXPECT_EQ(allowed(first), account);
  EXPECT_EQ(allowed(hot), account);
  EXPECT_FALSE(allowed(next));
  desk.know(account, {next});  // it was rotated, the hot key revoked
  EXPECT_TRUE(desk.knows(account));
  EXPECT_FALSE(allowed(first));
  EXPECT_FALSE(allowed(hot));
  EXPECT_EQ(allowed(next), account);
  desk.know(other, {hot});
  EXPECT_EQ(allowed(hot), other);
  EXPECT_EQ(allowed(next), account);
}

}  // namespace
}  // namespace cairn::agent
