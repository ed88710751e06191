#include "gateway/cli/policy/edit/duration.hpp"

#include "gateway/base/utc_time.hpp"

#include <charconv>
#include <stdexcept>
#include <string>

namespace gatehouse {
namespace {

constexpr std::int64_t kLongestDuration = std::int64_t{100} * 365 * 86400;  // more than that is a typing error

std::int64_t seconds_of(char unit) noexcept {
  switch (unit) {
    case 's': return 1;
    case 'm': return 60;
    case 'h': return 3600;
    case 'd': return 86400;
    default: return 0;
  }
}

}  // namespace

std::int64_t parse_duration(std::string_view text) {
  std::int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, number);
  const std::int64_t unit = stop + 1 == end ? seconds_of(*stop) : 0;
  if (failure != std::errc{} || unit == 0 || number <= 0)
    throw std::runtime_error("`" + std::string(text) + "` is no duration: write 90s, 15m, 2h or 7d");
  if (number > kLongestDuration / unit)
    throw std::runtime_error("`" + std::string(text) + "` is too long: leave --for away for a row without an end");
  return number * unit;
}

std::optional<std::int64_t> end_after(std::string_view text) {
  if (text.empty()) return {};
  return unix_now() + parse_duration(text);
}

}  // namespace gatehouse
