// SHA-256 of a text, as plugin copies and public session ids need it.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace gatehouse {

using Sha256 = std::array<std::byte, 32>;

/// Throws std::runtime_error when libcrypto cannot do it, which no sound installation shows.
[[nodiscard]] Sha256 sha256(std::string_view content);

/// In lower-case hex, 64 characters.
[[nodiscard]] std::string to_hex(const Sha256& digest);

}  // namespace gatehouse
