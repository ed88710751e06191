#include "gateway/store/session_texts.hpp"

#include <cstdint>
#include <cstring>
#include <utility>

namespace gatehouse {
namespace {

constexpr char kHasPayer = 1, kHasBlob = 2;
constexpr std::size_t kLong = 255;  // in place of a length: it follows

[[nodiscard]] std::size_t room_of(std::string_view text) noexcept {
  return (text.size() < kLong ? 1 : 1 + sizeof(std::uint32_t)) + text.size();
}

[[nodiscard]] std::size_t room_of(const SessionTexts::Parts& parts) noexcept {
  return 1 + room_of(parts.key) + room_of(parts.identity) + room_of(parts.payer.value_or("")) +
         room_of(parts.blob.value_or(""));
}

[[nodiscard]] char* write_text(char* to, std::string_view text) noexcept {
  const auto size = static_cast<std::uint32_t>(text.size());
  *to++ = static_cast<char>(size < kLong ? size : kLong);
  if (size >= kLong) {
    std::memcpy(to, &size, sizeof size);
    to += sizeof size;
  }
  if (size != 0) std::memcpy(to, text.data(), size);
  return to + size;
}

[[nodiscard]] std::string_view read_text(const char*& from) noexcept {
  std::uint32_t size = static_cast<unsigned char>(*from++);
  if (size == kLong) {
    std::memcpy(&size, from, sizeof size);
    from += sizeof size;
  }
  return {std::exchange(from, from + size), size};
}

}  // namespace

SessionTexts::Parts SessionTexts::read() const noexcept {
  if (bytes_ == nullptr) return {};
  const char* at = bytes_;
  const char flags = *at++;
  Parts out;
  out.key = read_text(at);
  out.identity = read_text(at);
  const std::string_view payer = read_text(at), blob = read_text(at);
  if ((flags & kHasPayer) != 0) out.payer = payer;
  if ((flags & kHasBlob) != 0) out.blob = blob;
  return out;
}

void SessionTexts::write(TextArena& arena, const Parts& parts) {
  if (parts == Parts{}) return clear(arena);
  char* const fresh = arena.take(room_of(parts));
  *fresh = static_cast<char>((parts.payer ? kHasPayer : 0) | (parts.blob ? kHasBlob : 0));
  char* at = write_text(fresh + 1, parts.key);
  at = write_text(at, parts.identity);
  at = write_text(at, parts.payer.value_or(""));
  static_cast<void>(write_text(at, parts.blob.value_or("")));
  clear(arena);
  bytes_ = fresh;
}

void SessionTexts::clear(TextArena& arena) noexcept {
  if (bytes_ == nullptr) return;
  const std::size_t size = room_of(read());
  arena.give_back(std::exchange(bytes_, nullptr), size);
}

}  // namespace gatehouse
