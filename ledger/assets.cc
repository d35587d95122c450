#include "ledger/assets.h"

#include <algorithm>
#include <numeric>

#include "base/blake3.h"
#include "ledger/market.h"
#include "ledger/tx/publish.h"

namespace cairn::ledger {

Hash reservation_hash(const Hash& content, const AccountId& owner, const Hash& salt) {
  return tagged_hash("cairn.reservation.v1", {content.span(), owner.span(), salt.span()});
}

std::vector<uint64_t> split(uint64_t total, const std::vector<uint64_t>& weights) {
  u128 sum = 0;
  for (uint64_t weight : weights) sum += weight;
  std::vector<uint64_t> parts(weights.size(), 0);
  if (total == 0) return parts;
  CHECK(sum != 0 && sum <= UINT64_MAX);
  std::vector<uint64_t> remainder(weights.size());
  uint64_t given = 0;
  for (size_t i = 0; i < weights.size(); i++) {
    const u128 wide = static_cast<u128>(total) * weights[i];
    parts[i] = static_cast<uint64_t>(wide / sum);
    remainder[i] = static_cast<uint64_t>(wide % sum);
    given += parts[i];
  }
  std::vector<size_t> order(weights.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return remainder[a] > remainder[b]; });
  for (size_t i = 0; given < total; i++, given++) parts[order[i]]++;
  return parts;
}

Result<> settle_lineage(const State& state, Asset& asset) {
  uint64_t sum = 0;
  for (const Parent& parent : asset.parents) sum += parent.basis_points;
  const uint64_t ancestors = std::min<uint64_t>(sum, kMaxAncestorsBasisPoints);

  // First how much goes to each parent and to the holders, then within each.
  std::vector<uint64_t> weights;
  for (const Parent& parent : asset.parents) weights.push_back(parent.basis_points);
  const std::vector<uint64_t> to_parents = split(kSplitParts / kBasisPoints * ancestors, weights);
  std::map<AccountId, uint64_t> parts;
  asset.depth = 0;
  for (size_t i = 0; i < asset.parents.size(); i++) {
    const auto parent = state.asset(asset.parents[i].asset);
    if (!parent) return gone("asset", asset.parents[i].asset.as<HashTag>());
    asset.depth = std::max<uint8_t>(asset.depth, static_cast<uint8_t>(parent->depth + 1));
    std::vector<uint64_t> theirs;
    for (const Share& share : parent->split) theirs.push_back(share.parts);
    const auto shares = split(to_parents[i], theirs);
    for (size_t s = 0; s < shares.size(); s++) parts[parent->split[s].account] += shares[s];
  }
  if (asset.depth > kMaxDepth)
    return Error{Code::limit, "an asset may stand at most 8 generations below its oldest ancestor", "publish it without parents"};
  std::vector<uint64_t> ours;
  for (const Share& share : asset.holders) ours.push_back(share.parts);
  const auto shares = split(kSplitParts - kSplitParts / kBasisPoints * ancestors, ours);
  for (size_t s = 0; s < shares.size(); s++) parts[asset.holders[s].account] += shares[s];

  asset.split.clear();
  for (const auto& [account, count] : parts)
    if (count != 0) asset.split.push_back({account, count});
  if (asset.split.size() > kMaxSplit)
    return Error{Code::limit, "more than 256 accounts would share in every use", "name fewer parents or holders"};
  return {};
}

Result<> publish(State& state, const TxContext& context, const Publish& body) {
  const auto invalid = [](std::string text, std::string next) { return Error{Code::invalid, std::move(text), std::move(next)}; };
  if (body.title.empty() || body.title.size() > kMaxTextBytes)
    return invalid("a title has 1 to 256 bytes", "name the asset");
  if (body.holders.size() > kMaxHolders || body.parents.size() > kMaxParents)
    return invalid("at most 64 holders and 16 parents", "name fewer");
  u128 parts = 0;
  for (const Share& share : body.holders) {
    if (share.parts == 0) return invalid("a holder's share is 0", "leave it out");
    parts += share.parts;
  }
  if (parts > UINT64_MAX) return invalid("the shares are more than can be counted", "use smaller numbers");
  for (const Parent& parent : body.parents)
    if (parent.basis_points == 0 || parent.basis_points > kBasisPoints)
      return invalid("a parent has 1 to 10,000 basis points", "check the parents");
  if (!body.origin.is_zero() && !body.parents.empty())
    return invalid("the lineage of a job's output is computed, not told", "leave the parents out");

  const Hash hash = reservation_hash(body.content, context.sender, body.salt);
  const auto reservation = state.reservation(hash);
  if (!reservation) return gone("reservation", hash);
  if (reservation->height == context.block.height)
    return Error{Code::wrong_state, "the reservation stands in this very block", "publish a block later"};

  Asset asset;
  asset.id = context.id.as<AssetIdTag>();
  asset.owner = context.sender;
  asset.kind = body.kind;
  asset.title = body.title;
  asset.content = body.content;
  asset.price = body.price;
  asset.holders = body.holders;
  if (asset.holders.empty()) asset.holders = {{context.sender, 1}};
  asset.parents = body.parents;
  asset.origin = body.origin;
  asset.reserved_seq = reservation->seq;
  if (!body.origin.is_zero()) {
    const auto job = state.job(body.origin);
    if (!job) return gone("job", body.origin.as<HashTag>());
    if (job->requester != context.sender)
      return Error{Code::not_party, "the job is somebody else's", "its requester may publish what it made"};
    if (job->state != JobState::settled) return Error{Code::wrong_state, "the job is not settled", "wait until it is"};
    if (job->commitment->outputs_root != body.content)
      return Error{Code::proof, "the content is not what the job committed to", "publish its outputs_root"};
    for (const AssetId& id : assets_of(job->spec))
      if (state.asset(id)) asset.parents.push_back({id, kLineageBasisPoints});
    if (asset.parents.size() > kMaxParents) asset.parents.resize(kMaxParents);
  }

  const ContentAsset place{body.content, asset.id};
  if (const auto taken = state.find<ContentAsset>(key_of(place))) {
    auto other = state.asset(taken->asset);
    CHECK(other.has_value());
    if (other->reserved_seq < asset.reserved_seq)
      return Error{Code::already, "asset " + other->id.hex().substr(0, 16) + " has this content and was reserved earlier",
                   "use that asset"};
    state.move_all(Holder::deposit(other->id.as<HashTag>()), Holder::account(other->owner));
    state.erase(*other);
    context.block.emit("asset.displaced", other->id.as<HashTag>(), {{"by", to_json(asset.id)}});
  }
  TRY(settle_lineage(state, asset));
  state.put(place);
  state.put(asset);
  state.erase(*reservation);
  state.move_all(Holder::deposit(hash), Holder::account(context.sender));
  TRY(lock_deposit(state, context, context.id, context.size_bytes + encode(asset.split).size()));
  context.block.emit("asset.published", context.id,
                     {{"owner", to_json(asset.owner)}, {"title", json_quote(asset.title)}, {"price", to_json(asset.price)}});
  return {};
}

std::vector<attest::SettlementLine> pay_royalties(State& state, BlockContext& block, const JobId& job, const AssetId& id) {
  std::vector<attest::SettlementLine> lines;
  auto asset = state.asset(id);
  if (!asset) return lines;  // lost to an earlier reservation meanwhile: its price goes back as change
  std::vector<uint64_t> weights;
  for (const Share& share : asset->split) weights.push_back(share.parts);
  const auto amounts = split(asset->price.pebbles, weights);
  for (size_t i = 0; i < amounts.size(); i++) {
    const Amount amount{amounts[i]};
    if (amount.pebbles == 0) continue;
    must(state.move(Holder::escrow(job), Holder::account(asset->split[i].account), amount));
    lines.push_back({asset->split[i].account, amount, attest::Purpose::royalty, id});
  }
  asset->uses++;
  asset->earned = add(asset->earned, asset->price).value_or(asset->earned);
  state.put(*asset);
  block.emit("asset.used", id.as<HashTag>(), {{"job", to_json(job)}, {"paid", to_json(asset->price)}});
  return lines;
}

}  // namespace cairn::ledger
