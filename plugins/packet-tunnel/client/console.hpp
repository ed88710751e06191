// What the client says: lines on standard error and, where that is a terminal, one line below them that is kept up to
// date. Not thread-safe.
#pragma once

#include <string>

namespace gatehouse::packet_tunnel {

class Console {
 public:
  /// @param fd  where to write to; not owned
  Console(int fd, bool is_verbose) noexcept;
  ~Console() { status({}); }

  /// Is there somebody who looks? Then status() is of use.
  [[nodiscard]] bool is_terminal() const noexcept { return is_terminal_; }

  void say(const std::string& sentence);
  /// Only with --verbose.
  void detail(const std::string& sentence) {
    if (is_verbose_) say(sentence);
  }
  /// Replaces the line at the end; "" takes it away. Does nothing where there is no terminal.
  void status(const std::string& line);

 private:
  void write(const std::string& text) noexcept;

  int fd_;
  bool is_terminal_, is_verbose_;
  std::string status_;
};

/// "812 bit/s", "1.43 Gbit/s"
[[nodiscard]] std::string rate_text(double bytes_per_second);

}  // namespace gatehouse::packet_tunnel
