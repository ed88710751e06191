// What a domain list says about one name: of the name itself, and of the names below it. Values; no thread rule.
#pragma once

#include <algorithm>
#include <cstdint>

namespace gatehouse::policy {

/// Where two meet for one name, the greater counts; from `exception` on every second one leaves the name alone. The
/// numbers stand in list files: never renumbered.
enum class ListMark : std::uint8_t {
  none = 0,
  open = 1,  ///< listed; where it is about the names below, only if the row's `match` is suffix
  listed = 2,
  exception = 3,            ///< the list leaves it alone
  important = 4,            ///< listed, whatever its exceptions say
  important_exception = 5,  ///< left alone, whatever it has as important
};

[[nodiscard]] constexpr bool is_exception(ListMark mark) noexcept {
  return mark >= ListMark::exception && static_cast<unsigned>(mark) % 2 == 1;
}
[[nodiscard]] constexpr bool is_listed(ListMark mark) noexcept { return mark != ListMark::none && !is_exception(mark); }

struct ListEntry {
  ListMark at = ListMark::none;     ///< the name itself
  ListMark below = ListMark::none;  ///< every name below it

  bool operator==(const ListEntry&) const = default;
  constexpr ListEntry& operator|=(const ListEntry& other) noexcept {
    at = std::max(at, other.at);
    below = std::max(below, other.below);
    return *this;
  }

  static const ListEntry none, listed, exact, children, suffix, exception, exact_exception;
};

inline constexpr ListEntry ListEntry::none{};
inline constexpr ListEntry ListEntry::listed{ListMark::open, ListMark::open};  ///< as the row's `match` says
inline constexpr ListEntry ListEntry::exact{ListMark::listed, ListMark::none};
inline constexpr ListEntry ListEntry::children{ListMark::none, ListMark::listed};
inline constexpr ListEntry ListEntry::suffix{ListMark::listed, ListMark::listed};
inline constexpr ListEntry ListEntry::exception{ListMark::exception, ListMark::exception};
inline constexpr ListEntry ListEntry::exact_exception{ListMark::exception, ListMark::none};

[[nodiscard]] constexpr bool is_exception(ListEntry entry) noexcept {
  return is_exception(entry.at) || is_exception(entry.below);
}
[[nodiscard]] constexpr bool is_listed(ListEntry entry) noexcept {
  return is_listed(entry.at) || is_listed(entry.below);
}

}  // namespace gatehouse::policy
