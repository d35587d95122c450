// Jobs, draws and verdicts: rejections as a table, the distribution of draws, golden hashes.
#include "attest/records.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>

#include "attest/tree.h"

namespace cairn::attest {
namespace {

JobSpec good_spec() {
  JobSpec spec;
  spec.plan = blake3(as_bytes("plan"));
  spec.plan_root = blake3(as_bytes("root"));
  spec.calls = 3;
  spec.state_slots = 1;
  spec.step_work_ns = 1000;
  spec.inputs = {{"x", {}, {}}};
  spec.steps = 95;
  spec.interval = 10;
  spec.price_ceiling = Amount::of_pebbles(1);
  spec.accept_ms = spec.run_ms = 1;
  return spec;
}

TEST(JobSpec, Rejections) {
  const std::pair<const char*, std::function<void(JobSpec&)>> rows[] = {
      {"", [](JobSpec&) {}},
      {"title", [](JobSpec& s) { s.title.assign(257, 'x'); }},
      {"endpoint", [](JobSpec& s) { s.endpoint.assign(257, 'x'); }},
      {"plan", [](JobSpec& s) { s.plan = {}; }},
      {"plan", [](JobSpec& s) { s.plan_root = {}; }},
      {"calls", [](JobSpec& s) { s.calls = 0; }},
      {"state_slots", [](JobSpec& s) { s.state_slots = 0; }},
      {"step_work_ns", [](JobSpec& s) { s.step_work_ns = 0; }},
      {"inputs", [](JobSpec& s) { s.inputs[0].name.clear(); }},
      {"inputs", [](JobSpec& s) { s.inputs.push_back(s.inputs[0]); }},
      {"inputs", [](JobSpec& s) { s.inputs.resize(5000); }},
      {"steps", [](JobSpec& s) { s.steps = 0; }},
      {"steps", [](JobSpec& s) { s.steps = UINT64_MAX; }},
      {"interval", [](JobSpec& s) { s.interval = 0; }},
      {"interval", [](JobSpec& s) { s.interval = 96; }},
      {"interval", [](JobSpec& s) { s.steps = uint64_t{1} << 30; s.interval = 1; }},
      {"price_ceiling", [](JobSpec& s) { s.price_ceiling = {}; }},
      {"accept_ms", [](JobSpec& s) { s.accept_ms = 0; }},
      {"run_ms", [](JobSpec& s) { s.run_ms = 0; }},
      {"judges", [](JobSpec& s) { s.judges = {AccountId{{1}}}; }},
      {"judges", [](JobSpec& s) { s.tier = Tier::native; }},
      {"judges", [](JobSpec& s) { s.tier = Tier::native; s.judges = {AccountId{{1}}, AccountId{{2}}}; }},
      {"judges", [](JobSpec& s) { s.tier = Tier::native; s.judges = {AccountId{{1}}, AccountId{{3}}, AccountId{{2}}}; }},
      {"judges", [](JobSpec& s) { s.tier = Tier::native; s.judges = {AccountId{{1}}, AccountId{{1}}, AccountId{{2}}}; }},
      {"harm", [](JobSpec& s) { s.tier = Tier::native; s.judges = {AccountId{{1}}}; s.harm = Amount::of_pebbles(1); }},
      {"viewers", [](JobSpec& s) { s.viewers = Viewers{}; }},
      {"viewers", [](JobSpec& s) { s.viewers = Viewers{{AccountId{{2}}, AccountId{{1}}}, {}, Hash{{1}}}; }},
      {"viewers", [](JobSpec& s) { s.viewers = Viewers{{AccountId{{1}}}, {AccountId{{1}}, AccountId{{1}}}, Hash{{1}}}; }},
      {"viewers", [](JobSpec& s) { s.viewers = Viewers{{AccountId{{1}}}, {}, {}}; }},
  };
  for (const auto& [field, change] : rows) {
    JobSpec spec = good_spec();
    change(spec);
    const auto result = check(spec);
    if (!*field) {
      EXPECT_TRUE(result);
      continue;
    }
    ASSERT_FALSE(result) << field;
    EXPECT_EQ(result.error().code, Code::invalid);
    EXPECT_EQ(result.error().text.substr(0, result.error().text.find(':')), field);
  }
}

Hash randomness(uint64_t i) { return blake3(encode(i)); }
std::vector<Candidate> candidates(std::initializer_list<uint64_t> bonds) {
  std::vector<Candidate> out;
  uint8_t n = 1;
  for (uint64_t bond : bonds) out.push_back({AccountId{{n++}}, Amount::of_pebbles(bond)});
  return out;
}

TEST(Draw, ShapeOfADraw) {
  const JobSpec spec = good_spec();  // 10 segments, the last of 5 steps
  EXPECT_TRUE(draw(randomness(1), spec, 3, {}).empty());
  EXPECT_TRUE(draw(randomness(1), spec, 3, candidates({0, 0})).empty());
  EXPECT_EQ(draw(randomness(1), spec, 0, candidates({1})).size(), 10u);
  EXPECT_EQ(draw(randomness(1), spec, 99, candidates({1})).size(), 10u);
  for (uint64_t i = 0; i < 500; i++) {
    const auto checks = draw(randomness(i), spec, 1 + i % 10, candidates({3, 0, 5}));
    ASSERT_EQ(checks.size(), 1 + i % 10);
    for (size_t c = 0; c < checks.size(); c++) {
      ASSERT_TRUE(c == 0 || checks[c - 1].segment < checks[c].segment);
      ASSERT_LT(checks[c].segment, 10u);
      ASSERT_GE(checks[c].step, spec.segment_start(checks[c].segment));
      ASSERT_LT(checks[c].step, spec.segment_end(checks[c].segment));
      ASSERT_LT(checks[c].work_offset, spec.step_work_ns);
      ASSERT_NE(checks[c].verifier, (AccountId{{2}}));  // no bond, no draw
    }
  }
}

TEST(Draw, ARedrawKeepsTheSegmentsAndTakesOthers) {
  const JobSpec spec = good_spec();
  for (uint64_t i = 0; i < 500; i++) {
    const auto before = draw(randomness(i), spec, 1 + i % 10, candidates({3, 0, 5}));
    const auto again = redraw(randomness(i + 1000), spec, before, before, candidates({3, 0, 5}));
    ASSERT_EQ(again.size(), before.size());
    for (size_t c = 0; c < again.size(); c++) {
      ASSERT_EQ(again[c].segment, before[c].segment);
      ASSERT_NE(again[c].verifier, before[c].verifier);
      ASSERT_NE(again[c].verifier, (AccountId{{2}}));
      ASSERT_GE(again[c].step, spec.segment_start(again[c].segment));
      ASSERT_LT(again[c].step, spec.segment_end(again[c].segment));
    }
  }
  const auto before = draw(randomness(1), spec, 3, candidates({1}));
  EXPECT_TRUE(redraw(randomness(2), spec, before, before, candidates({1, 0})).empty());  // nobody else
}

// Chi-squared over many draws: segments evenly, verifiers by bond, offsets evenly. Bounds are 5 sigma of the distribution.
TEST(Draw, Distribution) {
  const JobSpec spec = good_spec();
  constexpr int kDraws = 20'000;
  std::map<uint64_t, double> segments, offsets;
  std::map<AccountId, double> verifiers;
  for (uint64_t i = 0; i < kDraws; i++)
    for (const DrawnCheck& check : draw(randomness(i), spec, 3, candidates({1, 2, 3, 4}))) {
      segments[check.segment]++;
      verifiers[check.verifier]++;
      offsets[check.work_offset / 100]++;
    }
  const double n = 3.0 * kDraws;
  const auto chi = [&](const auto& counts, const auto& share) {
    double sum = 0;
    for (const auto& [key, count] : counts) {
      const double expected = n * share(key);
      sum += (count - expected) * (count - expected) / expected;
    }
    return sum;
  };
  ASSERT_EQ(segments.size(), 10u);
  ASSERT_EQ(offsets.size(), 10u);
  ASSERT_EQ(verifiers.size(), 4u);
  const auto tenth = [](uint64_t) { return 0.1; };
  EXPECT_LT(chi(segments, tenth), 9 + 5 * 4.3);
  EXPECT_LT(chi(offsets, tenth), 9 + 5 * 4.3);
  EXPECT_LT(chi(verifiers, [](const AccountId& who) { return who.v[0] / 10.0; }), 3 + 5 * 2.5);
}

// A private job's segment has two of its jury, a native one's every judge; those of one segment look at the same call.
TEST(Draw, SeveralForOneSegment) {
  JobSpec spec = good_spec();
  spec.viewers = Viewers{{AccountId{{9}}}, {AccountId{{1}}, AccountId{{2}}, AccountId{{3}}}, Hash{{1}}};
  for (uint64_t i = 0; i < 200; i++) {
    const auto checks = draw(randomness(i), spec, 2, candidates({1, 5, 2}));
    ASSERT_EQ(checks.size(), 4u);
    for (size_t c = 0; c < 4; c += 2) {
      EXPECT_EQ(checks[c].segment, checks[c + 1].segment);
      EXPECT_EQ(checks[c].step, checks[c + 1].step);
      EXPECT_EQ(checks[c].work_offset, checks[c + 1].work_offset);
      EXPECT_NE(checks[c].verifier, checks[c + 1].verifier);
    }
    // One of them was silent: the third takes its place, at the same call.
    const auto again = redraw(randomness(i + 1000), spec, {checks[0]}, checks, candidates({1, 5, 2}));
    ASSERT_EQ(again.size(), 1u);
    EXPECT_NE(again[0].verifier, checks[0].verifier);
    EXPECT_NE(again[0].verifier, checks[1].verifier);
    EXPECT_EQ(again[0].work_offset, checks[0].work_offset);
    const auto both = draw(randomness(i), spec, 2, candidates({1, 5}));
    EXPECT_TRUE(redraw(randomness(i), spec, {both[0]}, both, candidates({1, 5})).empty()) << "nobody else is left";
  }
  EXPECT_EQ(draw(randomness(1), spec, 2, candidates({7})).size(), 2u) << "one candidate: one for each";
  spec.viewers.reset();
  spec.tier = Tier::native;
  spec.judges = {AccountId{{4}}, AccountId{{5}}, AccountId{{6}}};
  const auto judges = draw(randomness(1), spec, 2, {});
  ASSERT_EQ(judges.size(), 6u);
  EXPECT_EQ(judges[0].work_offset, judges[2].work_offset);
  EXPECT_TRUE(redraw(randomness(2), spec, judges, judges, {}).empty());
}

TEST(Draw, Golden) {  // consensus: a change here is a new version of the chain
  Bytes all;
  for (uint64_t i = 0; i < 20; i++) {
    const Bytes one = encode(draw(randomness(i), good_spec(), 4, candidates({UINT64_MAX, 1, UINT64_MAX, UINT64_MAX})));
    all.insert(all.end(), one.begin(), one.end());
  }
  EXPECT_EQ(blake3(all).hex().substr(0, 16), "ab65cd926be76c83");
  Bytes again;
  for (uint64_t i = 0; i < 20; i++) {
    const auto all_four = candidates({UINT64_MAX, 1, UINT64_MAX, UINT64_MAX});
    const Bytes one = encode(redraw(randomness(i + 20), good_spec(), draw(randomness(i), good_spec(), 4, all_four), draw(randomness(i), good_spec(), 4, all_four), all_four));
    again.insert(again.end(), one.begin(), one.end());
  }
  EXPECT_EQ(blake3(again).hex().substr(0, 16), "30718fb82b9fd189");
  EXPECT_EQ(draw_randomness(randomness(1), {}, {}, randomness(2)).hex().substr(0, 16), "c76634ccb96346da");
  EXPECT_EQ(verdict_hash(randomness(1), {}, {}, 7, {randomness(2), randomness(3)}).hex().substr(0, 16), "ab3f2a2af06bfb38");
  EXPECT_EQ(blake3(encode(good_spec())).hex().substr(0, 16), "6ee2858b9080085d");
}

TEST(CallAt, Boundaries) {
  Plan plan;
  plan.calls.resize(3);
  plan.calls[0].work_ns = 5;
  plan.calls[1].work_ns = 1;
  plan.calls[2].work_ns = 10;
  const std::pair<uint64_t, uint32_t> rows[] = {{0, 0}, {4, 0}, {5, 1}, {6, 2}, {15, 2}};
  for (auto [offset, call] : rows) EXPECT_EQ(call_at(plan, offset), call) << offset;
}

TEST(InputRoot, IsOverTheIds) {
  JobSpec spec = good_spec();
  const Hash before = input_root(spec);
  spec.inputs[0].name = "renamed";
  EXPECT_EQ(input_root(spec), before);
  spec.inputs[0].id = randomness(1);
  EXPECT_NE(input_root(spec), before);
}

}  // namespace
}  // namespace cairn::attest
