#include "bench/ledger.h"

namespace cairn::bench {

std::vector<Row> measure_ledger(const LedgerOptions& options) {
  constexpr std::vector<Row> (*kRooms[])(const LedgerOptions&) = {measure_node, measure_state};
  std::vector<Row> rows;
  for (const auto room : kRooms)
    for (Row& row : room(options)) rows.push_back(std::move(row));
  return rows;
}

}  // namespace cairn::bench
