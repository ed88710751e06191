// Which options of a plugin may change while it runs.
#pragma once

#include <string>
#include <vector>

namespace gatehouse {

/// Names of the options that differ between two complete JSON objects and that `schema` does not mark with
/// "x-reload": "live".
[[nodiscard]] std::vector<std::string> options_needing_restart(const std::string& schema, const std::string& before,
                                                               const std::string& after);

}  // namespace gatehouse
