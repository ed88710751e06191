// The domain lists as far as one name is concerned, for verbs that judge without a gateway. Main thread.
#pragma once

#include "policy/compile.hpp"

#include <filesystem>
#include <string>

namespace gatehouse {

/// What the list files in `lists/` beside `database`, or else in `more`, have for `name` and the names above it, for
/// compile(). They are read name by name, 50 us each: ten million are not compiled for one question. A file that cannot
/// be read is a problem of its row.
/// @param name  canonical; "" = none, to see whether the files can be opened
/// @param more  of a gateway, for a database that was copied away from its lists: their names are their content's
///              hashes; "" = none
[[nodiscard]] policy::Lists lists_about(const std::filesystem::path& database, const policy::Model& model,
                                        const std::string& name, const std::filesystem::path& more = {});

}  // namespace gatehouse
