// Patterns for identities, listeners and plugins.
#pragma once

#include <string_view>

namespace gatehouse::policy {

/// Does `text` match `pattern` as a whole? `*` is any run of characters, `?` any one; everything else, brackets too
/// (they stand in listener names), is itself. Time is at most text x pattern.
[[nodiscard]] bool glob_match(std::string_view pattern, std::string_view text) noexcept;

/// Does `pattern` name one text only?
[[nodiscard]] inline bool is_literal(std::string_view pattern) noexcept {
  return pattern.find_first_of("*?") == std::string_view::npos;
}

}  // namespace gatehouse::policy
