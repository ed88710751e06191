// The log lines about plugins that ask for clients which they do not have: closed ones, or another lane's. It is their
// fault, each such call is refused, and a plugin that does it may do it with each packet. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse {

/// Calls with such a client since the start, by the instance's name; those that made none are left out.
using StrangeClientCounts = std::map<std::string, std::uint64_t, std::less<>>;

/// At most one line a plugin every ten minutes, with the calls since its last one.
class StrangeClientLog {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::minutes kPause{10};

  /// The sentences that are due.
  [[nodiscard]] std::vector<std::string> lines(Clock::time_point now, const StrangeClientCounts& counts);

 private:
  struct Entry {
    std::uint64_t logged = 0;  // in lines before
    Clock::time_point next{};  // no line before
  };
  std::map<std::string, Entry, std::less<>> plugins_;
};

}  // namespace gatehouse
