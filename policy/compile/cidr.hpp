// Reads the addresses that a row names. One thread a draft.
#pragma once

#include "policy/compile/draft.hpp"

#include <gatehouse/base/prefix.hpp>

#include <optional>
#include <string_view>

namespace gatehouse::policy {

/// @return none, and a problem of that row, for a text that is no CIDR or that no address could ever match
[[nodiscard]] std::optional<Prefix> read_cidr(std::string_view text, const RowAt& row, Draft& draft);

}  // namespace gatehouse::policy
