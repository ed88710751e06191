// What the check of a plugin finds, by ids that stay, and what to do about each.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace gatehouse::conformance {

enum class Severity { warning, fault };

/// One kind of finding. Its texts live as long as the program.
struct FindingKind {
  std::string_view id;
  Severity severity;
  std::string_view advice;  ///< what the author does
};

/// All of them; thread-safe.
[[nodiscard]] std::span<const FindingKind> finding_kinds() noexcept;

/// That kind. @throws std::logic_error  there is none
[[nodiscard]] const FindingKind& finding_kind(std::string_view id);

struct Finding {
  const FindingKind* kind;
  std::string step;  ///< "load", "withheld gh.ranges/1"
  std::string seen;  ///< what happened, as a sentence without its full stop
};

}  // namespace gatehouse::conformance
