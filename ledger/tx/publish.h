// Second step of publishing.
#pragma once

#include "ledger/assets.h"

namespace cairn::ledger {

// Names a reserved content as an asset under this transaction's id. The earliest reservation wins, even over an asset
// published before. With `origin`, the parents are the assets that went into that job, at 1,000 basis points each; without,
// they are as told and shown as unproven. Parents above 5,000 basis points together are scaled down in proportion.
// Rejects: invalid       a text too long, no or too many holders or parents, parts 0, parents beside `origin`
//          not_found     no reservation, no such parent, no such job
//          wrong_state   the reservation stands in this very block; the job is not settled
//          not_party     the job is somebody else's
//          proof         `content` is not what the job committed to
//          already       an asset of this content was reserved earlier
//          limit         deeper than 8 generations, or more than 256 in the split
//          insufficient  the deposit is more than the balance
// Keeps:   the deposit moves to deposit(asset)
struct Publish {
  static constexpr uint16_t kTag = 20;
  static constexpr std::string_view kName = "publish";
  static constexpr std::array kScopes{Scope::publish};
  AssetKind kind{};
  std::string title;
  Hash content;  // content id
  Hash salt;  // of the reservation
  Amount price;  // per use in a job
  std::vector<Share> holders;  // who shares what is left after the parents; empty: the sender alone
  std::vector<Parent> parents;  // only without `origin`: then lineage is computed
  JobId origin;  // a settled job of the sender whose outputs_root is `content`; zero: imported
  static constexpr auto fields() {
    return std::tuple{field("kind", &Publish::kind),
                      field("title", &Publish::title),
                      field("content", &Publish::content),
                      field("salt", &Publish::salt),
                      field("price", &Publish::price),
                      field("holders", &Publish::holders),
                      field("parents", &Publish::parents),
                      field("origin", &Publish::origin)};
  }
  Result<> apply(State& state, const TxContext& context) const { return publish(state, context, *this); }
};

}  // namespace cairn::ledger
