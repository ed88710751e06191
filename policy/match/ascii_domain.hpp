// A name that a person or a published list wrote, in any script, as the name that DNS carries. Thread-safe.
#pragma once

#include <gatehouse/base/error.hpp>

#include <string>
#include <string_view>

namespace gatehouse::policy {

/// canonical_domain() (sdk), which also takes UTF-8: letters beyond ASCII become A-labels as browsers make them (UTS
/// 46, non-transitional), "Bücher.Example" -> "xn--bcher-kva.example".
/// @return as canonical_domain(); Errc::unsupported for what is no UTF-8 or has letters that no name may have
[[nodiscard]] Result<std::string> ascii_domain(std::string_view text);

/// Where a canonical name has a character that no host's name has: not a letter, digit, `-`, `_` or `.`; npos =
/// nowhere.
[[nodiscard]] std::size_t foreign_character(std::string_view name) noexcept;

}  // namespace gatehouse::policy
