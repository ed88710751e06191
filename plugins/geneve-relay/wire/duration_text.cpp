#include "plugins/geneve-relay/wire/duration_text.hpp"

#include <array>
#include <charconv>
#include <limits>
#include <optional>

namespace gatehouse::geneve_relay {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t nanoseconds;
};
constexpr std::uint64_t kMinuteLong = 60'000'000'000, kHourLong = 60 * kMinuteLong;
constexpr Unit kHour{"h", kHourLong}, kMinute{"m", kMinuteLong}, kSecond{"s", 1'000'000'000},
    kMillisecond{"ms", 1'000'000}, kMicrosecond{"\u00b5s", 1'000}, kNanosecond{"ns", 1};
constexpr std::array kUnits = {kHour,        kMinute,     kSecond,           kMillisecond,
                               kMicrosecond, kNanosecond, Unit{"us", 1'000}, Unit{"\u03bcs", 1'000}};

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// `amount` in units, with as many decimals as it needs.
std::string with_fraction(std::uint64_t amount, const Unit& unit) {
  std::string out = std::to_string(amount / unit.nanoseconds);
  std::uint64_t rest = amount % unit.nanoseconds;
  if (rest != 0) out += '.';
  for (std::uint64_t digit = unit.nanoseconds / 10; rest != 0; digit /= 10) {
    out += static_cast<char>('0' + rest / digit);
    rest %= digit;
  }
  return out.append(unit.name);
}

/// Takes digits from the front of `text`. None: more than fits.
std::optional<std::uint64_t> take_number(std::string_view& text) noexcept {
  std::uint64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return out;
}

std::string_view take_while(std::string_view& text, bool (*is_one)(char)) noexcept {
  std::size_t size = 0;
  while (size < text.size() && is_one(text[size])) ++size;
  const std::string_view out = text.substr(0, size);
  text.remove_prefix(size);
  return out;
}

const Unit* unit_of(std::string_view name) noexcept {
  for (const Unit& unit : kUnits)
    if (unit.name == name) return &unit;
  return nullptr;
}

/// Takes one number and its unit from the front of `text`, in nanoseconds.
Result<std::uint64_t> take_part(std::string_view& text) noexcept {
  if (!is_digit(text.front()) && !(text.front() == '.' && text.size() > 1 && is_digit(text[1]))) return Errc::malformed;
  std::optional<std::uint64_t> whole = 0;
  if (is_digit(text.front())) whole = take_number(text);
  if (!whole) return Errc::oversize;
  std::string_view decimals;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    decimals = take_while(text, [](char c) { return is_digit(c); });
  }
  const Unit* unit = unit_of(take_while(text, [](char c) { return !is_digit(c) && c != '.'; }));
  if (unit == nullptr) return Errc::malformed;
  if (*whole > std::numeric_limits<std::uint64_t>::max() / 2 / unit->nanoseconds) return Errc::oversize;
  std::uint64_t out = *whole * unit->nanoseconds;
  std::uint64_t worth = unit->nanoseconds;
  for (const char digit : decimals) {
    worth /= 10;
    out += worth * static_cast<std::uint64_t>(digit - '0');
  }
  return out;
}

}  // namespace

std::string to_duration_text(Nanoseconds duration) {
  const auto amount = static_cast<std::uint64_t>(duration.count());
  if (amount == 0) return "0s";
  for (const Unit& unit : {kSecond, kMillisecond, kMicrosecond})  // the next smaller one, where it is not a whole unit
    if (amount >= unit.nanoseconds) {
      std::string out;
      if (amount >= kHourLong) out += std::to_string(amount / kHourLong) + 'h';
      if (amount >= kMinuteLong) out += std::to_string(amount % kHourLong / kMinuteLong) + 'm';
      return out + with_fraction(amount % kMinuteLong, unit);
    }
  return with_fraction(amount, kNanosecond);
}

Result<Nanoseconds> parse_duration_text(std::string_view text) noexcept {
  if (text == "0") return Nanoseconds(0);
  if (text.empty()) return Errc::malformed;
  constexpr std::uint64_t kLongest = std::numeric_limits<Nanoseconds::rep>::max();
  std::uint64_t sum = 0;
  while (!text.empty()) {
    const auto part = take_part(text);
    if (!part) return part.error();
    if (*part > kLongest - sum) return Errc::oversize;
    sum += *part;
  }
  return Nanoseconds(static_cast<Nanoseconds::rep>(sum));
}

}  // namespace gatehouse::geneve_relay
