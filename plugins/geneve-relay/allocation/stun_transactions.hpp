// Which STUN requests are out, so that whatever comes from elsewhere, or unasked, costs a comparison.
#pragma once

#include "plugins/geneve-relay/wire/random_source.hpp"
#include "plugins/geneve-relay/wire/stun_message.hpp"

#include <mutex>
#include <optional>
#include <vector>

namespace gatehouse::geneve_relay {

/// Thread-safe: the lane that asks is another one than that which gets the answer. What does not carry the secret of
/// this object is told from a response without a lock.
class StunTransactions {
 public:
  static constexpr std::size_t kMost = 16;  ///< of which the oldest makes place

  /// A response that was waited for.
  struct Answer {
    Endpoint server, mapped;
  };

  explicit StunTransactions(RandomSource& random) noexcept;

  /// The request to send to `server`.
  [[nodiscard]] std::array<std::byte, kStunRequestSize> begin(const Endpoint& server);
  /// What `datagram` from `source` tells, if it answers a request to it; once.
  [[nodiscard]] std::optional<Answer> take(Bytes datagram, const Endpoint& source);

 private:
  struct Request {
    StunTransaction transaction;
    Endpoint server;
  };

  std::array<std::byte, 8> secret_;  // the first bytes of every transaction
  std::mutex mutex_;                 // guards what follows
  std::uint32_t next_ = 0;
  std::vector<Request> requests_;
};

}  // namespace gatehouse::geneve_relay
