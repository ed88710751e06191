// Who asks and for what: the facts that a verdict is made from. Views; they borrow their text for one call.
#pragma once

#include <gatehouse/base/address.hpp>

#include <cstdint>
#include <string_view>

namespace gatehouse::policy {

/// What a frontend knows of one client.
struct ClientFacts {
  std::string_view plugin;    ///< "udpgw"
  std::string_view listener;  ///< as configured: "127.0.0.1:7300"
  std::string_view identity;  ///< "unix:bob", or empty = anonymous
  IpAddress source;           ///< family none = unknown
};

/// IP protocol numbers that rules can name.
inline constexpr std::uint32_t kTcp = 6;
inline constexpr std::uint32_t kUdp = 17;
inline constexpr std::uint32_t kIcmp = 1;
inline constexpr std::uint32_t kIcmpV6 = 58;  ///< the same to a rule

// Bits of Flow::flags, with the numbers of GH_FLOW_* (abi.h).
inline constexpr std::uint32_t kFlowResolver = 1;  ///< the destination is a resolver of the gateway's configuration
inline constexpr std::uint32_t kFlowPeer = 2;      ///< a relay leg whose peer asked for it in a handshake
inline constexpr std::uint32_t kFlowNamed = 4;     ///< `domain` is the name asked for
inline constexpr std::uint32_t kFlowBadName = 8;   ///< the payload should be a DNS message and is not
inline constexpr std::uint32_t kFlowAnswer = 32;   ///< what came back on a flow that is allowed: only names are judged

/// One flow that wants to leave, or one DNS question of it.
struct Flow {
  IpAddress destination;
  std::uint16_t port = 0;  ///< host byte order; 0 for a transport without ports
  std::uint32_t transport = kUdp;
  std::uint32_t flags = 0;
  std::string_view domain;  ///< empty = unknown
};

}  // namespace gatehouse::policy
