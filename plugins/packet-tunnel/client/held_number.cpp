#include "plugins/packet-tunnel/client/held_number.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <stdexcept>
#include <string>

namespace gatehouse::packet_tunnel {
namespace {

constexpr std::uint32_t kMostLooks = 1000;

/// Empty: somebody has it.
UniqueFd hold(std::uint32_t number) {
  const std::string name = "gatehouse-tunnel-number-" + std::to_string(number);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  name.copy(address.sun_path + 1, name.size());  // behind a zero: an abstract name (unix(7))
  UniqueFd out(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (!out || ::bind(out.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) return {};
  return out;
}

}  // namespace

HeldNumber::HeldNumber(std::uint32_t first, const std::function<bool(std::uint32_t)>& is_taken) {
  for (value_ = first; value_ < first + kMostLooks; ++value_) {
    if (is_taken(value_)) continue;
    held_ = hold(value_);
    if (held_) return;
  }
  throw std::runtime_error(
      "no number is free for a table of routes: `ip rule` and `ip route show table all` list those "
      "that are in use");
}

}  // namespace gatehouse::packet_tunnel
