// Texts that may hold anything (names in rows, what plugins say, paths) as they may reach a terminal, a log or a line
// of JSON: nothing in them moves a cursor, ends a line or turns the order of letters round. Pure functions,
// thread-safe.
#pragma once

#include <iosfwd>
#include <ostream>
#include <streambuf>
#include <string>
#include <string_view>

namespace gatehouse {

/// Appends `text`. Control characters come as \x1b (C0, DEL, bytes that are no UTF-8) or \u009b (C1, line and paragraph
/// separators, marks of the direction of writing); the rest as it is. Allocates.
void append_printable(std::string& out, std::string_view text);
[[nodiscard]] std::string printable(std::string_view text);

/// The same for JSON that a library has written, which escapes C0 only: as \u009b inside its strings.
[[nodiscard]] std::string printable_json(std::string json);

/// What such a stream writes to. One thread.
class PrintableBuffer : public std::streambuf {
 public:
  explicit PrintableBuffer(std::ostream& sink) : sink_(sink) {}
  ~PrintableBuffer() override;
  PrintableBuffer(const PrintableBuffer&) = delete;
  PrintableBuffer& operator=(const PrintableBuffer&) = delete;

 private:
  int_type overflow(int_type c) override;
  std::streamsize xsputn(const char* text, std::streamsize size) override;
  int sync() override;
  void pass_on(std::string_view text);

  std::ostream& sink_;
  std::string line_;  // what has come of it
};

/// A stream that passes on whole lines to another one, made printable but for tabs. Escapes are such that JSON stays
/// JSON. One thread.
class PrintableStream : private PrintableBuffer, public std::ostream {
 public:
  /// @param sink  outlives this one
  explicit PrintableStream(std::ostream& sink)
      : PrintableBuffer(sink), std::ostream(static_cast<std::streambuf*>(this)) {}
};

}  // namespace gatehouse
