// One UDP flow of one client: a connected socket and what is remembered about it. Small, because there are many.
#pragma once

#include "plugins/udpgw/flow_socket.hpp"
#include "plugins/udpgw/frame.hpp"
#include "plugins/udpgw/reply_queue.hpp"

#include <gatehouse/base/clock.hpp>
#include <gatehouse/net/batch_receiver.hpp>
#include <gatehouse/plugin/policy_client.hpp>
#include <gatehouse/table/flow_table.hpp>
#include <gatehouse/table/lru.hpp>

#include <algorithm>
#include <array>

namespace gatehouse::udpgw {

class Client;

/// A lane's forwards are known by their client's number and the client's conid.
using ForwardKey = std::uint64_t;
[[nodiscard]] constexpr ForwardKey forward_key(std::uint64_t client, std::uint16_t conid) noexcept {
  return client << 16 | conid;
}

class Forward final : public FlowSocket {
 public:
  Forward(Client& owner, std::uint16_t number, Bytes wire_address) noexcept
      : client(owner), conid(number), address_size_(static_cast<std::uint8_t>(wire_address.size())) {
    headers = wire_address.size() == kAddressSizeV6 ? kHeadersV6 : kHeadersV4;
    std::copy(wire_address.begin(), wire_address.end(), address_.begin());
  }

  void on_ready(std::uint32_t events) override;

  /// Address and port as the client gave them; every reply carries these.
  [[nodiscard]] Bytes wire_address() const noexcept { return Bytes(address_).first(address_size_); }
  [[nodiscard]] Endpoint remote() const noexcept { return read_address(wire_address()); }
  [[nodiscard]] std::size_t overhead() const noexcept { return kLengthSize + kHeaderSize + address_size_; }

  bool to_resolver = false;  // opened by a frame with the DNS flag
  DnsLook dns;               // DNS: every datagram is judged, not only the flow
  Client& client;
  LruLink lru;  // in the client's list
  SteadyTime last_used{};
  std::uint64_t generation = 0;   // of the policy that allows it
  std::uint32_t slot = kNoSlot;   // in the lane's table
  std::uint32_t query = kNoSlot;  // its newest DNS query (DnsRelay)
  QueueShare share;               // of the client's reply queue
  ReceiveHistory received;
  std::uint16_t conid;
  std::uint16_t resolver = 0;  // DnsRelay's number for it

 private:
  std::uint8_t address_size_;
  std::array<std::byte, kAddressSizeV6> address_{};
};
static_assert(sizeof(Forward) <= 96, "there are many: order its members by size");

using ForwardTable = FlowTable<ForwardKey, Forward>;

}  // namespace gatehouse::udpgw
