#include "gateway/policy/notice_ring.hpp"

#include <algorithm>

namespace gatehouse {

void NoticeRing::push(policy::RowRef row, bool monitor, const policy::Flow& flow, const IpAddress& source) noexcept {
  ring_.push([&](Notice& notice) {
    notice.row = row;
    notice.monitor = monitor;
    notice.destination = flow.destination;
    notice.port = flow.port;
    notice.source = source;
    notice.name_size = static_cast<std::uint8_t>(std::min(flow.domain.size(), Notice::kLongestName));
    std::copy_n(flow.domain.data(), notice.name_size, notice.name_bytes.data());
  });
}

}  // namespace gatehouse
