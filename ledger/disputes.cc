#include "ledger/disputes.h"

#include <algorithm>

#include "base/blake3.h"
#include "ledger/checks.h"
#include "ledger/endings.h"
#include "ledger/market.h"

namespace cairn::ledger {
namespace {

using attest::Party;

Hash id_of(const Dispute& dispute) { return dispute.id.as<HashTag>(); }

// A verifier may challenge a segment that it is drawn for, too: then it has two games about it.
enum class Origin { challenge, check };

GameId game_id(const Job& job, uint64_t segment, const AccountId& challenger, Origin origin) {
  const Bytes place = encode(segment), attempt = encode(job.tries);
  const std::string_view tag = origin == Origin::check ? "cairn.game.check.v1" : "cairn.game.challenge.v1";
  return tagged_hash(tag, {job.id.span(), place, attempt, challenger.span()}).as<GameIdTag>();
}

attest::GameTerms terms_of(const Job& job, uint64_t segment, const Hash& start_root, const Hash& end_root,
                           const Hash& challenger_end_root) {
  attest::GameTerms terms;
  terms.job = job.id;
  terms.plan_root = job.spec.plan_root;
  terms.calls = job.spec.calls;
  terms.state_slots = job.spec.state_slots;
  terms.inputs = static_cast<uint32_t>(job.spec.inputs.size());
  terms.input_root = job.commitment->input_root;
  terms.seed = job.spec.seed;
  terms.segment = segment;
  terms.start_step = job.spec.segment_start(segment);
  terms.end_step = job.spec.segment_end(segment);
  terms.start_root = start_root;
  terms.end_root = end_root;
  terms.challenger_end_root = challenger_end_root;
  terms.key = job.key;
  return terms;
}

// Starts the clock of the side to move; its first move is given time to run the segment again.
void start_clock(State& state, BlockContext& block, const Job& job, Dispute& dispute) {
  const auto& game = dispute.game;
  const bool first = (game.to_move == Party::provider ? game.provider_moves : game.challenger_moves) == 0;
  const uint64_t wait_ms = block.params_of(job).move_ms + (first ? rerun_ms(block.params_of(job), job.spec) : 0);
  state.disarm(dispute.clock);
  dispute.clock = state.arm(Due::game, id_of(dispute), after(block.now, wait_ms), block.next_seq());
}

// `job` is stored by the caller.
void open_dispute(State& state, BlockContext& block, Job& job, Dispute dispute, const attest::GameTerms& terms) {
  CHECK(static_cast<bool>(attest::check(terms)));
  dispute.job = job.id;
  dispute.provider = job.provider;
  dispute.game = attest::open_game(terms);
  start_clock(state, block, job, dispute);
  state.put(dispute);
  job.games.push_back(dispute.id);
  job.state = JobState::disputed;
  block.emit("game.opened", id_of(dispute),
             {{"job", to_json(job.id)},
              {"segment", to_json(terms.segment)},
              {"provider", to_json(dispute.provider)},
              {"challenger", to_json(dispute.challenger)},
              {"to_move", json_quote(attest::name(dispute.game.to_move))},
              {"until", to_json(dispute.clock.due)}});
}

// Takes a game that is over out of its job and keeps its record until the job's would go.
void close(State& state, BlockContext& block, Job& job, Dispute& dispute, bool by_clock) {
  job.games.erase(std::remove(job.games.begin(), job.games.end(), dispute.id), job.games.end());
  if (job.games.empty() && job.state == JobState::disputed) job.state = JobState::committed;
  job.played.push_back(attest::record_of(dispute.game, dispute.challenger, by_clock));
  state.disarm(dispute.clock);
  dispute.clock =
      state.arm(Due::game, id_of(dispute), after(block.now, block.params().receipt_keep_ms), block.next_seq());
  state.put(dispute);
  const auto& winner = dispute.game.winner;
  block.emit("game.over", id_of(dispute),
             {{"job", to_json(dispute.job)},
              {"winner", winner ? json_quote(attest::name(*winner)) : "null"},
              {"by_clock", by_clock ? "true" : "false"},
              {"reason", json_quote(dispute.game.reason)}});
}

// The reward goes to the earliest who bound the same claim, so that copying a dispute earns nothing.
AccountId earliest_of(const State& state, const Job& job, const Dispute& won) {
  AccountId rewarded = won.challenger;
  uint64_t earliest = won.claimed_seq;
  for (const GameId& id : job.games) {
    const auto other = state.dispute(id);
    if (other && other->claimed_seq < earliest && other->game.terms.segment == won.game.terms.segment &&
        other->game.terms.challenger_end_root == won.game.terms.challenger_end_root) {
      rewarded = other->challenger;
      earliest = other->claimed_seq;
    }
  }
  return rewarded;
}

void game_over(State& state, BlockContext& block, Dispute dispute, bool by_clock) {
  auto job = state.job(dispute.job);
  CHECK(job.has_value());
  const auto& game = dispute.game;

  // It pays the winner's re-run. The provider has its stake to lose.
  must(state.move(Holder::game(dispute.id), Holder::account(game.winner == Party::provider ? dispute.provider : dispute.challenger), dispute.fee));
  close(state, block, *job, dispute, by_clock);
  if (game.winner == Party::challenger) {
    if (!by_clock) punish_false_verdicts(state, block, *job, game.terms.segment);
    slash(state, block, *job, earliest_of(state, *job, dispute), Code::slashed,
          by_clock ? "The provider did not move in a dispute." : "A dispute proved the provider's computation wrong.");
  } else if (game.winner == Party::provider) {
    if (dispute.check) {  // an Attest proven wrong
      const auto& rules = block.rules_of(*job);
      const Amount unpaid = *subtract(Amount{rules.params.game_fee}, dispute.fee);  // to nobody: bond that goes to a party may come back
      const Amount fine = *add(Amount{rules.params.verifier_silence}, unpaid);
      const Amount taken = state.move_up_to(Holder::bond(dispute.challenger), Holder::burned(), fine);
      const Amount rest = *subtract(fine, taken);
      state.move_up_to(Holder::unbonding(dispute.challenger), Holder::burned(), rules.protocol >= 2 ? rest : std::min(rest, unpaid));
    }
    state.put(*job);
    settle_if_done(state, block, *job);
  } else {
    CHECK(game.plan_false);
    void_job(state, block, *job, Code::understated_work, attest::Blame::requester,
             "A leaf of the plan breaks its operator's rules.");
  }
}

}  // namespace

Result<> check(const SegmentRoots& roots, const attest::JobSpec& spec, const attest::Commitment& commitment,
               uint64_t segment) {
  const uint64_t segments = spec.segments();
  if (segment >= segments)
    return Error{Code::invalid, "the job has " + std::to_string(segments) + " segments", "name one of them"};
  if (segment == 0) {
    if (roots.start_root != spec.initial_state || !roots.start_path.groups.empty())
      return Error{Code::proof, "segment 0 starts at the job's initial state", "show that root, without a path"};
  } else {
    TRY(attest::check_path(commitment.checkpoint_root, segments, segment - 1, roots.start_root, roots.start_path));
  }
  return attest::check_path(commitment.checkpoint_root, segments, segment, roots.end_root, roots.end_path);
}

Result<> check(const DrawnCall& drawn, const attest::JobSpec& spec, uint64_t work_offset) {
  TRY(attest::check_call(spec.plan_root, drawn.head, drawn.index, drawn.call, drawn.path));
  if (drawn.head.calls != spec.calls)
    return Error{Code::proof, "the plan has " + std::to_string(drawn.head.calls) + " calls, the job says " + std::to_string(spec.calls),
                 "reveal without the call: no game can be about it"};
  u128 before = 0;
  uint64_t index = drawn.index;
  for (const auto& group : drawn.path.groups) {
    for (size_t i = 0; i < index % attest::kArity; i++) before += group[i].work_ns;
    index /= attest::kArity;
  }
  if (work_offset < before || work_offset >= before + drawn.call.work_ns)
    return Error{Code::proof, "call " + std::to_string(drawn.index) + " does not do the work that was drawn",
                 "show the call whose work interval holds the offset"};
  return {};
}

void open_from_check(State& state, BlockContext& block, Job& job, size_t index) {
  const Check& from = job.checks[index];
  const auto& draw = from.record.draw;
  auto terms = terms_of(job, draw.segment, from.start_root, from.record.provider->end_root, from.record.knowledge->end_root);
  if (terms.end_root == terms.challenger_end_root) {
    CHECK(from.call.has_value());
    terms.claim = attest::CallClaim{draw.step, *from.call, from.record.provider->call_id, from.record.knowledge->call_id};
  }
  Dispute dispute;
  dispute.id = game_id(job, draw.segment, draw.verifier, Origin::check);
  dispute.challenger = draw.verifier;
  dispute.check = index;
  dispute.claimed_seq = from.seq;
  const Amount fee{block.params_of(job).game_fee}, for_moves{fee.pebbles / 10};
  const Amount spare = subtract(state.balance(Holder::account(draw.verifier)), for_moves).value_or(Amount{});
  dispute.fee = state.move_up_to(Holder::account(draw.verifier), Holder::game(dispute.id), std::min(fee, spare));
  open_dispute(state, block, job, std::move(dispute), terms);
}

Result<> open_challenge(State& state, const TxContext& context, const JobId& id, uint64_t segment, const Hash& end_root,
                        const SegmentRoots& roots) {
  auto job = state.job(id);
  if (!job) return gone("job", id.as<HashTag>());
  if (job->provider == context.sender)
    return Error{Code::self, "a provider cannot dispute its own commitment", "let somebody else do it"};
  if (!job->commitment || is_terminal(job->state) || (job->phase == JobPhase::window && job->timer.seq == 0))
    return Error{Code::wrong_state, "nothing is open to challenge", "challenge while the job's window is open"};
  if (job->spec.tier == attest::Tier::native)
    return Error{Code::wrong_state, "a native job has no one result that a game could decide", "its judges decide about its pay"};
  if (job->spec.viewers && job->requester != context.sender)
    return Error{Code::not_party, "nothing of a private job is opened but by its requester", "tell the requester"};
  if (job->spec.viewers && !job->key)
    return Error{Code::wrong_state, "a game opens what the job keeps private", "consent to that first"};
  Dispute dispute;
  dispute.id = game_id(*job, segment, context.sender, Origin::challenge);
  if (state.dispute(dispute.id))
    return Error{Code::already, "there is a game of this challenger about this segment", "play that one"};
  TRY(check(roots, job->spec, *job->commitment, segment));
  const auto terms = terms_of(*job, segment, roots.start_root, roots.end_root, end_root);
  if (roots.end_root == end_root)
    return Error{Code::invalid, "the end that is held instead is the same", "challenge only what differs"};
  TRY(attest::check(terms));
  const Amount fee{context.block.params_of(*job).game_fee};
  TRY(state.move(Holder::account(context.sender), Holder::game(dispute.id), fee));
  dispute.challenger = context.sender;
  dispute.claimed_seq = context.seq;
  dispute.fee = fee;
  open_dispute(state, context.block, *job, std::move(dispute), terms);
  state.put(*job);
  return {};
}

Result<> play_move(State& state, const TxContext& context, const GameId& id, const attest::Move& move) {
  auto dispute = state.dispute(id);
  if (!dispute || dispute->game.over()) return gone("open game", id.as<HashTag>());
  const bool provider = context.sender == dispute->provider;
  if (!provider && context.sender != dispute->challenger)
    return Error{Code::not_party, "only the two sides of a game can move", "sign with a side's key"};
  TRY(attest::play(dispute->game, provider ? Party::provider : Party::challenger, move));
  context.block.emit("game.moved", id_of(*dispute),
                     {{"job", to_json(dispute->job)},
                      {"by", json_quote(provider ? "provider" : "challenger")},
                      {"move", json_quote(attest::name(move))},
                      {"phase", json_quote(attest::name(dispute->game.phase))},
                      {"to_move", json_quote(attest::name(dispute->game.to_move))}});
  if (dispute->game.over()) {
    game_over(state, context.block, *std::move(dispute), false);
    return {};
  }
  const auto job = state.job(dispute->job);
  CHECK(job.has_value());
  start_clock(state, context.block, *job, *dispute);
  state.put(*dispute);
  return {};
}

void game_due(State& state, BlockContext& block, Dispute dispute) {
  dispute.clock = {};
  if (dispute.game.over()) return state.erase(dispute);
  attest::forfeit(dispute.game);
  game_over(state, block, std::move(dispute), true);
}

void drop_games(State& state, BlockContext& block, Job& job) {
  for (const GameId& id : job.games) {
    auto dispute = state.dispute(id);
    CHECK(dispute.has_value());
    must(state.move(Holder::game(id), Holder::account(dispute->challenger), dispute->fee));
    state.disarm(dispute->clock);
    state.erase(*dispute);
    block.emit("game.dropped", id.as<HashTag>(), {{"job", to_json(dispute->job)}});
  }
  job.games.clear();
}

bool awaits_move(const State& state, const GameId& game, const AccountId& from) {
  const auto dispute = state.dispute(game);
  if (!dispute || dispute->game.over()) return false;
  return from == (dispute->game.to_move == Party::provider ? dispute->provider : dispute->challenger);
}

}  // namespace cairn::ledger
