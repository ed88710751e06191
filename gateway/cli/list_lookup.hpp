// The domain lists as far as one name is concerned, for verbs that judge without a gateway. Main thread.
#pragma once

#include "policy/compile.hpp"

#include <filesystem>
#include <string>

namespace gatehouse {

/// What the list files in `lists/` beside `database` have for `name` and the names above it, for compile(). They are
/// read name by name, 50 us each: ten million are not compiled for one question. A file that cannot be read is a
/// problem of its row.
/// @param name  canonical; "" = none, to see whether the files can be opened
[[nodiscard]] policy::Lists lists_about(const std::filesystem::path& database, const policy::Model& model,
                                        const std::string& name);

}  // namespace gatehouse
