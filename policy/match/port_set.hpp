// A set of ports as people write it: "53,443,3478-3481". Values; thread-safe once made.
#pragma once

#include <gatehouse/base/error.hpp>

#include <cstdint>
#include <string_view>
#include <vector>

namespace gatehouse::policy {

struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  auto operator<=>(const PortRange&) const = default;
};

/// Every port, and "no port" too: what "all" means.
inline constexpr PortRange kAllPorts{0, 65535};

/// Reads a port list: numbers from 1 to 65535 and ranges, with commas; spaces may stand around them; "all".
/// The result is sorted and without overlaps.
/// @return Errc::malformed for anything else, also for an empty list and for "20-10"
[[nodiscard]] Result<std::vector<PortRange>> parse_ports(std::string_view text);

}  // namespace gatehouse::policy
