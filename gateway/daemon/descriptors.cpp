#include "gateway/daemon/descriptors.hpp"

#include <sys/resource.h>

#include <algorithm>

namespace gatehouse {
namespace {

constexpr std::uint64_t kProcess = 28;                      // databases, sockets, logs, the control thread's loop
constexpr std::uint64_t kLane = 6;                          // epoll sets, event and timer descriptors
constexpr std::uint64_t kLeastSpare = 8, kMostSpare = 256;  // for reloads, backups, lists, people who ask
constexpr std::uint64_t kSpareOf = 16;                      // a sixteenth of the limit, within these
constexpr std::uint64_t kMostUsed = 1 << 20;                // some systems set a limit that bounds nothing
constexpr std::size_t kLeastConnections = 2, kMostConnections = 64;

}  // namespace

std::uint64_t descriptor_limit() noexcept {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

std::uint64_t raise_descriptor_limit() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    const rlimit raised{limit.rlim_max, limit.rlim_max};
    static_cast<void>(::setrlimit(RLIMIT_NOFILE, &raised));
  }
  return descriptor_limit();
}

std::uint64_t client_descriptors(std::uint64_t limit, const std::vector<PluginShape>& plugins) noexcept {
  std::uint64_t own = kProcess + std::clamp(limit / kSpareOf, kLeastSpare, kMostSpare);
  for (const PluginShape& plugin : plugins) own += plugin.lanes * (kLane + plugin.listeners) + plugin.listeners;
  limit = std::min(limit, kMostUsed);
  return (limit - std::min(limit, own)) / std::max<std::size_t>(plugins.size(), 1);
}

std::size_t http_connections(std::uint64_t limit) noexcept {
  return std::clamp<std::size_t>(limit / kMostConnections, kLeastConnections, kMostConnections);
}

}  // namespace gatehouse
