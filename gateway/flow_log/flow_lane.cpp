#include "gateway/flow_log/flow_lane.hpp"

#include <algorithm>
#include <chrono>

namespace gatehouse {

void FlowLane::write(Ring& ring, const policy::Verdict& verdict, const policy::Flow& flow, const IpAddress& source,
                     std::string_view identity) noexcept {
  ring.push([&](FlowEntry& entry) {
    entry.time_ns =
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
            .count();
    entry.verdict = verdict;
    entry.destination = flow.destination;
    entry.source = source;
    entry.transport = flow.transport;
    entry.port = flow.port;
    entry.domain_size = static_cast<std::uint8_t>(std::min(flow.domain.size(), FlowEntry::kLongestText));
    entry.identity_size = static_cast<std::uint8_t>(std::min(identity.size(), FlowEntry::kLongestText));
    char* const after = std::copy_n(flow.domain.data(), entry.domain_size, entry.text.data());
    std::copy_n(identity.data(), entry.identity_size, after);
  });
}

void FlowLane::switch_on(bool on) {
  if (on && !memory_) memory_ = std::make_unique<Ring>();
  ring_.store(on ? memory_.get() : nullptr, std::memory_order_release);
}

}  // namespace gatehouse
