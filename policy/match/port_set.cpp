#include "policy/match/port_set.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace gatehouse::policy {
namespace {

std::string_view trimmed(std::string_view text) noexcept {
  const auto first = text.find_first_not_of(" \t");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::optional<std::uint16_t> parse_port(std::string_view text) noexcept {
  text = trimmed(text);
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value == 0 || value > 65535) return {};
  return static_cast<std::uint16_t>(value);
}

std::optional<PortRange> parse_range(std::string_view text) noexcept {
  const auto dash = text.find('-');
  const auto first = parse_port(text.substr(0, dash));
  const auto last = dash == text.npos ? first : parse_port(text.substr(dash + 1));
  if (!first || !last || *first > *last) return {};
  return PortRange{*first, *last};
}

/// Sorts and joins what overlaps or touches.
std::vector<PortRange> joined(std::vector<PortRange> ranges) {
  std::sort(ranges.begin(), ranges.end());
  std::vector<PortRange> out;
  for (const PortRange& range : ranges) {
    if (!out.empty() && range.first <= std::uint32_t{out.back().last} + 1)
      out.back().last = std::max(out.back().last, range.last);
    else
      out.push_back(range);
  }
  return out;
}

}  // namespace

Result<std::vector<PortRange>> parse_ports(std::string_view text) {
  if (trimmed(text) == "all") return std::vector<PortRange>{kAllPorts};
  std::vector<PortRange> ranges;
  for (;;) {
    const auto comma = text.find(',');
    const auto range = parse_range(text.substr(0, comma));
    if (!range) return Errc::malformed;
    ranges.push_back(*range);
    if (comma == text.npos) return joined(std::move(ranges));
    text.remove_prefix(comma + 1);
  }
}

}  // namespace gatehouse::policy
