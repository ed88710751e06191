// One line of a published block list -> the names that it lists. Pure: no files, no clock. One parser a file and
// thread.
#pragma once

#include "db/lists/list_format.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::db {

/// What one line says. Blank lines, comments and what only carries the list say nothing.
struct ParsedLine {
  struct Name {
    std::string text;           ///< canonical: lower-case, A-labels
    bool is_exception = false;  ///< the list leaves this name, and what is below it, alone
    bool operator==(const Name&) const = default;
  };
  std::vector<Name> names;
  std::vector<std::string> rejects;  ///< a sentence for each part that is not taken; printable ASCII
  bool is_junk = false;              ///< no line of a list in this format; its reject says so
};

/// Comments, headings and names of the machine itself are skipped alike in all formats (line_parts.hpp). What is taken,
/// by format; whatever else a line holds is rejected, never guessed at:
///   hosts    `0.0.0.0 a.example b.example # c`, also 127.*, :: and ::1
///   domains  `a.example`, `*.a.example`, `.a.example`
///   adblock  `||a.example^`; exception `@@||a.example^`; no modifiers, no paths, no wildcards, no cosmetic rules
///   rpz      CNAME to `.`, `*.` or rpz-drop.; exception rpz-passthru.; `*.a` as `a`; names relative to the zone
///   dnsmasq  `address=/a/b/`, with an address only 0.0.0.0, :: or #; `server=/a/`, `local=/a/`; exception
///   `server=/a/#` unbound  `local-zone: "a" T` with a T that answers nothing true; `local-data: "a A 0.0.0.0"`
class LineParser {
 public:
  explicit LineParser(ListFormat format) noexcept : format_(format) {}

  /// `line` without its end; a carriage return at its end is ignored. The result is valid until the next call.
  const ParsedLine& parse(std::string_view line);

  [[nodiscard]] ListFormat format() const noexcept { return format_; }

 private:
  void hosts(std::string_view line);
  void domains(std::string_view line);
  void adblock(std::string_view line);
  void rpz(std::string_view line);
  void rpz_record(std::string_view owner, std::string_view type, std::string_view data);
  void set_rpz_origin(std::string_view text);
  void take_rpz_name(std::string_view owner, bool is_exception);
  void dnsmasq(std::string_view line);
  void unbound(std::string_view line);
  void unbound_data(std::string_view data);
  void take(std::string_view name, bool is_exception = false);
  void reject(std::string_view text, std::string_view why);
  void reject_junk(std::string_view text, std::string_view why);

  ListFormat format_;
  ParsedLine line_;
  bool in_parentheses_ = false;        // rpz: a record goes on on the next line
  std::string owner_;                  // rpz: of the last record
  std::optional<std::string> origin_;  // rpz: what relative names are below, no final dot; none = the zone
  std::optional<std::string> zone_;    // rpz: what is cut off absolute names
};

/// The format of a list by some of its lines, or why it cannot be told.
struct DetectedFormat {
  std::optional<ListFormat> format;
  std::string why_not;
};
[[nodiscard]] DetectedFormat detect_format(std::span<const std::string> lines);

/// `text` in backquotes for a sentence: at most 80 bytes, with \xNN for every byte that is not printable ASCII.
[[nodiscard]] std::string backquoted(std::string_view text);

}  // namespace gatehouse::db
