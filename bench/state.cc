#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "base/file.h"
#include "base/scratch.h"
#include "bench/ledger.h"
#include "ledger/bench_state.h"

namespace cairn::bench {
namespace {

namespace fs = std::filesystem;

ledger::StateFigures figures_of(uint64_t accounts) {
  const Scratch scratch;
  const fs::path home = scratch.path / "state";
  const fs::path self = fs::read_symlink("/proc/self/exe");
  return must(ledger::measure_state(home, accounts, self.parent_path() / "cairnd",
                                    {self.string(), "ledger", "--build", home.string(), "--accounts", std::to_string(accounts)}));
}

Row value(std::string name, std::string unit, const std::vector<double>& values, double must_hold, double aim) {
  const double middle = median(values);
  return {std::move(name), "", middle, 0, std::move(unit), middle, quantile(values, 0.25), quantile(values, 0.75), must_hold, aim, true};
}

// The same figures whatever the size; bounds are stated for a million accounts.
std::vector<Row> rows_of(const ledger::StateFigures& figures, bool bounded) {
  const std::string among = " among 10^" + std::to_string(static_cast<int>(std::lround(std::log10(static_cast<double>(figures.accounts))))) + " accounts";
  const auto of = [&](const char* what, const char* unit, const std::vector<double>& values, double must_hold, double aim) {
    return value(what + among, unit, values, bounded ? must_hold : 0, bounded ? aim : 0);
  };
  return {of("proof of one account", "B", figures.proof_bytes, 2048, 1024),
          of("check of its path, header trusted", "us", figures.proof_check_us, 100, 30),
          of("disk for each", "B", {figures.disk_bytes}, 400, 200),
          of("start after kill -9", "ms", figures.start_ms, 1000, 100),
          of("node memory, idle", "MB", {figures.idle_bytes / 1e6}, 300, 100)};
}

// A panel a figure, a point a size, in bench/results/state-growth.svg.
void draw(const std::vector<std::vector<Row>>& sizes) {
  constexpr int kWide = 220, kHigh = 160, kEdge = 34;
  const size_t panels = sizes.front().size();
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + std::to_string(kWide * static_cast<int>(panels)) + "\" height=\"" +
                    std::to_string(kHigh + 20) + "\" font-family=\"sans-serif\" font-size=\"10\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  for (size_t panel = 0; panel < panels; panel++) {
    double highest = 0;
    for (const auto& rows : sizes) highest = std::max(highest, rows[panel].ratio);
    const int left = kWide * static_cast<int>(panel);
    const std::string& name = sizes.front()[panel].name;
    svg += "<text x=\"" + std::to_string(left + 8) + "\" y=\"14\">" + name.substr(0, name.find(" among")) + ", " + sizes.front()[panel].unit + "</text>\n";
    std::string points;
    for (size_t i = 0; i < sizes.size(); i++) {
      const int x = left + kEdge + static_cast<int>(i) * (kWide - 2 * kEdge) / std::max(1, static_cast<int>(sizes.size()) - 1);
      const int y = kHigh - 10 - static_cast<int>(sizes[i][panel].ratio / highest * (kHigh - 60));
      char text[32];
      std::snprintf(text, sizeof text, "%.3g", sizes[i][panel].ratio);
      points += std::to_string(x) + "," + std::to_string(y) + " ";
      svg += "<circle cx=\"" + std::to_string(x) + "\" cy=\"" + std::to_string(y) + "\" r=\"3\"/><text x=\"" + std::to_string(x) + "\" y=\"" +
             std::to_string(y - 7) + "\" text-anchor=\"middle\">" + text + "</text><text x=\"" + std::to_string(x) + "\" y=\"" + std::to_string(kHigh + 10) +
             "\" text-anchor=\"middle\">10^" + std::to_string(i + 4) + "</text>\n";
    }
    svg += "<polyline points=\"" + points + "\" fill=\"none\" stroke=\"black\"/>\n";
  }
  must(write_file("bench/results/state-growth.svg", as_bytes(svg + "</svg>\n")));
}

}  // namespace

std::vector<Row> measure_state(const LedgerOptions& options) {
  if (!options.full) return rows_of(figures_of(options.quick ? 100'000 : 1'000'000), !options.quick);
  std::vector<std::vector<Row>> sizes;
  for (const uint64_t accounts : {10'000u, 100'000u, 1'000'000u, 10'000'000u}) sizes.push_back(rows_of(figures_of(accounts), accounts == 1'000'000));
  draw(sizes);
  std::vector<Row> rows;
  for (const auto& size : sizes) rows.insert(rows.end(), size.begin(), size.end());
  return rows;
}

}  // namespace cairn::bench
