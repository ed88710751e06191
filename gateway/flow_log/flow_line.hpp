// A verdict as a line of the flow log: one JSON object. Pure functions.
#pragma once

#include "gateway/flow_log/flow_lane.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace gatehouse {

/// {"time", "plugin", "identity", "source", "destination", "port", "transport", "domain", "verdict", "reason", "table",
/// "row", "generation"} and a line feed. What is not known or does not apply is left out.
void append_flow_line(std::string& out, std::string_view plugin, const FlowEntry& entry);

/// {"time", "lost"}: so many verdicts are missing between the line before and the next.
void append_loss_line(std::string& out, std::chrono::system_clock::time_point now, std::uint64_t lost);

}  // namespace gatehouse
