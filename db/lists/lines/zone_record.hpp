// One record of a master file (RFC 1035, 5.1), which parentheses may spread over lines. Quotation marks, and a
// backslash before a character, make text of what else would open, close or begin a comment. One thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace gatehouse::db {

class ZoneRecord {
 public:
  static constexpr std::size_t kMostLines = 64, kMostBytes = 64 << 10;

  enum class State {
    whole,
    open,          ///< goes on on the next line
    too_long,      ///< and still open
    open_quote,    ///< a quotation mark that its line does not close
    never_opened,  ///< a parenthesis that closes nothing
  };
  /// The next line, without a comment. After any state but `open` another record begins.
  State add(std::string_view line);

  [[nodiscard]] bool is_open() const noexcept { return depth_ > 0; }
  /// Of the record so far: how many lines it has, and all of them as one, without parentheses. Until the next add().
  [[nodiscard]] std::size_t lines() const noexcept { return lines_; }
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

 private:
  [[nodiscard]] State read(std::string_view line);

  std::string text_;
  std::size_t lines_ = 0, depth_ = 0;
};

}  // namespace gatehouse::db
