#include "policy/verdict.hpp"

namespace gatehouse::policy {

std::string_view to_text(Action action) noexcept { return action == Action::allow ? "allow" : "deny"; }

}  // namespace gatehouse::policy
