// The descriptors of the process: what it needs for itself, and what plugins' clients may have open.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gatehouse {

/// Raises the soft limit of open files to the hard one. Returns what it is now.
std::uint64_t raise_descriptor_limit() noexcept;
/// The soft limit of open files.
[[nodiscard]] std::uint64_t descriptor_limit() noexcept;

/// What a plugin makes the host and its own lanes open, without any client.
struct PluginShape {
  std::size_t lanes = 1;
  std::size_t listeners = 1;
};

/// What the clients of each of these plugins may have open: equal parts of what `limit` leaves when the gateway has its
/// own. There is something left from a limit of 64 on for a plugin with two lanes and one listener.
[[nodiscard]] std::uint64_t client_descriptors(std::uint64_t limit, const std::vector<PluginShape>& plugins) noexcept;

/// How many connections the control socket may have, and how many the metrics endpoint: so few that the gateway has
/// descriptors left for the work that they ask for.
[[nodiscard]] std::size_t http_connections(std::uint64_t limit) noexcept;

}  // namespace gatehouse
