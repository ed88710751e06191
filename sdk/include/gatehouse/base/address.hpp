// IP addresses and transport endpoints in one canonical form: an IPv4 address is family 4, in four bytes, also
// when it came as ::ffff:a.b.c.d and was unmapped. Values without a system call, a lock or an allocation.
#pragma once

#include <gatehouse/base/bytes.hpp>
#include <gatehouse/base/error.hpp>

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

struct sockaddr_storage;

namespace gatehouse {

/// Of an address: IPv4 is `v4`, IPv6 is `v6`, and `none` is no address at all.
enum class Family : std::uint8_t { none = 0, v4 = 4, v6 = 6 };

/// An IPv4 or IPv6 address, or none. IPv4 uses the first four bytes, the rest is zero.
class IpAddress {
 public:
  constexpr IpAddress() noexcept = default;

  /// 0x7f000001 is 127.0.0.1.
  [[nodiscard]] static IpAddress v4(std::uint32_t host_order) noexcept;
  /// `bytes` in network order: 4 of them.
  [[nodiscard]] static IpAddress v4(Bytes bytes) noexcept;
  /// `bytes` in network order: 16 of them. Stays IPv6, whatever it holds; see unmapped().
  [[nodiscard]] static IpAddress v6(Bytes bytes) noexcept;

  /// "192.0.2.1", "2001:db8::1". No zone, no port, no spaces.
  /// @return Errc::malformed for anything else, also "1.2.3" and "01.2.3.4"
  [[nodiscard]] static Result<IpAddress> parse(std::string_view text) noexcept;

  [[nodiscard]] Family family() const noexcept { return family_; }
  [[nodiscard]] bool is_v4() const noexcept { return family_ == Family::v4; }
  [[nodiscard]] bool is_v6() const noexcept { return family_ == Family::v6; }
  /// 4 or 16 bytes in network order (none: 0); lives as long as this value.
  [[nodiscard]] Bytes bytes() const noexcept {
    return {bytes_.data(), family_ == Family::v4 ? std::size_t{4} : family_ == Family::v6 ? std::size_t{16} : 0};
  }
  /// All 16 bytes, zero-padded: a fixed-size key.
  [[nodiscard]] const std::array<std::byte, 16>& storage() const noexcept { return bytes_; }
  /// IPv4 only: as a number in host order.
  [[nodiscard]] std::uint32_t to_v4() const noexcept;
  /// IPv6 only: upper and lower half as numbers in host order.
  [[nodiscard]] std::uint64_t upper64() const noexcept;
  [[nodiscard]] std::uint64_t lower64() const noexcept;
  [[nodiscard]] unsigned bits() const noexcept { return is_v4() ? 32 : is_v6() ? 128 : 0; }

  /// ::ffff:a.b.c.d as a.b.c.d, which is what the kernel sends it as; everything else unchanged.
  [[nodiscard]] IpAddress unmapped() const noexcept;

  [[nodiscard]] bool is_loopback() const noexcept;     ///< 127/8, ::1
  [[nodiscard]] bool is_unspecified() const noexcept;  ///< 0.0.0.0, ::
  [[nodiscard]] bool is_link_local() const noexcept;   ///< 169.254/16, fe80::/10
  [[nodiscard]] bool is_multicast() const noexcept;    ///< 224/4, ff00::/8

  [[nodiscard]] std::string to_string() const;
  auto operator<=>(const IpAddress&) const = default;

 private:
  std::array<std::byte, 16> bytes_{};
  Family family_ = Family::none;
};

/// An address, a port and, for a link-local IPv6 address, its zone.
struct Endpoint {
  IpAddress address;        ///< none where the system had no IP address: a Unix peer, say
  std::uint16_t port = 0;   ///< host byte order
  std::uint32_t scope = 0;  ///< interface index, or 0

  /// "192.0.2.1:53", "[2001:db8::1]:53", "[fe80::1%2]:53"; with `default_port`, the port (and then the brackets)
  /// may be left out. Numbers only, names are not looked up.
  /// @return Errc::malformed for anything else
  [[nodiscard]] static Result<Endpoint> parse(std::string_view text,
                                              std::optional<std::uint16_t> default_port = {}) noexcept;

  /// As the system has it (recvfrom, getsockname). A v4-mapped address is unmapped. Other families: none.
  [[nodiscard]] static Endpoint from_sockaddr(const sockaddr_storage& from) noexcept;
  /// Fills `out` and returns its length in bytes: sockaddr_in or sockaddr_in6.
  [[nodiscard]] unsigned to_sockaddr(sockaddr_storage& out) const noexcept;

  [[nodiscard]] std::string to_string() const;
  auto operator<=>(const Endpoint&) const = default;
};

/// Spreads addresses over hash tables; not secret, so not against an attacker: seed it where that matters.
[[nodiscard]] std::size_t hash_value(const IpAddress& address) noexcept;
/// The same over address, port and scope.
[[nodiscard]] std::size_t hash_value(const Endpoint& endpoint) noexcept;

}  // namespace gatehouse

template <>
struct std::hash<gatehouse::IpAddress> {
  std::size_t operator()(const gatehouse::IpAddress& a) const noexcept { return gatehouse::hash_value(a); }
};
template <>
struct std::hash<gatehouse::Endpoint> {
  std::size_t operator()(const gatehouse::Endpoint& e) const noexcept { return gatehouse::hash_value(e); }
};
