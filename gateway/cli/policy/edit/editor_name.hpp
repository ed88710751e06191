// Who edits the policy, for the audit trail. Thread-safe while nobody changes the environment.
#pragma once

#include <string>

namespace gatehouse {

/// The user's name; for root through sudo, that of the user who called it.
[[nodiscard]] std::string editor_name();

}  // namespace gatehouse
