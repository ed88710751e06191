// What a line of a list says at all, the same for every format: comments, headings, and the names that every machine
// gives to itself. Views of the caller's text; thread-safe.
#pragma once

#include "db/lists/list_format.hpp"

#include <string_view>

namespace gatehouse::db {

/// A heading of a list, such as `[Adblock Plus 2.0]` or unbound's `server:`, and not the beginning of JSON.
[[nodiscard]] bool is_heading(std::string_view line) noexcept;

/// Hides or changes parts of pages: what only a browser can do, with marks that look like a comment.
[[nodiscard]] bool is_cosmetic(std::string_view line) noexcept;

/// Says nothing in any format: blank, a heading, or a comment by its first characters, which are `#`, `!`, `;` or `//`.
[[nodiscard]] bool is_blank_or_comment(std::string_view line) noexcept;

/// `line` up to a comment, trimmed at its end. A comment begins with a `#` or `;` at the start or behind a space; in
/// formats in which the mark means nothing else, anywhere: `#` in hosts, domains and unbound, `;` in rpz. Between
/// quotation marks, in rpz and unbound, there is none, nor in a rule of a list for browsers.
[[nodiscard]] std::string_view without_comment(std::string_view line, ListFormat format) noexcept;

/// Is that a name of the machine itself, or of its networks, such as `localhost` and `ip6-allnodes`? Published lists
/// carry them over from hosts files; to block them, or to leave them alone, is never meant.
[[nodiscard]] bool is_of_this_machine(std::string_view name) noexcept;

/// Does an address say "nowhere", as block lists use it: 0.0.0.0, 127.*, :: or ::1?
[[nodiscard]] bool is_sinkhole(std::string_view address);

}  // namespace gatehouse::db
