#include "plugins/packet-tunnel/client/console.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace gatehouse::packet_tunnel {
namespace {

constexpr char kClearLine[] = "\r\x1b[K";
constexpr std::size_t kUsualWidth = 80;

std::size_t width_of(int fd) noexcept {
  winsize size{};
  return ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - std::size_t{1} : kUsualWidth - 1;
}

}  // namespace

Console::Console(int fd, bool is_verbose) noexcept
    : fd_(fd), is_terminal_(::isatty(fd) == 1), is_verbose_(is_verbose) {}

void Console::say(const std::string& sentence) {
  std::string line = "gatehouse-tunnel: " + sentence;
  // What a server or the system has said is in it: it must not draw on the terminal.
  std::replace_if(
      line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }, ' ');
  write((status_.empty() ? "" : kClearLine) + line + '\n' + status_);
}

void Console::status(const std::string& line) {
  if (!is_terminal_ || (line.empty() && status_.empty())) return;
  status_ = line.substr(0, width_of(fd_));
  write(kClearLine + status_);
}

void Console::write(const std::string& text) noexcept {
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t size = ::write(fd_, text.data() + at, text.size() - at);
    if (size <= 0) return;  // nobody reads it
    at += static_cast<std::size_t>(size);
  }
}

std::string rate_text(double bytes_per_second) {
  static constexpr std::array kUnits = {"bit/s", "kbit/s", "Mbit/s", "Gbit/s"};
  double value = bytes_per_second * 8;
  std::size_t unit = 0;
  for (; value >= 1000 && unit + 1 < kUnits.size(); ++unit) value /= 1000;
  std::array<char, 48> text;
  const char* const format = unit == 0 || value >= 100 ? "%.0f %s" : value >= 10 ? "%.1f %s" : "%.2f %s";
  const int size = std::snprintf(text.data(), text.size(), format, value, kUnits[unit]);
  return {text.data(), static_cast<std::size_t>(std::max(size, 0))};
}

}  // namespace gatehouse::packet_tunnel
