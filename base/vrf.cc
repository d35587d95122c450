// Steps and names are those of RFC 9381, sections 5.1 to 5.4. Suite 0x03: hash to curve by try and increment.
//
// libsodium's scalar multiplications refuse points outside the main subgroup, so the cofactor 8 is cleared by three
// doublings through crypto_core_ed25519_add, which takes any point of the curve.
#include "base/vrf.h"

#include <sodium.h>

#include <algorithm>
#include <optional>

namespace cairn {
namespace {

using Point = std::array<uint8_t, 32>;
using Scalar = std::array<uint8_t, 32>;
using Sha512 = std::array<uint8_t, 64>;

constexpr uint8_t kSuite = 0x03;
constexpr uint8_t kEnd = 0x00;

Sha512 sha512(std::initializer_list<ByteSpan> parts) {
  crypto_hash_sha512_state state;
  crypto_hash_sha512_init(&state);
  for (ByteSpan part : parts) crypto_hash_sha512_update(&state, part.data(), part.size());
  Sha512 out;
  crypto_hash_sha512_final(&state, out.data());
  return out;
}

std::optional<Point> add(const Point& a, const Point& b) {
  Point out;
  if (crypto_core_ed25519_add(out.data(), a.data(), b.data()) != 0) return std::nullopt;
  return out;
}

std::optional<Point> times_cofactor(const Point& p) {
  std::optional<Point> out = p;
  for (int i = 0; i < 3 && out; i++) out = add(*out, *out);
  return out;
}

std::optional<Point> multiply(const Scalar& n, const Point& p) {
  Point out;
  if (crypto_scalarmult_ed25519_noclamp(out.data(), n.data(), p.data()) != 0) return std::nullopt;
  return out;
}

Scalar reduce(const Sha512& wide) {
  Scalar out;
  crypto_core_ed25519_scalar_reduce(out.data(), wide.data());
  return out;
}

bool is_identity(const Point& p) { return p == Point{1}; }

// ECVRF_encode_to_curve_try_and_increment, salt = the public key.
std::optional<Point> hash_to_curve(const PublicKey& key, ByteSpan input) {
  const uint8_t front[2] = {kSuite, 0x01};
  for (int counter = 0; counter < 256; counter++) {
    const uint8_t back[2] = {static_cast<uint8_t>(counter), kEnd};
    const Sha512 hash = sha512({front, key.span(), input, back});
    Point candidate;
    std::copy_n(hash.begin(), 32, candidate.begin());
    // libsodium decodes an encoding that is not reduced; interpret_hash_value_as_a_point does not.
    const auto point = times_cofactor(candidate);
    if (point && !is_identity(*point)) return point;
  }
  return std::nullopt;  // probability 2^-256
}

// ECVRF_challenge_generation: 16 bytes, as a scalar.
Scalar challenge(const PublicKey& key, const Point& h, const Point& gamma, const Point& u, const Point& v) {
  const uint8_t front[2] = {kSuite, 0x02};
  const Sha512 hash = sha512({front, key.span(), h, gamma, u, v, {&kEnd, 1}});
  Scalar out{};
  std::copy_n(hash.begin(), 16, out.begin());
  return out;
}

std::optional<VrfOutput> output_of(const Point& gamma) {
  const auto cleared = times_cofactor(gamma);
  if (!cleared) return std::nullopt;
  const uint8_t front[2] = {kSuite, 0x03};
  return sha512({front, *cleared, {&kEnd, 1}});
}

Error no_proof() { return {Code::proof, "a VRF proof does not hold", "report the producer of the block"}; }

}  // namespace

VrfProof vrf_prove(const SecretKey& key, ByteSpan input) {
  CHECK(sodium_init() >= 0);
  const PublicKey public_key = key.public_key();
  Sha512 expanded = sha512({key.seed()});
  Scalar x;
  std::copy_n(expanded.begin(), 32, x.begin());
  x[0] &= 248;
  x[31] = static_cast<uint8_t>((x[31] & 127) | 64);
  Sha512 wide{};
  std::copy(x.begin(), x.end(), wide.begin());
  Scalar x_reduced = reduce(wide);

  const auto h = hash_to_curve(public_key, input);
  CHECK(h.has_value());
  const auto gamma = multiply(x_reduced, *h);
  Scalar k = reduce(sha512({ByteSpan(expanded).subspan(32), *h}));  // nonce of RFC 8032
  Point u;
  CHECK(gamma && crypto_scalarmult_ed25519_base_noclamp(u.data(), k.data()) == 0);
  const auto v = multiply(k, *h);
  CHECK(v.has_value());
  const Scalar c = challenge(public_key, *h, *gamma, u, *v);
  Scalar cx, s;
  crypto_core_ed25519_scalar_mul(cx.data(), c.data(), x_reduced.data());
  crypto_core_ed25519_scalar_add(s.data(), k.data(), cx.data());

  VrfProof proof;
  std::copy(gamma->begin(), gamma->end(), proof.begin());
  std::copy_n(c.begin(), 16, proof.begin() + 32);
  std::copy(s.begin(), s.end(), proof.begin() + 48);
  for (Scalar* secret : {&x, &x_reduced, &k, &cx}) sodium_memzero(secret->data(), secret->size());
  sodium_memzero(expanded.data(), expanded.size());
  sodium_memzero(wide.data(), wide.size());
  return proof;
}

VrfOutput vrf_output(const VrfProof& own) {
  Point gamma;
  std::copy_n(own.begin(), 32, gamma.begin());
  const auto output = output_of(gamma);
  CHECK(output.has_value());
  return *output;
}

Result<VrfOutput> vrf_verify(const PublicKey& key, ByteSpan input, const VrfProof& proof) {
  CHECK(sodium_init() >= 0);
  Point y, gamma;
  Scalar c{}, s, reduced;
  std::copy(key.v.begin(), key.v.end(), y.begin());
  std::copy_n(proof.begin(), 32, gamma.begin());
  std::copy_n(proof.begin() + 32, 16, c.begin());
  std::copy_n(proof.begin() + 48, 32, s.begin());
  // Canonical, on the curve, in the main subgroup, not of small order; and s below the group order.
  Sha512 wide{};
  std::copy(s.begin(), s.end(), wide.begin());
  reduced = reduce(wide);
  if (reduced != s) return no_proof();
  if (!crypto_core_ed25519_is_valid_point(y.data()) || !crypto_core_ed25519_is_valid_point(gamma.data())) return no_proof();

  const auto h = hash_to_curve(key, input);
  if (!h) return no_proof();
  // U = s*B - c*Y, V = s*H - c*Gamma. A zero c would make libsodium refuse c*Y: it is refused here with it.
  const auto cy = multiply(c, y), sh = multiply(s, *h), cg = multiply(c, gamma);
  Point sb, u, v;
  if (!cy || !sh || !cg || crypto_scalarmult_ed25519_base_noclamp(sb.data(), s.data()) != 0) return no_proof();
  if (crypto_core_ed25519_sub(u.data(), sb.data(), cy->data()) != 0 || crypto_core_ed25519_sub(v.data(), sh->data(), cg->data()) != 0)
    return no_proof();
  if (challenge(key, *h, gamma, u, v) != c) return no_proof();
  const auto output = output_of(gamma);
  if (!output) return no_proof();
  return *output;
}

}  // namespace cairn
