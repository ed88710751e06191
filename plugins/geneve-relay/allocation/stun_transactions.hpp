// Which STUN requests are out, so that whatever comes from elsewhere, or unasked, costs a comparison.
#pragma once

#include "plugins/geneve-relay/wire/random_source.hpp"
#include "plugins/geneve-relay/wire/stun_message.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>

namespace gatehouse::geneve_relay {

/// Thread-safe: the lane that asks is another one than that which gets the answer. What names no request that is out is
/// told from a response without a lock.
class StunTransactions {
 public:
  static constexpr std::size_t kMost = 16;  ///< of which the oldest makes place

  /// A response that was waited for.
  struct Answer {
    Endpoint server, mapped;
  };

  StunTransactions() noexcept = default;
  StunTransactions(const StunTransactions&) = delete;
  StunTransactions& operator=(const StunTransactions&) = delete;

  /// The request to send to `server`, with a transaction of random bytes: whoever has seen others does not know it.
  [[nodiscard]] std::array<std::byte, kStunRequestSize> begin(const Endpoint& server, RandomSource& random);
  /// What `datagram` from `source` tells, if it answers a request to it; once.
  [[nodiscard]] std::optional<Answer> take(Bytes datagram, const Endpoint& source);

 private:
  struct Request {
    StunTransaction transaction{};
    Endpoint server;  // family none: this place is free
  };
  [[nodiscard]] bool may_be_out(const StunTransaction& transaction) const noexcept;

  std::array<std::atomic<std::uint64_t>, kMost> marks_{};  // of requests_, for a look without the lock; 0 = free
  std::mutex mutex_;                                       // guards what follows
  std::size_t next_ = 0;
  std::array<Request, kMost> requests_;
};

}  // namespace gatehouse::geneve_relay
