// Cutting lines of text into words, for the parsers of block lists. Views of the caller's text; thread-safe.
#pragma once

#include <algorithm>
#include <string_view>

namespace gatehouse::db {

[[nodiscard]] constexpr bool is_space(char c) noexcept {
  return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

[[nodiscard]] constexpr std::string_view trimmed_end(std::string_view text) noexcept {
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

[[nodiscard]] constexpr std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  return trimmed_end(text);
}

/// What stands before the first `mark`, or all of it.
[[nodiscard]] constexpr std::string_view before(std::string_view text, char mark) noexcept {
  return text.substr(0, text.find(mark));
}

/// Takes the first word off `text`, with the space on either side of it; "" at the end.
[[nodiscard]] constexpr std::string_view next_word(std::string_view& text) noexcept {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  std::size_t size = 0;
  while (size < text.size() && !is_space(text[size])) ++size;
  const std::string_view word = text.substr(0, size);
  text.remove_prefix(size);
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  return word;
}

/// Without the pair of quotation marks around it.
[[nodiscard]] constexpr std::string_view unquoted(std::string_view text) noexcept {
  const bool is_quoted =
      text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front();
  return is_quoted ? text.substr(1, text.size() - 2) : text;
}

[[nodiscard]] constexpr bool is_number(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// Equal but for upper and lower case, in ASCII.
[[nodiscard]] constexpr bool same_letters(std::string_view a, std::string_view b) noexcept {
  constexpr auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace gatehouse::db
