// What a download gives in place of a list: an error page, an archive, a program's answer. Pure; thread-safe.
#pragma once

#include <span>
#include <string>

namespace gatehouse::db {

/// Why these first lines are those of no list, whatever format was asked for; "" when they may be.
[[nodiscard]] std::string why_no_list(std::span<const std::string> lines);

}  // namespace gatehouse::db
