#include "tests/sim/records.h"

namespace cairn::sim {
namespace {
template <class Record>
Record read(ByteSpan value) {
  return must(decode<Record>(value));
}
}  // namespace

std::shared_ptr<const Records> Records::of(const App& app) {
  auto view = std::make_shared<Records>();
  view->height = app.head().header.height;
  view->now = app.head().header.time;
  app.state().each({}, {}, [&](ByteSpan key, ByteSpan value) {
    switch (key.front()) {
      case 'a': {
        const auto r = read<Account>(value);
        view->accounts.emplace(r.id, r);
        break;
      }
      case 'k': {
        const auto r = read<HotKey>(value);
        view->hot_keys.emplace(Signer{r.account, r.key}, r);
        break;
      }
      case 'h': {
        const auto r = read<Holding>(value);
        view->holdings.emplace(std::pair(r.holder, r.currency), r.amount);
        break;
      }
      case 'u': {
        const auto r = read<Unbonding>(value);
        view->unbondings.emplace(r.seq, r);
        break;
      }
      case 'v': {
        const auto r = read<Verifier>(value);
        view->verifiers.emplace(r.account, r);
        break;
      }
      case 'D': view->duties.push_back(read<Duty>(value)); break;
      case 'd': {
        const auto r = read<Deadline>(value);
        view->deadlines.emplace(std::pair(r.timer.due, r.timer.seq), r);
        break;
      }
      case 'o': {
        const auto r = read<Offer>(value);
        view->offers.emplace(r.id, r);
        break;
      }
      case 'b': view->book.push_back(read<BookEntry>(value)); break;
      case 'w': view->waiting.push_back(read<WaitingJob>(value)); break;
      case 'q': view->draws.push_back(read<DueDraw>(value)); break;
      case 'j': {
        auto r = read<Job>(value);
        const JobId id = r.id;
        view->jobs.emplace(id, std::move(r));
        break;
      }
      case 'g': {
        auto r = read<Dispute>(value);
        const GameId id = r.id;
        view->games.emplace(id, std::move(r));
        break;
      }
      case 's': {
        auto r = read<Asset>(value);
        const AssetId id = r.id;
        view->assets.emplace(id, std::move(r));
        break;
      }
      case 'c': {
        const auto r = read<ContentAsset>(value);
        view->contents.emplace(r.content, r.asset);
        break;
      }
      case 'r': {
        const auto r = read<Reservation>(value);
        view->reservations.emplace(r.hash, r);
        break;
      }
      case 'f': view->forked = true; break;
      default: break;  // a table that nothing here has a rule for
    }
    return true;
  });
  return view;
}

}  // namespace cairn::sim
