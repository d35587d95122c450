#include "ledger/export.h"

#include <set>

#include "base/file.h"

namespace cairn::ledger {
namespace {

constexpr std::string_view kMagic = "cairn-state-1\n";
constexpr size_t kMaxFileBytes = size_t{8} << 30;

}  // namespace

Result<> export_state(const Chain& chain, const std::filesystem::path& file) {
  ExportedState out;
  std::set<Height> draws;
  std::vector<JobId> jobs;
  if (chain.genesis().engine != attest::Engine::solo)
    return Error{Code::wrong_state, "a chain of several validators seals its last header only with the next", "a new node catches up from its peers"};
  if (number(chain.store().head()) == 0) return Error{Code::wrong_state, "the chain has no block yet", "start from its genesis file"};
  TRY_LET(committed, chain.last());
  out.header = committed.header;
  committed.view->records({}, [&](ByteSpan key, ByteSpan value) {
    out.records.push_back({Bytes(key.begin(), key.end()), Bytes(value.begin(), value.end())});
    return true;
  });
  State(*committed.view).scan<Job>(make_key('j'), [&](const Job& job) {
    jobs.push_back(job.id);
    for (const auto& draw : job.draws) draws.insert(draw.height);
    return true;
  });
  for (const JobId& job : jobs)
    for (auto& receipt : chain.store().receipts(job)) {
      for (const auto& draw : receipt.draws) draws.insert(draw.height);
      out.receipts.push_back(std::move(receipt));
    }
  for (const Height height : draws) {
    const auto header = chain.store().header(height);
    if (!header) return Error{Code::io, "the store lacks block " + std::to_string(number(height)), "restore it from a copy"};
    out.draw_headers.push_back(*header);
  }
  if (auto last = chain.store().events(chain.store().last_event(), 1); !last.empty()) out.last_event = std::move(last.front());
  Writer writer;
  writer.raw(as_bytes(kMagic));
  writer.put(out);
  return write_file(file, writer.take());
}

Result<> import_state(const std::filesystem::path& file, const attest::Genesis& genesis, const std::filesystem::path& folder) {
  std::error_code fault;
  if (std::filesystem::exists(folder, fault))
    return Error{Code::exists, folder.string() + " exists already", "name another folder: a chain is never written over"};
  TRY_LET(bytes, read_file(file, kMaxFileBytes));
  const ByteSpan span = bytes;
  if (span.size() < kMagic.size() || !std::equal(kMagic.begin(), kMagic.end(), span.begin()))
    return Error{Code::malformed, file.string() + " is no exported state", "make one with `cairnd export`"};
  TRY_LET(state, decode<ExportedState>(span.subspan(kMagic.size())));
  TRY(attest::check_header(genesis, state.header));
  Bytes before;  // no key is empty
  std::vector<RecordChange> records;
  for (auto& [key, value] : state.records) {
    if (!KeyOrder{}(before, key)) return Error{Code::malformed, "the records of " + file.string() + " are out of order", "fetch it again"};
    before = key;
    records.emplace_back(std::move(key), std::move(value));
  }
  MemoryView view;
  StateTree tree(view);
  const auto whole = [&]() -> Result<std::vector<PageChange>> {
    try {
      for (const auto& [key, value] : records) {
        const auto entry = map_entry(key, *value);
        tree.set(entry.key, entry.value);
      }
      auto pages = tree.changes();
      view.apply(records, pages);
      TRY(check_state(view, genesis, state.header));
      return pages;
    } catch (const Fault& thrown) {  // a record that is none
      return thrown.error();
    }
  }();
  if (!whole) return Error{Code::proof, file.string() + ": " + whole.error().text, "fetch it again, from somebody else"};
  for (const auto& header : state.draw_headers) {
    TRY(attest::check_header(genesis, header));
    if (number(header.header.height) >= number(state.header.header.height))
      return Error{Code::proof, "a header of " + file.string() + " is later than its state", "fetch it again, from somebody else"};
  }

  const std::filesystem::path part = folder.string() + ".part";
  std::filesystem::remove_all(part, fault);
  {
    TRY_LET(store, Store::open(part, attest::genesis_hash(genesis)));
    store->begin(state.header, state.draw_headers, state.receipts, state.last_event, records, *whole);
  }
  std::filesystem::rename(part, folder, fault);
  if (fault) return Error{Code::io, folder.string() + " cannot be made: " + fault.message(), "check the folder above it"};
  return {};
}

}  // namespace cairn::ledger
