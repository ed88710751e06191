#include "plugins/geneve-relay/server/relay_blob.hpp"

#include <gatehouse/base/endian.hpp>

#include <algorithm>

namespace gatehouse::geneve_relay {
namespace {

constexpr std::size_t kAddressSize = 16, kLegSize = 2 + 2 + 4 + 1 + 2 * kAddressSize;
constexpr std::size_t kFixedSize = 4 + 8 + 2 * DiscoKey::kSize + 2 * kLegSize;

void write_leg(MutableBytes out, const KeptLeg& leg) {
  const IpAddress& remote = leg.address.remote.address;
  store_big(out, leg.local_port);
  store_big(out.subspan(2), leg.address.remote.port);
  store_big(out.subspan(4), leg.address.remote.scope);
  out[8] = static_cast<std::byte>(remote.family());
  std::ranges::copy(remote.storage(), out.subspan(9).begin());
  std::ranges::copy(leg.address.local.storage(), out.subspan(9 + kAddressSize).begin());
}

/// None: a family that there is not.
std::optional<KeptLeg> read_leg(Bytes in) {
  KeptLeg out;
  out.local_port = load_big<std::uint16_t>(in);
  out.address.remote.port = load_big<std::uint16_t>(in.subspan(2));
  out.address.remote.scope = load_big<std::uint32_t>(in.subspan(4));
  const Bytes remote = in.subspan(9, kAddressSize), local = in.subspan(9 + kAddressSize, kAddressSize);
  switch (static_cast<Family>(in[8])) {
    case Family::none: return KeptLeg();
    case Family::v4:
      out.address.remote.address = IpAddress::v4(remote);
      out.address.local = IpAddress::v4(local);
      break;
    case Family::v6:
      out.address.remote.address = IpAddress::v6(remote);
      out.address.local = IpAddress::v6(local);
      break;
    default: return {};
  }
  if (out.address.local.is_unspecified()) out.address.local = {};
  return out;
}

}  // namespace

std::vector<std::byte> RelayBlob::write() const {
  const Bytes name = bytes_of(listener).first(std::min(listener.size(), kMostListenerName));
  std::vector<std::byte> out(kFixedSize + name.size());
  MutableBytes rest(out);
  const auto take = [&rest](std::size_t size) {
    const MutableBytes part = rest.first(size);
    rest = rest.subspan(size);
    return part;
  };
  store_big(take(4), vni);
  store_big(take(8), lamport_id);
  for (const DiscoKey& key : clients.keys) std::ranges::copy(key.bytes, take(DiscoKey::kSize).begin());
  for (const KeptLeg& leg : legs) write_leg(take(kLegSize), leg);
  std::ranges::copy(name, rest.begin());
  return out;
}

std::optional<RelayBlob> RelayBlob::read(std::uint32_t version, Bytes blob) {
  if (version != kVersion || blob.size() < kFixedSize || blob.size() > kFixedSize + kMostListenerName) return {};
  const auto take = [&blob](std::size_t size) {
    const Bytes part = blob.first(size);
    blob = blob.subspan(size);
    return part;
  };
  RelayBlob out;
  out.vni = load_big<std::uint32_t>(take(4));
  out.lamport_id = load_big<std::uint64_t>(take(8));
  const DiscoKey first = DiscoKey::from(take(DiscoKey::kSize));
  out.clients = DiscoPair(first, DiscoKey::from(take(DiscoKey::kSize)));
  for (KeptLeg& leg : out.legs) {
    const auto kept = read_leg(take(kLegSize));
    if (!kept) return {};
    leg = *kept;
  }
  out.listener = text_of(blob);
  if (out.vni == 0 || out.vni > kLargestVni || out.clients.keys[0] == out.clients.keys[1]) return {};
  return out;
}

}  // namespace gatehouse::geneve_relay
