// What a proxy says in front of a stream: whose connection it passes on. HAProxy's PROXY protocol, versions 1 and 2.
// Pure functions; any thread.
//
//   v1   PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n           source, destination, their ports; or TCP6;
//        PROXY UNKNOWN anything\r\n                                or what the proxy cannot say
//
//   v2   +--------------+---------+---------+---------------+--------+-------------+------+------+-----
//        | signature 12 | 2 | cmd | fam | p | length 16 bit | source | destination | port | port | TLVs
//        +--------------+---------+---------+---------------+--------+-------------+------+------+-----
//        big-endian; cmd 0 = LOCAL, 1 = PROXY; fam 0 = unspecified, 1 = IPv4, 2 = IPv6, 3 = Unix; `length` counts what
//        is after it
//
// Source: https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt, section 2.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/bytes.hpp>
#include <gatehouse/base/error.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace gatehouse {

/// Bytes that a header has at most: no more need be kept to read one. A longer one of version 1 breaks its rules; in
/// version 2 this leaves some 800 bytes for TLVs, of which what TLS knows of a client takes 200 or 300.
inline constexpr std::size_t kLongestProxyHeader = 1024;

/// What a proxy says of a connection.
struct ProxyHeader {
  std::size_t size = 0;            ///< bytes; what the client says begins behind them
  std::optional<Endpoint> source;  ///< none: the proxy speaks for itself, or cannot say: the connection's own holds
};

/// Reads the header at the front of `in`. TLVs are skipped, a checksum among them, too. Strict: version 1 has single
/// spaces, ports without a leading zero, both addresses of its family. A mapped IPv4 address is unmapped. Only for
/// streams that must begin with one, and from a proxy that is trusted: whoever may choose says what he likes.
///
/// Cost: below a microsecond; never allocates.
///
/// @return Errc::would_block  so far it is one, and more bytes are needed: keep these
///         Errc::malformed    it is none, or longer than kLongestProxyHeader
[[nodiscard]] Result<ProxyHeader> parse_proxy_header(Bytes in) noexcept;

/// Of the PROXY protocol: `v1` is a line of text, `v2` is binary.
enum class ProxyVersion : std::uint8_t { v1 = 1, v2 = 2 };

/// The header that a proxy sends: for tests and clients. Where one endpoint is IPv6, the other is mapped; where one has
/// no address, the header is one that has none. Scopes are left out. Allocates.
[[nodiscard]] std::string write_proxy_header(ProxyVersion version, const Endpoint& source, const Endpoint& destination);

}  // namespace gatehouse
