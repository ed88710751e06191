// Descriptors that an instance leaves for the next one of its plugin: a tun device's queues, a socket that must not
// close.
#pragma once

#include <gatehouse/base/error.hpp>
#include <gatehouse/base/unique_fd.hpp>
#include <gatehouse/plugin/host.hpp>

#include <span>
#include <string_view>
#include <vector>

namespace gatehouse {

/// Keeps duplicates of `fds` under that name, in place of what it held. Any thread; the host locks.
/// @return Errc::io: the process has no descriptors left; Errc::limit: the plugin keeps too many, 64 names or 512
///         descriptors with those of earlier instances that nobody has taken
[[nodiscard]] Result<void> keep_fds(const Host& host, std::string_view name, std::span<const int> fds);

/// Takes what an earlier instance has kept under that name; empty if there is nothing, or nothing any more: what nobody
/// takes is closed some seconds after the start. In start(); the host locks.
/// @throws std::runtime_error for want of memory in the host
[[nodiscard]] std::vector<UniqueFd> take_fds(const Host& host, std::string_view name);

}  // namespace gatehouse
