// DNS as a probe needs it: the question, and what the answer says (RFC 1035, 4.1). Pure; any thread.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/bytes.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse {

inline constexpr std::uint16_t kDnsTypeA = 1;      ///< IPv4 addresses (RFC 1035, 3.2.2)
inline constexpr std::uint16_t kDnsTypeAaaa = 28;  ///< IPv6 addresses (RFC 3596)

/// A query with one question of class IN, recursion desired.
/// @param name  canonical (base/domain.hpp)
[[nodiscard]] std::vector<std::byte> make_dns_query(std::uint16_t id, std::string_view name, std::uint16_t type);

/// What a message says that has come back. Broken ones say less.
struct DnsAnswer {
  std::string rcode;                 ///< "NOERROR", "NXDOMAIN", "RCODE9"
  std::vector<IpAddress> addresses;  ///< of its A and AAAA records
};

/// @param message  12 bytes at least
[[nodiscard]] DnsAnswer read_dns_answer(Bytes message);

}  // namespace gatehouse
