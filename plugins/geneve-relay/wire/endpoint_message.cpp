#include "plugins/geneve-relay/wire/endpoint_message.hpp"

#include "plugins/geneve-relay/wire/bind_message.hpp"
#include "plugins/geneve-relay/wire/geneve_header.hpp"

#include <gatehouse/base/endian.hpp>

#include <algorithm>
#include <limits>

namespace gatehouse::geneve_relay {
namespace {

constexpr std::size_t kAddressSize = kAddressPortSize - 2;
constexpr std::size_t kEndpointSize = 3 * DiscoKey::kSize + 8 + 4 + 8 + 8;  // without addresses

/// Takes fields from the front of bytes that are known to be long enough.
class FieldReader {
 public:
  explicit FieldReader(Bytes in) noexcept : in_(in) {}

  [[nodiscard]] Bytes take(std::size_t size) noexcept {
    const Bytes out = in_.first(size);
    in_ = in_.subspan(size);
    return out;
  }
  template <class Int>
  [[nodiscard]] Int number() noexcept {
    return load_big<Int>(take(sizeof(Int)));
  }
  [[nodiscard]] DiscoKey key() noexcept { return DiscoKey::from(take(DiscoKey::kSize)); }
  [[nodiscard]] std::size_t left() const noexcept { return in_.size(); }

 private:
  Bytes in_;
};

class FieldWriter {
 public:
  explicit FieldWriter(MutableBytes out) noexcept : out_(out) {}

  void bytes(Bytes bytes) noexcept {
    std::ranges::copy(bytes, out_.subspan(size_).begin());
    size_ += bytes.size();
  }
  template <class Int>
  void number(Int value) noexcept {
    store_big(out_.subspan(size_), value);
    size_ += sizeof(Int);
  }
  void header(MessageType type) noexcept {
    number(static_cast<std::uint8_t>(type));
    number(std::uint8_t{0});
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  MutableBytes out_;
  std::size_t size_ = 0;
};

/// The body of a message of `type`, which must have `least` bytes.
Result<FieldReader> body_of(Bytes message, MessageType type, std::size_t least) noexcept {
  if (message.size() < kMessageHeaderSize) return Errc::truncated;
  if (static_cast<MessageType>(message[0]) != type || message[1] != std::byte{0}) return Errc::unsupported;
  const Bytes body = message.subspan(kMessageHeaderSize);
  if (body.size() < least) return Errc::truncated;
  return FieldReader(body);
}

Endpoint take_address(FieldReader& in) noexcept {
  Endpoint out;
  out.address = IpAddress::v6(in.take(kAddressSize)).unmapped();
  out.port = in.number<std::uint16_t>();
  return out;
}

void put_address(FieldWriter& out, const Endpoint& address) noexcept {
  if (address.address.is_v4()) {
    constexpr std::size_t kZeros = 10;
    constexpr std::array<std::byte, kZeros> zeros{};
    out.bytes(zeros);
    out.number(std::uint16_t{0xffff});
    out.bytes(address.address.bytes());
  } else {
    out.bytes(address.address.storage());
  }
  out.number(address.port);
}

Result<ServerEndpoint> take_endpoint(FieldReader in) noexcept {
  ServerEndpoint out{};
  out.server = in.key();
  const DiscoKey first = in.key();
  out.clients = DiscoPair(first, in.key());
  out.lamport_id = in.number<std::uint64_t>();
  out.vni = in.number<std::uint32_t>();
  const auto bind = in.number<std::uint64_t>(), steady = in.number<std::uint64_t>();
  constexpr std::uint64_t kLongest = std::numeric_limits<Nanoseconds::rep>::max();
  if (out.vni == 0 || out.vni > kLargestVni || bind > kLongest || steady > kLongest) return Errc::malformed;
  out.bind_lifetime = Nanoseconds(bind);
  out.steady_lifetime = Nanoseconds(steady);
  while (in.left() >= kAddressPortSize && out.addresses.add(take_address(in))) {
  }
  return out;
}

void put_endpoint(FieldWriter& out, const ServerEndpoint& endpoint) noexcept {
  out.bytes(endpoint.server.bytes);
  for (const DiscoKey& key : endpoint.clients.keys) out.bytes(key.bytes);
  out.number(endpoint.lamport_id);
  out.number(endpoint.vni);
  out.number(static_cast<std::uint64_t>(endpoint.bind_lifetime.count()));
  out.number(static_cast<std::uint64_t>(endpoint.steady_lifetime.count()));
  for (const Endpoint& address : endpoint.addresses.all()) put_address(out, address);
}

}  // namespace

AddressList::AddressList(std::initializer_list<Endpoint> addresses) noexcept {
  for (const Endpoint& address : addresses) add(address);
}

bool AddressList::add(const Endpoint& address) noexcept {
  if (size_ == kMost) return false;
  addresses_[size_++] = address;
  return true;
}

AddressList AddressList::some(std::size_t most) const noexcept {
  const auto is_v4 = [](const Endpoint& one) { return one.address.unmapped().is_v4(); };
  const auto v4 = static_cast<std::size_t>(std::ranges::count_if(all(), is_v4)), v6 = size_ - v4;
  std::size_t left_v4 = std::min(v4, std::max((most + 1) / 2, most - std::min(most, v6)));
  std::size_t left_v6 = std::min(v6, most - std::min(most, left_v4));
  AddressList out;
  for (const Endpoint& one : all()) {
    std::size_t& left = is_v4(one) ? left_v4 : left_v6;
    if (left == 0) continue;
    --left;
    out.add(one);
  }
  return out;
}

bool AddressList::operator==(const AddressList& other) const noexcept { return std::ranges::equal(all(), other.all()); }

Result<AllocationRequest> read_allocation_request(Bytes message) noexcept {
  auto in = body_of(message, MessageType::allocation_request, kAllocationRequestSize - kMessageHeaderSize);
  if (!in) return in.error();
  AllocationRequest out;
  for (DiscoKey& key : out.clients) key = in->key();
  out.generation = in->number<std::uint32_t>();
  return out;
}

Result<AllocationResponse> read_allocation_response(Bytes message) noexcept {
  AllocationResponse out;
  auto in =
      body_of(message, MessageType::allocation_response, sizeof out.generation + kEndpointSize + kAddressPortSize);
  if (!in) return in.error();
  out.generation = in->number<std::uint32_t>();
  const auto endpoint = take_endpoint(*in);
  if (!endpoint) return endpoint.error();
  out.endpoint = *endpoint;
  return out;
}

Result<ServerEndpoint> read_call_me_maybe_via(Bytes message) noexcept {
  const auto in = body_of(message, MessageType::call_me_maybe_via, kEndpointSize + kAddressPortSize);
  if (!in) return in.error();
  return take_endpoint(*in);
}

std::size_t write_allocation_request(MutableBytes out, const AllocationRequest& request) noexcept {
  FieldWriter writer(out);
  writer.header(MessageType::allocation_request);
  for (const DiscoKey& key : request.clients) writer.bytes(key.bytes);
  writer.number(request.generation);
  return writer.size();
}

std::size_t write_allocation_response(MutableBytes out, const AllocationResponse& response) noexcept {
  FieldWriter writer(out);
  writer.header(MessageType::allocation_response);
  writer.number(response.generation);
  put_endpoint(writer, response.endpoint);
  return writer.size();
}

std::size_t write_call_me_maybe_via(MutableBytes out, const ServerEndpoint& endpoint) noexcept {
  FieldWriter writer(out);
  writer.header(MessageType::call_me_maybe_via);
  put_endpoint(writer, endpoint);
  return writer.size();
}

}  // namespace gatehouse::geneve_relay
