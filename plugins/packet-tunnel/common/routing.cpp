#include "plugins/packet-tunnel/common/routing.hpp"

namespace gatehouse::packet_tunnel {
namespace {

std::string_view kind_word(std::uint8_t kind) noexcept {
  switch (kind) {
    case RTN_LOCAL: return "local ";
    case RTN_BROADCAST: return "broadcast ";
    case RTN_ANYCAST: return "anycast ";
    case RTN_MULTICAST: return "multicast ";
    case RTN_BLACKHOLE: return "blackhole ";
    case RTN_UNREACHABLE: return "unreachable ";
    case RTN_PROHIBIT: return "prohibit ";
    case RTN_THROW: return "throw ";
    default: return "";
  }
}

}  // namespace

std::string to_text(const Route& route) {
  std::string out{kind_word(route.kind)};
  out += route.to.to_string();
  if (route.via.family() != Family::none) out += " via " + route.via.to_string();
  if (route.metric != 0) out += " metric " + std::to_string(route.metric);
  if (route.table != RT_TABLE_MAIN && route.table != RT_TABLE_LOCAL) out += " in table " + std::to_string(route.table);
  return out;
}

}  // namespace gatehouse::packet_tunnel
