// The messages by which an endpoint is asked for and told of: an allocation's request and response, and
// CallMeMaybeVia, by which one client tells the other.
//
//   request    8 | 0 | client key 2 x 32, in any order | generation 4
//   response   9 | 0 | generation 4, the request's | endpoint
//   via        7 | 0 | endpoint
//   endpoint   relay's key 32 | client keys 2 x 32, sorted | LamportID 8 | VNI 4 | bind lifetime 8 (ns) |
//              steady lifetime 8 (ns) | n x (address 16, IPv4 as ::ffff:a.b.c.d | port 2), n >= 1
#pragma once

#include "plugins/geneve-relay/wire/disco_pair.hpp"

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/clock.hpp>

#include <initializer_list>
#include <span>

namespace gatehouse::geneve_relay {

/// Where the relay can be reached: a bounded list, in place.
class AddressList {
 public:
  static constexpr std::size_t kMost = 32;  ///< a response of as many fits a datagram of 1280 bytes

  AddressList() noexcept = default;
  /// Takes the first kMost.
  AddressList(std::initializer_list<Endpoint> addresses) noexcept;

  /// False: the list is full, and as it was.
  bool add(const Endpoint& address) noexcept;
  [[nodiscard]] std::span<const Endpoint> all() const noexcept { return std::span(addresses_).first(size_); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  /// Some of them, in their order, where there is no room for all: the first ones of both families, half of each as far
  /// as there are so many.
  [[nodiscard]] AddressList some(std::size_t most) const noexcept;

  bool operator==(const AddressList& other) const noexcept;

 private:
  std::array<Endpoint, kMost> addresses_;
  std::size_t size_ = 0;
};

/// What the two clients have to know of an endpoint.
struct ServerEndpoint {
  DiscoKey server;           ///< the relay's
  DiscoPair clients;         ///< zero keys: not told, as in the first form's JSON
  std::uint64_t lamport_id;  ///< a later allocation of the same relay has a higher one
  std::uint32_t vni;
  Nanoseconds bind_lifetime;    ///< how long after the allocation both may take to bind
  Nanoseconds steady_lifetime;  ///< how long either may be silent then
  AddressList addresses;

  bool operator==(const ServerEndpoint&) const = default;
};

struct AllocationRequest {
  std::array<DiscoKey, 2> clients;  ///< in the requester's order
  std::uint32_t generation = 0;     ///< comes back in the response

  bool operator==(const AllocationRequest&) const = default;
};

struct AllocationResponse {
  std::uint32_t generation = 0;
  ServerEndpoint endpoint{};

  bool operator==(const AllocationResponse&) const = default;
};

inline constexpr std::size_t kAllocationRequestSize = 70;
/// Of a response: without addresses, and what each of them adds.
inline constexpr std::size_t kLeastResponse = 2 + 4 + 124, kAddressPortSize = 18;
/// Of a response or CallMeMaybeVia with a full list.
inline constexpr std::size_t kLargestEndpointMessage = kLeastResponse + kAddressPortSize * AddressList::kMost;

/// All three read what an envelope held, and ignore bytes behind what they know, also addresses beyond a list's bound.
/// @return Errc::truncated    too short, or without an address
///         Errc::unsupported  of another type or version
///         Errc::malformed    a VNI or a lifetime that cannot be
[[nodiscard]] Result<AllocationRequest> read_allocation_request(Bytes message) noexcept;
[[nodiscard]] Result<AllocationResponse> read_allocation_response(Bytes message) noexcept;
[[nodiscard]] Result<ServerEndpoint> read_call_me_maybe_via(Bytes message) noexcept;

/// Write to the front of `out`: kAllocationRequestSize or kLargestEndpointMessage bytes do. @return how many
std::size_t write_allocation_request(MutableBytes out, const AllocationRequest& request) noexcept;
std::size_t write_allocation_response(MutableBytes out, const AllocationResponse& response) noexcept;
std::size_t write_call_me_maybe_via(MutableBytes out, const ServerEndpoint& endpoint) noexcept;

}  // namespace gatehouse::geneve_relay
