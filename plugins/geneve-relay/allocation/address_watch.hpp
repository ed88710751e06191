// The machine's own addresses, by rtnetlink: which there are, and word when they change.
#pragma once

#include <gatehouse/async/poller.hpp>
#include <gatehouse/base/address.hpp>

#include <functional>
#include <optional>
#include <vector>

namespace gatehouse::geneve_relay {

/// All interfaces' that others may be told, in the kernel's order: neither link-local nor multicast, neither
/// tentative, duplicate nor deprecated, nor the temporary ones of a client's privacy, beside which there is a lasting
/// one. Loopback is among them. For control: some system calls.
/// @return the kernel's refusal; EINTR: they change faster than they can be read
[[nodiscard]] Result<std::vector<IpAddress>> usable_addresses();

/// Adds those of one part of the kernel's answer that usable_addresses() are. Reads no byte outside.
/// @return Errc::not_found: the answer goes on in the next part; else it was the last, or the kernel's refusal
[[nodiscard]] Error read_addresses(Bytes part, std::vector<IpAddress>& out);

/// Tells when addresses come or go. Costs nothing meanwhile. On the poller's thread.
class AddressWatch final : private Readiness {
 public:
  /// @param on_change  once for each batch of the kernel's notices
  AddressWatch(Poller& poller, std::function<void()> on_change);
  ~AddressWatch();
  AddressWatch(const AddressWatch&) = delete;
  AddressWatch& operator=(const AddressWatch&) = delete;

  /// False: the kernel has no netlink for us; nothing is ever told.
  [[nodiscard]] bool works() const noexcept { return static_cast<bool>(fd_); }

 private:
  void on_ready(std::uint32_t events) override;

  Poller& poller_;
  std::function<void()> on_change_;
  UniqueFd fd_;
};

}  // namespace gatehouse::geneve_relay
