#include "plugins/geneve-relay/server/relay_blob.hpp"

#include <gatehouse/base/endian.hpp>

#include <algorithm>

namespace gatehouse::geneve_relay {
namespace {

constexpr std::size_t kSize4 = 4, kSize6 = 16;
constexpr std::size_t kHeadSize = 4 + 8 + 2 * DiscoKey::kSize;
constexpr std::size_t kLegSize1 = 2 + 2 + 4 + 1 + 2 * kSize6;  // of version 1

constexpr std::size_t size_of(Family family) noexcept { return family == Family::v4 ? kSize4 : kSize6; }

void append(std::vector<std::byte>& out, Bytes bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

template <class Number>
void append(std::vector<std::byte>& out, Number number) {
  std::array<std::byte, sizeof number> bytes;
  store_big(MutableBytes(bytes), number);
  append(out, Bytes(bytes));
}

void append(std::vector<std::byte>& out, const LegAddress& leg) {
  const auto& [remote, local, local_port] = leg;
  const Family family = leg.is_set() ? remote.address.family() : Family::none;
  append(out, static_cast<std::uint8_t>(family));
  if (family == Family::none) return;
  append(out, local_port);
  append(out, remote.port);
  if (family == Family::v6) append(out, remote.scope);
  append(out, Bytes(remote.address.storage()).first(size_of(family)));
  append(out, Bytes(local.storage()).first(size_of(family)));
}

/// What is read from its front.
class Rest {
 public:
  explicit Rest(Bytes bytes) noexcept : bytes_(bytes) {}

  /// Zeros, and is_short() from then on, where there are not so many.
  [[nodiscard]] Bytes take(std::size_t size) noexcept {
    static constexpr std::array<std::byte, kLegSize1> kZeros{};
    if (bytes_.size() < size) {
      bytes_ = {};
      is_short_ = true;
      return Bytes(kZeros).first(size);
    }
    const Bytes out = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return out;
  }
  template <class Number>
  [[nodiscard]] Number take() noexcept {
    return load_big<Number>(take(sizeof(Number)));
  }
  [[nodiscard]] Bytes left() const noexcept { return bytes_; }
  [[nodiscard]] bool is_short() const noexcept { return is_short_; }

 private:
  Bytes bytes_;
  bool is_short_ = false;
};

IpAddress address_of(Family family, Bytes bytes) noexcept {
  return family == Family::v4 ? IpAddress::v4(bytes.first(kSize4)) : IpAddress::v6(bytes);
}

/// Both addresses, of `size` bytes each, come next.
void read_addresses(Rest& in, Family family, std::size_t size, LegAddress& out) noexcept {
  out.remote.address = address_of(family, in.take(size));
  out.local = address_of(family, in.take(size));
  if (out.local.is_unspecified()) out.local = {};
}

bool is_family(Family family) noexcept { return family == Family::v4 || family == Family::v6; }

/// None: a family that there is not.
std::optional<LegAddress> read_leg(Rest& in) noexcept {
  LegAddress out;
  const auto family = static_cast<Family>(in.take<std::uint8_t>());
  if (family == Family::none) return out;
  if (!is_family(family)) return {};
  out.local_port = in.take<std::uint16_t>();
  out.remote.port = in.take<std::uint16_t>();
  if (family == Family::v6) out.remote.scope = in.take<std::uint32_t>();
  read_addresses(in, family, size_of(family), out);
  return out;
}

/// The same of version 1: each field has its place.
std::optional<LegAddress> read_leg_1(Rest& in) noexcept {
  Rest leg(in.take(kLegSize1));
  LegAddress out;
  out.local_port = leg.take<std::uint16_t>();
  out.remote.port = leg.take<std::uint16_t>();
  out.remote.scope = leg.take<std::uint32_t>();
  const auto family = static_cast<Family>(leg.take<std::uint8_t>());
  if (family == Family::none) return LegAddress();
  if (!is_family(family)) return {};
  read_addresses(leg, family, kSize6, out);
  return out;
}

}  // namespace

std::vector<std::byte> RelayBlob::write() const {
  std::vector<std::byte> out;
  out.reserve(kHeadSize + legs.size() * (1 + kLegSize1) + kMostListenerName);
  append(out, vni);
  append(out, lamport_id);
  for (const DiscoKey& key : clients.keys) append(out, Bytes(key.bytes));
  for (const LegAddress& leg : legs) append(out, leg);
  append(out, bytes_of(listener).first(std::min(listener.size(), kMostListenerName)));
  return out;
}

std::optional<RelayBlob> RelayBlob::read(std::uint32_t version, Bytes blob) {
  if (version != 1 && version != kVersion) return {};
  Rest rest(blob);
  RelayBlob out;
  out.vni = rest.take<std::uint32_t>();
  out.lamport_id = rest.take<std::uint64_t>();
  const DiscoKey first = DiscoKey::from(rest.take(DiscoKey::kSize));
  out.clients = DiscoPair(first, DiscoKey::from(rest.take(DiscoKey::kSize)));
  for (LegAddress& leg : out.legs) {
    const auto kept = version == 1 ? read_leg_1(rest) : read_leg(rest);
    if (!kept) return {};
    leg = *kept;
  }
  if (rest.is_short() || rest.left().size() > kMostListenerName) return {};
  out.listener = text_of(rest.left());
  if (out.vni == 0 || out.vni > kLargestVni || out.clients.keys[0] == out.clients.keys[1]) return {};
  return out;
}

}  // namespace gatehouse::geneve_relay
