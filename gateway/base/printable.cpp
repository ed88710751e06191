#include "gateway/base/printable.hpp"

#include <algorithm>
#include <cstdint>

namespace gatehouse {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";

struct Character {
  char32_t code = 0;
  std::size_t size = 0;  ///< bytes; 0 = the first byte begins no character
};

/// The first character of UTF-8 (RFC 3629: no surrogates, no longer forms).
Character first_of(std::string_view text) noexcept {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return {};
  char32_t code = lead & (0xffU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3fU);
  }
  const bool too_long = (size == 3 && code < 0x800) || (size == 4 && code < 0x10000);
  if (too_long || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return {};
  return {code, size};
}

/// Unicode 15, Bidi_Control and Cc, and what ends a line.
bool is_control(char32_t code) noexcept {
  return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0x61c || code == 0x200e || code == 0x200f ||
         (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

void append_byte(std::string& out, unsigned char byte) {
  out += "\\x";
  out += kDigits[byte >> 4];
  out += kDigits[byte & 15];
}

void append_code(std::string& out, char32_t code) {
  out += "\\u";
  for (const int shift : {12, 8, 4, 0}) out += kDigits[code >> shift & 15];
}

/// Nearly every text: nothing in it can need an escape.
bool is_ascii_text(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

/// Calls `control(out, code)` for each control character.
template <class Control>
void append_with(std::string& out, std::string_view text, Control control) {
  if (is_ascii_text(text)) {
    out += text;
    return;
  }
  while (!text.empty()) {
    const Character found = first_of(text);
    if (found.size == 0) {
      append_byte(out, static_cast<unsigned char>(text[0]));
    } else if (is_control(found.code)) {
      control(out, found.code);
    } else {
      out += text.substr(0, found.size);
    }
    text.remove_prefix(std::max<std::size_t>(found.size, 1));
  }
}

}  // namespace

void append_printable(std::string& out, std::string_view text) {
  append_with(out, text, [](std::string& to, char32_t code) {
    if (code < 0x80) return append_byte(to, static_cast<unsigned char>(code));
    append_code(to, code);
  });
}

std::string printable(std::string_view text) {
  std::string out;
  append_printable(out, text);
  return out;
}

std::string printable_json(std::string json) {
  if (is_ascii_text(json)) return json;
  std::string out;
  append_with(out, json, [](std::string& to, char32_t code) {
    if (code == '\n' || code == '\t' || code == '\r') {  // between values: in strings they are escaped already
      to += static_cast<char>(code);
    } else {
      append_code(to, code);
    }
  });
  return out;
}

PrintableBuffer::~PrintableBuffer() { PrintableBuffer::sync(); }

void PrintableBuffer::pass_on(std::string_view text) {
  std::string out;
  append_with(out, text, [](std::string& to, char32_t code) {
    if (code == '\n' || code == '\t') {
      to += static_cast<char>(code);
    } else {
      append_code(to, code);
    }
  });
  sink_ << out;
}

std::streamsize PrintableBuffer::xsputn(const char* text, std::streamsize size) {
  line_.append(text, static_cast<std::size_t>(size));
  if (const auto end = line_.rfind('\n'); end != std::string::npos) {
    pass_on(std::string_view(line_).substr(0, end + 1));
    line_.erase(0, end + 1);
  }
  return sink_ ? size : 0;
}

PrintableBuffer::int_type PrintableBuffer::overflow(int_type c) {
  if (traits_type::eq_int_type(c, traits_type::eof())) return traits_type::not_eof(c);
  const char one = traits_type::to_char_type(c);
  return xsputn(&one, 1) == 1 ? c : traits_type::eof();
}

int PrintableBuffer::sync() {
  pass_on(line_);
  line_.clear();
  sink_.flush();
  return sink_ ? 0 : -1;
}

}  // namespace gatehouse
