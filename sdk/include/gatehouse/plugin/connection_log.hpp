// Log lines about single connections, which whoever connects could make as many of as they like: a few of each source
// are written, the others are counted.
#pragma once

#include <gatehouse/async/lane_loop.hpp>
#include <gatehouse/base/prefix.hpp>
#include <gatehouse/plugin/host.hpp>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace gatehouse {

/// One lane's, on its thread. Of each event and source (a /32 or /64; Unix streams are one) the first kLines in
/// kInterval are written, of all sources together kLinesOfAll; what is left becomes one line with a count when the
/// interval ends: `stream closed source=192.0.2.7/32 more=19990 seconds=10`. Sources that find no place in the table
/// are counted together, as `others`. At the level debug every line is written.
///
/// A line costs one search and, when it is written, what Log::info() costs. The table has a fixed size, some 30 KB.
class ConnectionLog {
 public:
  static constexpr std::uint32_t kLines = 10;                         ///< of one source in an interval
  static constexpr std::uint32_t kLinesOfAll = 1000;                  ///< of all sources in an interval
  static constexpr std::size_t kSources = 512;                        ///< places
  static constexpr Nanoseconds kInterval = std::chrono::seconds(10);  ///< in which lines are counted

  /// Both must outlive it.
  ConnectionLog(LaneLoop& loop, const Log& log, Nanoseconds interval = kInterval);
  /// Writes the counts.
  ~ConnectionLog() { end_interval(); }
  ConnectionLog(const ConnectionLog&) = delete;
  ConnectionLog& operator=(const ConnectionLog&) = delete;

  /// @param event  a literal: kept until the interval ends
  void info(const IpAddress& source, std::string_view event, std::initializer_list<Log::Field> fields) {
    write(LogLevel::info, source, event, fields);
  }
  /// The same at another level, counted apart.
  void warn(const IpAddress& source, std::string_view event, std::initializer_list<Log::Field> fields) {
    write(LogLevel::warn, source, event, fields);
  }

 private:
  struct Place {
    std::string_view event;  // empty: free
    Prefix source;
    LogLevel level = LogLevel::info;
    std::uint64_t written = 0, more = 0;
  };
  void write(LogLevel level, const IpAddress& source, std::string_view event, std::initializer_list<Log::Field> fields);
  [[nodiscard]] Place& place_of(const Prefix& source, std::string_view event) noexcept;
  void end_interval();

  LaneLoop& loop_;
  const Log& log_;
  const Nanoseconds interval_;
  std::array<Place, kSources> places_;
  Place others_;
  std::uint64_t written_ = 0;  // of the interval
  bool is_open_ = false;       // the interval
  LaneTimer timer_;
};

}  // namespace gatehouse
