#include "policy/compile/cidr.hpp"

#include <algorithm>
#include <array>

namespace gatehouse::policy {
namespace {

/// Is every address of `prefix` unwrapped before rows are looked at, so that the row could never match?
bool is_wrapped(const Prefix& prefix, const Nat64Prefixes& nat64) {
  static const std::array kForms{Prefix::parse("::/96").value(), Prefix::parse("64:ff9b::/96").value(),
                                 Prefix::parse("2002::/16").value()};
  if (nat64.hold(PrefixBits(prefix))) return true;
  const auto holds = [&](const Prefix& form) { return form.contains(prefix); };
  return std::any_of(kForms.begin(), kForms.end(), holds) && !prefix.address().is_unspecified() &&
         !prefix.address().is_loopback();
}

/// What `text` would be without the bits beyond its length; none if it is no CIDR even then.
std::optional<Prefix> without_host_bits(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address || slash == text.npos) return {};
  for (unsigned length = 0; length <= address->bits(); ++length)
    if (text.substr(slash + 1) == std::to_string(length)) return Prefix(*address, length);
  return {};
}

}  // namespace

std::optional<Prefix> read_cidr(std::string_view text, const RowAt& row, Draft& draft) {
  const auto prefix = Prefix::parse(text);
  if (prefix && !is_wrapped(*prefix, draft.parts.nat64)) return *prefix;
  if (prefix) {
    draft.problem(row, Fault::cidr_wrapped, {text});
  } else if (const auto meant = without_host_bits(text)) {
    draft.problem(row, Fault::cidr_host_bits, {text, meant->to_string()});
  } else {
    draft.problem(row, Fault::cidr_unreadable, {text});
  }
  return {};
}

}  // namespace gatehouse::policy
