// The log lines of monitor rows: how often, and in a line apart, since it has names and addresses, an example. At
// most one line a row every ten seconds. One thread.
#pragma once

#include "gateway/policy/notice_ring.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace gatehouse {

class MonitorLog {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kPause{10};
  static constexpr std::size_t kMostRows = 4096;

  /// Notes what a monitor row has met last.
  void add(const Notice& notice);
  /// Forgets the other rows. @param rows  sorted
  void keep_only(const std::vector<policy::RowRef>& rows);
  /// Is a line due? Then write_lines() is worth the counts.
  [[nodiscard]] bool due(Clock::time_point now) const;
  /// @param counts  of each monitor row since the start, as far as they are known; a line has the number since the
  ///                row's last line
  /// @param write   gets a line without names, and one with a name and addresses that the row has met
  void write_lines(Clock::time_point now, const std::map<policy::RowRef, std::uint64_t>& counts,
                   const std::function<void(std::string line, std::string example)>& write);

 private:
  struct Entry {
    std::string met;           // the text of the example, "" = nothing new
    std::uint64_t logged = 0;  // of the row's count, in lines before
    Clock::time_point next{};  // no line before
  };
  std::map<policy::RowRef, Entry> rows_;
};

}  // namespace gatehouse
