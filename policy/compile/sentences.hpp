// What is wrong with a text that a row has, and what to write instead: for kinds of text that several tables have.
// Thread-safe; allocates.
#pragma once

#include <string>
#include <string_view>

namespace gatehouse::policy {

[[nodiscard]] std::string quoted(std::string_view text);

/// Why `text` is no CIDR.
[[nodiscard]] std::string cidr_sentence(std::string_view text);

/// Why `text` is no domain name.
[[nodiscard]] std::string domain_sentence(std::string_view text);

}  // namespace gatehouse::policy
