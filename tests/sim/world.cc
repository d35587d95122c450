#include "tests/sim/world.h"

#include <algorithm>

namespace cairn::sim {
namespace {
constexpr size_t kLastLines = 60;
}

void World::after(uint64_t wait_ms, std::function<void()> happens) {
  queue_.push({now_ms_ + wait_ms, made_++, std::move(happens)});
}

void World::run(uint64_t until_ms) {
  while (!queue_.empty() && queue_.top().when <= until_ms) {
    const Event event = queue_.top();
    queue_.pop();
    now_ms_ = event.when;
    event.happens();
  }
  now_ms_ = std::max(now_ms_, until_ms);
}

void World::cut(std::vector<Place> places, uint64_t until_ms) { cuts_.push_back({std::move(places), until_ms}); }

bool World::reaches(Place from, Place to) {
  std::erase_if(cuts_, [&](const Cut& cut) { return cut.until_ms <= now_ms_; });
  return std::none_of(cuts_.begin(), cuts_.end(), [&](const Cut& cut) {
    const auto inside = [&](Place place) { return std::find(cut.places.begin(), cut.places.end(), place) != cut.places.end(); };
    return inside(from) != inside(to);
  });
}

void World::send(Place from, Place to, const std::function<void()>& arrives) {
  const bool lost = rng_.chance(weather.lost_permille);
  const bool twice = rng_.chance(weather.twice_permille);
  const uint64_t first = rng_.between(1, weather.delay_ms);
  const uint64_t second = rng_.between(1, 4 * weather.delay_ms);
  const auto deliver = [this, from, to, arrives] {
    if (reaches(from, to)) arrives();
  };
  if (!lost) after(first, deliver);
  if (twice) after(second, deliver);
}

void World::note(std::string line) {
  trace_ = tagged_hash("sim.trace", {trace_.span(), encode(now_ms_), as_bytes(line)});
  lines_.push_back(std::to_string(now_ms_) + " " + std::move(line));
  if (lines_.size() > kLastLines) lines_.pop_front();
}

}  // namespace cairn::sim
