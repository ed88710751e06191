#include "gateway/policy/monitor_log.hpp"

#include <algorithm>

namespace gatehouse {
namespace {

/// "ads.example to 192.0.2.1:53 from 10.0.0.7"
std::string met(const Notice& notice) {
  std::string out(notice.name());
  for (char& c : out)  // the client has chosen it
    if (c < 0x21 || c > 0x7e) c = '?';
  if (!out.empty()) out += " to ";
  out += Endpoint{notice.destination, notice.port, 0}.to_string();
  if (notice.source.family() != Family::none) out += " from " + notice.source.to_string();
  return out;
}

/// @param times  0: more rows were hit than are counted one by one
std::string how_often(std::uint64_t times) {
  if (times == 0) return ": at least once; too many rows are hit for each to be counted";
  return times == 1 ? ": once" : ": " + std::to_string(times) + " times";
}

}  // namespace

void MonitorLog::add(const Notice& notice) {
  const policy::RowRef& row = notice.row;
  auto found = rows_.find(row);
  if (found == rows_.end()) {
    if (rows_.size() >= kMostRows) return;
    found = rows_.try_emplace(row).first;
  }
  if (found->second.met.empty()) found->second.met = met(notice);
}

void MonitorLog::keep_only(const std::vector<policy::RowRef>& rows) {
  std::erase_if(rows_,
                [&rows](const auto& entry) { return !std::binary_search(rows.begin(), rows.end(), entry.first); });
}

bool MonitorLog::due(Clock::time_point now) const {
  return std::any_of(rows_.begin(), rows_.end(),
                     [now](const auto& row) { return !row.second.met.empty() && row.second.next <= now; });
}

void MonitorLog::write_lines(Clock::time_point now, const std::map<policy::RowRef, std::uint64_t>& counts,
                             const std::function<void(std::string line, std::string example)>& write) {
  for (auto& [row, entry] : rows_) {
    if (entry.met.empty() || entry.next > now) continue;
    const auto found = counts.find(row);
    const std::uint64_t count = found == counts.end() ? entry.logged : found->second;
    const std::string name = "monitor " + std::string(policy::to_text(row.table)) + " " + std::to_string(row.row);
    write(name + how_often(count - std::min(count, entry.logged)), name + ", such as " + entry.met);
    entry = {"", count, now + kPause};
  }
}

}  // namespace gatehouse
