#include "gateway/base/utc_time.hpp"

#include <time.h>

#include <array>
#include <charconv>

namespace gatehouse {
namespace {

/// The bare number for a year that the calendar does not have.
std::string spelled(std::int64_t unix_time, const char* format) {
  const std::time_t seconds = unix_time;
  std::tm parts{};
  std::array<char, 64> text;
  if (gmtime_r(&seconds, &parts) == nullptr) return std::to_string(unix_time);
  return {text.data(), std::strftime(text.data(), text.size(), format, &parts)};
}

}  // namespace

std::int64_t unix_seconds(std::chrono::system_clock::time_point time) noexcept {
  return std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count();
}
std::int64_t unix_now() noexcept { return unix_seconds(std::chrono::system_clock::now()); }

std::string utc_text(std::int64_t unix_time) { return spelled(unix_time, "%Y-%m-%d %H:%M:%S UTC"); }
std::string rfc3339(std::int64_t unix_time) { return spelled(unix_time, "%Y-%m-%dT%H:%M:%SZ"); }

std::optional<std::int64_t> parse_time(const std::string& text) {
  std::int64_t seconds = 0;
  const char* const end = text.data() + text.size();
  if (const auto number = std::from_chars(text.data(), end, seconds); number.ec == std::errc{} && number.ptr == end)
    return seconds;
  for (const char* form :
       {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"}) {
    std::tm parts{};
    const char* const read = ::strptime(text.c_str(), form, &parts);
    if (read != nullptr && *read == 0) return ::timegm(&parts);
  }
  return {};
}

}  // namespace gatehouse
