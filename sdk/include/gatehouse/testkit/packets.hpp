// IP packets for tests, with right lengths and checksums. Each allocates what it returns; any thread.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/bytes.hpp>
#include <gatehouse/testkit/hex.hpp>

#include <cstdint>

namespace gatehouse::testkit {

/// An ICMP echo request (ping): of IPv4 or IPv6, as both addresses are.
/// @param id  by which the asker knows the answer
/// @param payload  65,000 bytes at most
[[nodiscard]] ByteVector ping_packet(const IpAddress& source, const IpAddress& destination, std::uint16_t id = 1,
                                     Bytes payload = {});

/// A UDP datagram: of IPv4 or IPv6, as both addresses are. @param payload  65,000 bytes at most
[[nodiscard]] ByteVector udp_packet(const Endpoint& source, const Endpoint& destination, Bytes payload);

}  // namespace gatehouse::testkit
