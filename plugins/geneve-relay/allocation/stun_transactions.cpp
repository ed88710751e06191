#include "plugins/geneve-relay/allocation/stun_transactions.hpp"

#include <gatehouse/base/endian.hpp>

#include <algorithm>

namespace gatehouse::geneve_relay {

StunTransactions::StunTransactions(RandomSource& random) noexcept : secret_{} { random.fill(secret_); }

std::array<std::byte, kStunRequestSize> StunTransactions::begin(const Endpoint& server) {
  const std::scoped_lock lock(mutex_);
  StunTransaction transaction;
  std::ranges::copy(secret_, transaction.begin());
  store_big(MutableBytes(transaction).subspan(secret_.size()), next_++);
  if (requests_.size() == kMost) requests_.erase(requests_.begin());
  requests_.push_back({transaction, server});
  return write_stun_request(transaction);
}

std::optional<StunTransactions::Answer> StunTransactions::take(Bytes datagram, const Endpoint& source) {
  const auto response = read_stun_response(datagram);
  if (!response || !std::ranges::equal(secret_, Bytes(response->transaction).first(secret_.size()))) return {};
  const std::scoped_lock lock(mutex_);
  const auto asked = std::ranges::find_if(requests_, [&](const Request& request) {
    return request.transaction == response->transaction && request.server == source;
  });
  if (asked == requests_.end()) return {};
  requests_.erase(asked);
  return Answer{source, response->mapped};
}

}  // namespace gatehouse::geneve_relay
