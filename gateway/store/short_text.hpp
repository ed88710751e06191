// A name that is mostly short.
#pragma once

#include "gateway/store/text_arena.hpp"

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace gatehouse {

/// A string in 16 bytes, where it has no more than 15: else in the arena. Whoever has a longer one gives its room back;
/// without that it lasts as long as the arena.
class ShortText {
 public:
  operator std::string_view() const noexcept {
    return is_long() ? elsewhere() : std::string_view(bytes_.data(), size_);
  }
  /// In place of what there was, of which `text` is no part. @throws std::bad_alloc, then nothing has changed
  void write(TextArena& arena, std::string_view text) {
    const bool fits = text.size() <= kInline;
    char* const room = fits ? nullptr : arena.take(text.size());
    clear(arena);
    std::memcpy(fits ? bytes_.data() : room, text.data(), text.size());
    if (!fits) set_elsewhere({room, text.size()});
    size_ = fits ? static_cast<std::uint8_t>(text.size()) : kLong;
  }
  void clear(TextArena& arena) noexcept {
    if (is_long()) arena.give_back(const_cast<char*>(elsewhere().data()), elsewhere().size());
    size_ = 0;
  }

 private:
  static constexpr std::size_t kInline = 15;
  static constexpr std::uint8_t kLong = 255;
  [[nodiscard]] bool is_long() const noexcept { return size_ == kLong; }
  [[nodiscard]] std::string_view elsewhere() const noexcept {
    const char* room = nullptr;
    std::uint32_t size = 0;
    std::memcpy(&room, bytes_.data(), sizeof room);
    std::memcpy(&size, bytes_.data() + sizeof room, sizeof size);
    return {room, size};
  }
  void set_elsewhere(std::string_view text) noexcept {
    const char* const room = text.data();
    const auto size = static_cast<std::uint32_t>(text.size());
    std::memcpy(bytes_.data(), &room, sizeof room);
    std::memcpy(bytes_.data() + sizeof room, &size, sizeof size);
  }

  std::array<char, kInline> bytes_{};  // it, or where it is and its length
  std::uint8_t size_ = 0;              // or kLong
};
static_assert(sizeof(ShortText) == 16);

}  // namespace gatehouse
