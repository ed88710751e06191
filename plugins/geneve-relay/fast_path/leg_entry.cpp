#include "plugins/geneve-relay/fast_path/leg_entry.hpp"

#include "plugins/geneve-relay/wire/geneve_header.hpp"

#include <gatehouse/packet/checksum.hpp>

#include <netinet/in.h>

#include <boost/endian/conversion.hpp>

#include <cstring>

namespace gatehouse::geneve_relay {
namespace {

using boost::endian::native_to_big;

/// Of the addresses at both ends, a key's or an entry's.
template <class Ends>
std::uint64_t address_sum(const Ends& of) noexcept {
  return sum_words(std::as_bytes(std::span(of.remote))) + sum_words(std::as_bytes(std::span(of.local)));
}
template <class Ends>
std::uint64_t port_sum(const Ends& of) noexcept {
  return std::uint64_t{of.remote_port} + of.local_port;
}

/// RFC 1624, equation 3: what a sum changes by.
std::uint16_t change_of(std::uint64_t old_sum, std::uint64_t new_sum) noexcept {
  return fold_sum(static_cast<std::uint16_t>(~fold_sum(old_sum)) + new_sum);
}

/// That of both ends, where they can be of one packet.
Result<Family> family_of(const Endpoint& remote, const Endpoint& local) noexcept {
  for (const Endpoint* end : {&remote, &local}) {
    if (end->port == 0 || end->address.family() == Family::none) return Errc::invalid;
    if (end->scope != 0 || (end->address.is_v6() && end->address.is_link_local())) return Errc::unsupported;
  }
  if (remote.address.family() != local.address.family()) return Errc::unsupported;
  return remote.address.family();
}

template <class Ends>
void write_ends(Ends& out, const Endpoint& remote, const Endpoint& local) noexcept {
  static_assert(sizeof out.remote == sizeof remote.address.storage());
  std::memcpy(out.remote, remote.address.storage().data(), sizeof out.remote);
  std::memcpy(out.local, local.address.storage().data(), sizeof out.local);
  out.remote_port = native_to_big(remote.port);
  out.local_port = native_to_big(local.port);
}

}  // namespace

Result<gh_fast_key> to_map_key(const FastKey& key) noexcept {
  const auto family = family_of(key.remote, key.local);
  if (!family) return family.error();
  if (key.vni == 0 || key.vni > kLargestVni) return Errc::invalid;
  gh_fast_key out{};
  out.tag = key.vni << 8 | static_cast<std::uint32_t>(*family);
  write_ends(out, key.remote, key.local);
  return out;
}

Result<gh_fast_entry> to_map_entry(const FastKey& key, const FastTarget& target, std::uint32_t lane,
                                   SteadyTime now) noexcept {
  const auto from = to_map_key(key);
  if (!from) return from.error();
  const auto family = family_of(target.remote, target.local);
  if (!family) return family.error();
  if (*family != key.remote.address.family()) return Errc::unsupported;

  gh_fast_entry out{};
  write_ends(out, target.remote, target.local);
  out.ip_change = change_of(address_sum(*from), address_sum(out));
  out.udp_change = change_of(address_sum(*from) + port_sum(*from), address_sum(out) + port_sum(out));
  out.pseudo = fold_sum(pseudo_header_sum(key.remote.address.bytes(), key.local.address.bytes(), IPPROTO_UDP, 0));
  out.lane = static_cast<std::uint16_t>(lane);
  out.stack_at = to_ns(now);
  return out;
}

FastUse use_of(const gh_fast_entry& entry) noexcept {
  return {entry.packets, entry.bytes, SteadyTime(Nanoseconds(static_cast<std::int64_t>(entry.last_seen)))};
}

}  // namespace gatehouse::geneve_relay
