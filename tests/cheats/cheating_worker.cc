// A worker that lies.
//
//   cairn-cheating-worker [STEP [CALL [ELEMENT]]]     adds to one number of one call's output, in one step, and holds to it in every
//                                                     dispute; default: step 137, number 300 of call 23, which in the digits example
//                                                     is the gradient of the first layer's weights
//
// The environment variable CAIRN_LIE="STEP CALL ELEMENT" says the same, for agents that start workers without arguments. With
// CAIRN_LIE="NAME SEGMENTS INTERVAL" the lie is a row of the corpus: then this process stands between the agent and an honest
// worker of its own, and changes what is asked and answered. CAIRN_LIE="broken TILES FILE" is no lie but a broken machine: one bit of a
// packed operand flips before the next TILES tiles of products that check themselves; FILE counts them over all such processes.
#include <sys/socket.h>
#include <unistd.h>

#include <cctype>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

#include "attest/tree.h"
#include "runtime/artefacts.h"
#include "runtime/job_run.h"
#include "runtime/worker.h"
#include "tests/cheats/corpus.h"

namespace cairn::cheats {
namespace {

using namespace runtime;

class Middleman {
 public:
  Middleman(int agent, int worker, const Cheat& cheat) : agent_(agent), worker_(worker), cheat_(cheat) {}

  int run() {
    while (true) {
      const auto message = receive_frame(agent_);
      if (!message) return 0;
      Ask ask = must(decode<Ask>(*message));
      std::visit([&](auto& what) { prepare(what); }, ask);
      must_do(send_frame(worker_, encode(ask)));
      while (true) {
        Answer answer = must(decode<Answer>(must(receive_frame(worker_))));
        change(answer);
        must_do(send_frame(agent_, encode(answer)));
        if (!std::holds_alternative<Progress>(answer) && !std::holds_alternative<CheckpointMade>(answer)) break;
      }
    }
  }

 private:
  static void must_do(const Result<>& done) {
    if (!done) throw Fault(done.error());
  }
  void lie_about(Work& work) {
    work.seed += cheat_.seed_shift;
    if (!cheat_.plan) return;
    auto plan = must(decode<attest::Plan>(must(read_artefact(work.store, work.plan, attest::kMaxPlanBytes))));
    cheat_.plan(plan);
    work.plan = must(write_artefact(work.store, encode(plan)));
  }
  void prepare(AskInspect&) {}
  void prepare(AskTrace&) {}
  void prepare(AskInitial&) { reached_ = StatePoint{}; }  // what starts the job is compared with the job's word
  void prepare(AskRun& ask) {
    lie_about(ask.work);
    store_ = ask.work.store;
    key_ = ask.work.key;
    past_ = {slots_of(ask.from)};
    reached_ = StatePoint{};
  }
  void prepare(AskCheck& ask) {
    lie_about(ask.work);
    std::this_thread::sleep_for(std::chrono::milliseconds(cheat_.late_ms));
  }
  void prepare(AskMove& ask) { lie_about(ask.work); }
  void prepare(AskJudge&) {}

  Slots slots_of(const StatePoint& state) {
    Slots out;
    for (const auto& id : state.ids) out.push_back(must(read_artefact(store_, id, 1 << 26, key_)));
    return out;
  }
  void change(Answer& answer) {
    if (auto* made = std::get_if<CheckpointMade>(&answer); made && cheat_.checkpoint) {
      Slots slots = slots_of(made->state);
      cheat_.checkpoint(past_.size() - 1, past_, slots);
      for (size_t i = 0; i < slots.size(); i++) made->state.ids[i] = must(write_artefact(store_, slots[i], key_));
      made->root = root_of(made->state);
      past_.push_back(std::move(slots));
      reached_ = made->state;
    }
    if (auto* end = std::get_if<StateReached>(&answer); end && !reached_.ids.empty()) {
      end->state = reached_;
      end->root = root_of(reached_);
    }
    if (auto* checked = std::get_if<Checked>(&answer); checked && cheat_.call_id) checked->knowledge.call_id = blake3(as_bytes("a guess"));
    if (auto* moved = std::get_if<Moved>(&answer); moved && cheat_.move) cheat_.move(moved->move);
  }

  const int agent_, worker_;
  const Cheat& cheat_;
  std::string store_;
  ContentKey key_;
  std::vector<Slots> past_;
  StatePoint reached_;
};

int serve(const Cheat& cheat) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return 1;
  if (::fork() == 0) {
    ::close(3);
    ::close(pair[0]);
    return serve_worker(pair[1], cheat.output ? Tamper(cheat.output) : Tamper{});
  }
  ::close(pair[1]);
  return Middleman(3, pair[0], cheat).run();
}

int serve_broken(uint64_t tiles, const std::string& file) {
  return serve_worker(3, {}, [=](int64_t, std::span<int32_t> a, std::span<int32_t>) {
    uint64_t broken = 0;
    std::ifstream(file) >> broken;
    if (broken >= tiles) return;
    a[0] ^= 1 << 5;
    std::ofstream(file) << broken + 1;
  });
}

int serve_one_number(const std::string& words) {
  uint64_t step = 137, call = 23, element = 300;
  std::istringstream(words) >> step >> call >> element;
  return serve_worker(3, [=](uint64_t at, uint32_t which, uint8_t output, std::span<uint8_t> bytes) {
    if (at != step || which != call || output != 0 || bytes.size() < (element + 1) * 4) return;
    float value = 0;
    std::memcpy(&value, bytes.data() + element * 4, 4);
    value += 0.25f;
    std::memcpy(bytes.data() + element * 4, &value, 4);
  });
}

}  // namespace
}  // namespace cairn::cheats

int main(int argc, char** argv) {
  std::string words;
  if (const char* lie = std::getenv("CAIRN_LIE")) words = lie;
  for (int i = 1; i < argc; i++) words += std::string(" ") + argv[i];
  std::istringstream in(words);
  std::string name;
  if (uint64_t tiles = 0; words.starts_with("broken")) {
    std::string file;
    in >> name >> tiles >> file;
    return cairn::cheats::serve_broken(tiles, file);
  }
  uint64_t segments = 100, interval = 1;
  if (!(in >> name) || std::isdigit(static_cast<unsigned char>(name[0]))) return cairn::cheats::serve_one_number(words);
  in >> segments >> interval;
  const auto corpus = cairn::cheats::corpus(segments, interval);
  const auto* cheat = cairn::cheats::find(corpus, name);
  return cheat ? cairn::cheats::serve(*cheat) : 2;
}
