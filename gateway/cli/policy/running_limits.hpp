// What only a running gateway knows of a question: what it has counted against the limits that a client shares with
// others, and which addresses its plugins claim. The request, and the answer in words.
// Main thread.
#pragma once

#include "policy/flow.hpp"
#include "policy/surroundings.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <string>
#include <vector>

namespace gatehouse {

struct RunningLimits {
  std::string why_not;          ///< a sentence: nobody can be asked; "" = `body` is the answer
  nlohmann::ordered_json body;  ///< of the verb policy/limits (gateway/daemon/limits_report.hpp)
};

/// Never fails: where nobody answers within two seconds, why_not has the reason.
[[nodiscard]] RunningLimits ask_limits(const std::filesystem::path& socket, const policy::ClientFacts& client);

/// The addresses that plugins of the running gateway claim; none where nobody answered.
[[nodiscard]] std::vector<policy::ClaimedPrefix> claims_of(const RunningLimits& limits);

/// A line for the generation in force and one for each limit.
/// @param revision    of the rows that the explanation is made from
/// @param any_limits  do they limit this client at all?
void print_limits(std::ostream& out, const RunningLimits& limits, std::int64_t revision, bool any_limits);

/// {running: true, generation, ...} as the gateway answered, or {running: false, why}.
[[nodiscard]] nlohmann::ordered_json limits_json(const RunningLimits& limits);

}  // namespace gatehouse
