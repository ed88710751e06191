// The formats in which block lists are published. Values; no thread rule.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace gatehouse::db {

/// The numbers stand in list files: never renumbered.
enum class ListFormat : std::uint32_t { hosts = 1, domains = 2, adblock = 3, rpz = 4, dnsmasq = 5, unbound = 6 };

inline constexpr std::array kListFormats{ListFormat::hosts, ListFormat::domains, ListFormat::adblock,
                                         ListFormat::rpz,   ListFormat::dnsmasq, ListFormat::unbound};

/// "hosts", as in the column domain_lists.format.
[[nodiscard]] constexpr std::string_view to_text(ListFormat format) noexcept {
  constexpr std::array<std::string_view, 6> kNames{"hosts", "domains", "adblock", "rpz", "dnsmasq", "unbound"};
  return kNames[static_cast<std::size_t>(format) - 1];
}

[[nodiscard]] constexpr std::optional<ListFormat> list_format(std::string_view text) noexcept {
  for (const ListFormat format : kListFormats)
    if (to_text(format) == text) return format;
  return {};
}

}  // namespace gatehouse::db
