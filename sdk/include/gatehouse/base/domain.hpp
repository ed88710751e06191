// Domain names in one canonical form: lower-case, no final dot, A-labels.
#pragma once

#include <gatehouse/base/error.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace gatehouse {

inline constexpr std::size_t kLongestDomain = 253;  ///< characters, without the final dot (RFC 1035, 2.3.4)
inline constexpr std::size_t kLongestLabel = 63;    ///< characters between two dots (RFC 1035, 2.3.4)

/// The canonical form of a name that a person wrote: "Ads.Example.COM." -> "ads.example.com".
///
/// Any byte but dot, space and control characters is allowed in a label (underscores occur in real names).
/// @return Errc::malformed for an empty name or label; Errc::oversize for a label or name that is too long;
///         Errc::unsupported for a byte above 127: write the A-label (xn--...) there
[[nodiscard]] Result<std::string> canonical_domain(std::string_view text);

/// Is `name` equal to `suffix`, or below it? Both canonical: "a.example.com" is below "example.com" and
/// "badexample.com" is not. Everything is below "".
[[nodiscard]] bool is_below(std::string_view name, std::string_view suffix) noexcept;

}  // namespace gatehouse
