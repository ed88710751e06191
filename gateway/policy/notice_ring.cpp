#include "gateway/policy/notice_ring.hpp"

#include <algorithm>

namespace gatehouse {

void NoticeRing::push(policy::RowRef row, bool monitor, const policy::Flow& flow, const IpAddress& source) noexcept {
  const std::size_t at = pushed_.load(std::memory_order_relaxed);
  if (at - taken_.load(std::memory_order_acquire) >= kSize) {
    dropped_.store(dropped_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    return;
  }
  Notice& notice = ring_[at % kSize];
  notice.row = row;
  notice.monitor = monitor;
  notice.destination = flow.destination;
  notice.port = flow.port;
  notice.source = source;
  notice.name_size = static_cast<std::uint8_t>(std::min(flow.domain.size(), Notice::kLongestName));
  std::copy_n(flow.domain.data(), notice.name_size, notice.name_bytes.data());
  pushed_.store(at + 1, std::memory_order_release);
}

}  // namespace gatehouse
