// The log lines of monitor rows: how often, and apart from that, for who may know names and addresses, an example. At
// most one line a row every ten seconds. One thread.
#pragma once

#include "gateway/policy/notice_ring.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace gatehouse {

class MonitorLog {
 public:
  using Clock = std::chrono::steady_clock;
  using Row = std::pair<policy::Table, std::int64_t>;
  static constexpr std::chrono::seconds kPause{10};
  static constexpr std::size_t kMostRows = 4096;

  /// Notes what a monitor row has met last.
  void add(const Notice& notice);
  /// Forgets the other rows. @param rows  sorted
  void keep_only(const std::vector<Row>& rows);
  /// Is a line due? Then write_lines() is worth the counts.
  [[nodiscard]] bool due(Clock::time_point now) const;
  /// @param counts  of each monitor row since the start, as far as they are known; a line tells what has come since the
  ///                row's last line
  /// @param write   gets a line that names nobody, and one that says whom the row has met
  void write_lines(Clock::time_point now, const std::map<Row, std::uint64_t>& counts,
                   const std::function<void(std::string line, std::string example)>& write);

 private:
  struct Entry {
    std::string met;           // what the example will say, "" = nothing new
    std::uint64_t told = 0;    // of the row's count, in lines before
    Clock::time_point next{};  // no line before
  };
  std::map<Row, Entry> rows_;
};

}  // namespace gatehouse
