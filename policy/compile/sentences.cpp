#include "policy/compile/sentences.hpp"

#include <gatehouse/base/domain.hpp>
#include <gatehouse/base/prefix.hpp>

namespace gatehouse::policy {

std::string quoted(std::string_view text) { return '`' + std::string(text) + '`'; }

std::string cidr_sentence(std::string_view text) {
  const auto slash = text.find('/');
  if (const auto address = IpAddress::parse(text.substr(0, slash)); address && slash != text.npos)
    for (unsigned length = 0; length <= address->bits(); ++length)
      if (text.substr(slash + 1) == std::to_string(length))
        return quoted(text) + " has bits set beyond its length: write " + Prefix(*address, length).to_string();
  return quoted(text) + " is not an address or a CIDR: write it as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32";
}

std::string domain_sentence(std::string_view text) {
  if (text.starts_with("*.") || text.starts_with('.'))
    return quoted(text) + ": write " + quoted(text.substr(text.find('.') + 1)) +
           ", and match = suffix covers it and all names below it";
  const auto name = canonical_domain(text);
  if (name.error() == Errc::unsupported)
    return quoted(text) + " has letters that no domain name may have: write it as ads.example";
  if (name.error() == Errc::oversize)
    return quoted(text) + " is too long for a domain name: 253 characters, 63 a label";
  return quoted(text) + " is not a domain name: write it as ads.example";
}

}  // namespace gatehouse::policy
