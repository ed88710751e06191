// CIDR prefixes in canonical form: no host bits set, IPv4 in IPv4 form.
#pragma once

#include <gatehouse/base/address.hpp>

namespace gatehouse {

/// An address range with a power-of-two size.
class Prefix {
 public:
  Prefix() = default;
  /// Host bits of `address` are cleared. `length` is at most address.bits().
  Prefix(const IpAddress& address, unsigned length) noexcept;

  /// "192.0.2.0/24", "2001:db8::/32", or one address (then /32 or /128). ::ffff:a.b.c.d/96+n becomes a.b.c.d/n.
  /// @return Errc::malformed also where host bits are set ("10.0.0.1/8"): it is not clear what was meant
  [[nodiscard]] static Result<Prefix> parse(std::string_view text) noexcept;

  [[nodiscard]] const IpAddress& address() const noexcept { return address_; }
  [[nodiscard]] unsigned length() const noexcept { return length_; }
  /// False for an address of the other family.
  [[nodiscard]] bool contains(const IpAddress& address) const noexcept;
  /// Is every address of `inner` in this one too?
  [[nodiscard]] bool contains(const Prefix& inner) const noexcept;

  [[nodiscard]] std::string to_string() const;
  auto operator<=>(const Prefix&) const = default;

 private:
  IpAddress address_;
  unsigned length_ = 0;
};

}  // namespace gatehouse
