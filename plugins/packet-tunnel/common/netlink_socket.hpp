// One request to the kernel by netlink and its answer (RFC 3549; linux/netlink.h).
#pragma once

#include "plugins/packet-tunnel/common/netlink_message.hpp"

#include <gatehouse/base/unique_fd.hpp>

#include <functional>
#include <string>

namespace gatehouse::packet_tunnel {

/// The kernel answers a request within the call that sends it, so that nothing here waits: an answer that is not there
/// is an error. One thread at a time.
class NetlinkSocket {
 public:
  /// What is called with each message of an answer: its type, and what follows its header.
  using OnMessage = std::function<void(std::uint16_t type, Bytes body)>;

  /// @param protocol  NETLINK_ROUTE, NETLINK_NETFILTER
  /// @throws HostError
  explicit NetlinkSocket(int protocol);

  /// Sends `message` and reads its answer: an acknowledgement, one message, or a dump to its end.
  /// @return the kernel's refusal, as errno; last_words() may say more. EINTR: what was dumped has changed meanwhile,
  /// ask
  ///         again. EAGAIN: no answer
  [[nodiscard]] Result<void> ask(NetlinkMessage& message, const OnMessage& on_message = {});

  /// What the kernel said beside the last refusal's number; may be empty.
  [[nodiscard]] const std::string& last_words() const noexcept { return last_words_; }

 private:
  enum class Part { more_follows, last };
  [[nodiscard]] Result<Part> read_part(const OnMessage& on_message);

  UniqueFd fd_;
  std::uint32_t sequence_ = 0;
  std::vector<std::byte> buffer_;
  bool interrupted_ = false;
  std::string last_words_;
};

}  // namespace gatehouse::packet_tunnel
