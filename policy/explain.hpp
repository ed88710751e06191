// Why a flow is allowed or denied, step by step, in words. Thread-safe; allocates; not for the packet path.
#pragma once

#include "policy/snapshot.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::policy {

struct ExplainedStep {
  std::string_view name;     ///< "hard denies"
  std::string_view outcome;  ///< pass, skip, note, allow, deny
  std::string sentence;
  Table table = Table::none;
  std::int64_t row = 0;  ///< in `table`, if that is not none
};

struct Explanation {
  std::string group;
  std::vector<ExplainedStep> steps;
  Verdict verdict;  ///< as judge() gives it
};

[[nodiscard]] Explanation explain(const Snapshot& snapshot, const ClientFacts& client, bool allow_local,
                                  const Flow& flow);

/// The fixed order of judgement, as text for people, a line a step.
[[nodiscard]] std::string_view order_text() noexcept;

}  // namespace gatehouse::policy
