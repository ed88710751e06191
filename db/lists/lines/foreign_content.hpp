// What a download gives in place of a list: an error page, an archive, a program's answer. Pure; thread-safe.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace gatehouse::db {

/// A heading of a list, `[Adblock Plus 2.0]`, and not the beginning of JSON.
[[nodiscard]] bool is_heading(std::string_view line) noexcept;

/// Why these first lines are those of no list, whatever format was asked for; "" when they may be.
[[nodiscard]] std::string why_no_list(std::span<const std::string> lines);

}  // namespace gatehouse::db
