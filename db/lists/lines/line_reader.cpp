#include "db/lists/lines/line_reader.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

namespace gatehouse::db {

/// More bytes behind those that wait. @return false at the end
bool LineReader::fill() {
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  while (!at_end_) {
    const ssize_t n = ::read(fd_, buffer_.data() + end_, buffer_.size() - end_);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw std::system_error(errno, std::system_category(), "cannot read the list");
    at_end_ = n == 0;
    bytes_ += static_cast<std::size_t>(n);
    end_ += static_cast<std::size_t>(n);
    return !at_end_;
  }
  return false;
}

LineReader::Line LineReader::line(std::string_view text, bool too_long) noexcept {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (number_ == 0 && text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  return {text, ++number_, too_long};
}

std::optional<LineReader::Line> LineReader::next() {
  std::size_t searched = 0;
  while (true) {
    const std::string_view waiting = pending();
    const std::size_t end = waiting.find('\n', searched);
    if (end != waiting.npos && (end < kLongestLine || skipping_)) {
      begin_ += end + 1;
      if (!skipping_) return line(waiting.substr(0, end), false);
      skipping_ = false;
      searched = 0;
      continue;
    }
    if (skipping_) begin_ = end_;
    if (!skipping_ && waiting.size() >= kLongestLine) {
      begin_ += kLongestLine;
      skipping_ = true;
      return line(waiting.substr(0, kLongestLine), true);
    }
    searched = pending().size();
    if (fill()) continue;
    if (pending().empty()) return {};
    const std::string_view rest = pending();
    begin_ = end_;
    return line(rest, false);
  }
}

}  // namespace gatehouse::db
