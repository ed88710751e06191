// The strings of a session, in one place of an arena.
#pragma once

#include "gateway/store/text_arena.hpp"

#include <cstddef>
#include <optional>
#include <string_view>

namespace gatehouse {

/// What a session is found by, who pays for it, and its plugin's own state: in a pointer's room, and none for a session
/// that has none of them. Whoever has it gives its room back; without that it lasts as long as the arena.
class SessionTexts {
 public:
  struct Parts {
    std::string_view key{}, identity{};
    std::optional<std::string_view> payer{};  ///< none: the identity
    std::optional<std::string_view> blob{};   ///< one of no bytes is one, too

    bool operator==(const Parts&) const = default;
  };

  /// Valid until the next write() or clear().
  [[nodiscard]] Parts read() const noexcept;
  [[nodiscard]] std::string_view key() const noexcept { return read().key; }
  [[nodiscard]] std::string_view identity() const noexcept { return read().identity; }
  /// In place of what there was, of which `parts` may be. @throws std::bad_alloc, then nothing has changed
  void write(TextArena& arena, const Parts& parts);
  void clear(TextArena& arena) noexcept;

 private:
  // Flags, 1 byte, and the four: of each its length, 1 byte or 255 and 4 bytes, and it.
  char* bytes_ = nullptr;
};

}  // namespace gatehouse
