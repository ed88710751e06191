// Lines of a file or pipe of any size, without ever holding more than one buffer of it. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace gatehouse::db {

inline constexpr std::size_t kLongestLine = 64 << 10;  ///< bytes; this long is too long

class LineReader {
 public:
  /// @param fd  stays the caller's; need not be seekable
  explicit LineReader(int fd) : fd_(fd), buffer_(1 << 20) {}

  struct Line {
    std::string_view text;     ///< without its end; valid until the next call
    std::uint64_t number = 0;  ///< from 1
    bool too_long = false;     ///< `text` is only its beginning
  };
  /// The next line, or none at the end. The last one needs no end; a UTF-8 byte order mark in front is skipped.
  /// @throws std::system_error
  [[nodiscard]] std::optional<Line> next();

  /// Bytes read so far.
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::uint64_t lines() const noexcept { return number_; }

 private:
  [[nodiscard]] bool fill();
  [[nodiscard]] Line line(std::string_view text, bool too_long) noexcept;
  [[nodiscard]] std::string_view pending() const noexcept { return {buffer_.data() + begin_, end_ - begin_}; }

  int fd_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;
  std::uint64_t bytes_ = 0, number_ = 0;
  bool skipping_ = false;  // the rest of a line that was too long
  bool at_end_ = false;
};

}  // namespace gatehouse::db
