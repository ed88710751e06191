// The time of day in names of files and in what a lock tells: UTC. Thread-safe.
#pragma once

#include <array>
#include <ctime>
#include <string>

namespace gatehouse::db {

/// @param format  of strftime(); what comes out has 31 characters at most
[[nodiscard]] inline std::string utc_now(const char* format) {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), format, &parts)};
}

}  // namespace gatehouse::db
