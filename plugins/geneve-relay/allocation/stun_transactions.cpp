#include "plugins/geneve-relay/allocation/stun_transactions.hpp"

#include <gatehouse/base/endian.hpp>

#include <algorithm>

namespace gatehouse::geneve_relay {
namespace {

/// Never 0, which is a free place.
std::uint64_t mark_of(const StunTransaction& transaction) noexcept {
  return load_big<std::uint64_t>(Bytes(transaction)) | 1U;
}

}  // namespace

std::array<std::byte, kStunRequestSize> StunTransactions::begin(const Endpoint& server, RandomSource& random) {
  const std::scoped_lock lock(mutex_);
  Request& request = requests_[next_];
  random.fill(request.transaction);
  request.server = server;
  marks_[next_].store(mark_of(request.transaction), std::memory_order_relaxed);
  next_ = (next_ + 1) % kMost;
  return write_stun_request(request.transaction);
}

bool StunTransactions::may_be_out(const StunTransaction& transaction) const noexcept {
  return std::ranges::any_of(marks_, [mark = mark_of(transaction)](const std::atomic<std::uint64_t>& one) {
    return one.load(std::memory_order_relaxed) == mark;
  });
}

std::optional<StunTransactions::Answer> StunTransactions::take(Bytes datagram, const Endpoint& source) {
  const auto response = read_stun_response(datagram);
  if (!response || !may_be_out(response->transaction)) return {};
  const std::scoped_lock lock(mutex_);
  const auto asked = std::ranges::find_if(requests_, [&](const Request& request) {
    return request.transaction == response->transaction && request.server == source;
  });
  if (asked == requests_.end() || source.address.family() == Family::none) return {};
  marks_[static_cast<std::size_t>(asked - requests_.begin())].store(0, std::memory_order_relaxed);
  *asked = {};
  return Answer{source, response->mapped};
}

}  // namespace gatehouse::geneve_relay
