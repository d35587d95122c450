// The state of a chain as one file, from which the same chain goes on elsewhere: on a new disk, in a new node, without the blocks
// before. Nothing is translated, so open jobs, games, deadlines, nonces and signatures stay what they are; whoever imports
// believes nothing but the genesis, since the header must be sealed by the chain's validators and the records must lead to its
// root.
//
//   file := "cairn-state-1\n" ExportedState
#pragma once

#include "ledger/chain.h"

namespace cairn::ledger {

struct ExportedRecord {
  Bytes key;
  Bytes value;
  static constexpr auto fields() { return std::tuple{field("key", &ExportedRecord::key), field("value", &ExportedRecord::value)}; }
};

struct ExportedState {
  attest::SignedHeader header;                     // of the last block
  std::vector<attest::SignedHeader> draw_headers;  // of the blocks whose beacons drew for jobs in the state, by height
  std::vector<attest::ReceiptBody> receipts;       // of jobs in the state
  std::optional<Event> last_event;                 // its number is gone on from
  std::vector<ExportedRecord> records;             // in the order of their keys
  static constexpr auto fields() {
    using E = ExportedState;
    return std::tuple{field("header", &E::header), field("draw_headers", &E::draw_headers), field("receipts", &E::receipts),
                      field("last_event", &E::last_event), field("records", &E::records)};
  }
};

// Errors: wrong_state (no block yet, or a chain of several validators), io.
Result<> export_state(const Chain& chain, const std::filesystem::path& file);

// Makes the folder, which must not be there: whole, or not at all. Errors: exists, not_found, io, malformed, wrong_chain,
// bad_signature, proof (the records are not those of the header).
Result<> import_state(const std::filesystem::path& file, const attest::Genesis& genesis, const std::filesystem::path& folder);

}  // namespace cairn::ledger
