#include "plugins/geneve-relay/allocation/allocation_metrics.hpp"

namespace gatehouse::geneve_relay {
namespace {

constexpr std::array<std::string_view, kAllocationRefusals> kNames = {"denied", "own_key",  "not_ready",   "limit",
                                                                      "full",   "draining", "not_durable", "no_answer"};

}  // namespace

std::string_view to_text(AllocationRefusal::Cause cause) noexcept { return kNames[static_cast<std::size_t>(cause)]; }

AllocationMetrics::AllocationMetrics(const LaneContext& context, std::string_view via)
    : given_(context.host.counter(context.lane, "allocations", "Endpoints that were given to whoever asked.",
                                  {{"via", via}})) {
  for (std::size_t i = 0; i < kNames.size(); ++i)
    refused_[i] =
        context.host.counter(context.lane, "allocations_refused", "Requests for an endpoint that came to none.",
                             {{"via", via}, {"cause", kNames[i]}});
}

void AllocationMetrics::count(const AllocationOutcome& outcome) noexcept {
  const auto* const refusal = std::get_if<AllocationRefusal>(&outcome);
  (refusal != nullptr ? refused_[static_cast<std::size_t>(refusal->cause)] : given_).add();
}

}  // namespace gatehouse::geneve_relay
