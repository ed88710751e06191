// One line of a published block list -> the names that it lists. Pure: no files, no clock. One parser a file and
// thread.
#pragma once

#include "db/lists/lines/zone_record.hpp"
#include "db/lists/list_format.hpp"
#include "policy/lists/list_entry.hpp"

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
    std::string text;         ///< canonical: lower-case, A-labels
    policy::ListEntry entry;  ///< of unbound lists as in unbound_zones.hpp, until all names are known
    bool operator==(const Name&) const = default;
  };
  struct Reject {
    std::string name;           ///< what is not taken, a name where it is one; as by printable_part()
    std::string why;            ///< a sentence; printable ASCII
    bool is_exception = false;  ///< without it more is blocked than the list says
  };
  std::vector<Name> names;
  std::vector<Reject> rejects;  ///< one for each part that is not taken
  bool is_junk = false;         ///< no line of a list in this format; its reject says so
};

/// Comments, headings and names of the machine itself are skipped alike in all formats (line_parts.hpp). What is taken,
/// by format; whatever else a line holds is rejected, never guessed at:
///   hosts    `0.0.0.0 a.example b.example # c`, also 127.*, :: and ::1; whether names below are meant is left open
///   domains  `a.example`, which leaves that open, too; `*.a.example` and `.a.example` with all below
///   adblock  `||a.example^` with all below, `|a.example^` alone, `||*.a.example^` those below; `|` may end it;
///            exception `@@`; the modifier `$important`; no others, no paths, no wildcards, no cosmetic rules
///   rpz      `a CNAME .` alone, `*.a CNAME .` those below; also to `*.` or rpz-drop.; exception rpz-passthru.; A and
///            AAAA with an address that says nowhere, or else an exception; names relative to the zone
///   dnsmasq  `address=/a/b/`, with all below; with an address only 0.0.0.0, 127.*, :: or #, or else an exception;
///            `server=/a/`, `local=/a/`; exception `server=/a/#`, or with a server; `/*.a/` those below
///   unbound  `local-zone: "a" T` with all below: blocked where T answers nothing true, an exception where T is
///            transparent or the like; `local-data: "a A 0.0.0.0"` alone, with an address an exception
class LineParser {
 public:
  explicit LineParser(ListFormat format) noexcept : format_(format) {}

  /// `line` without its end; a carriage return at its end is ignored. The result is valid until the next call.
  const ParsedLine& parse(std::string_view line);

  [[nodiscard]] ListFormat format() const noexcept { return format_; }
  /// Of how many lines nothing is known yet, as they stand in parentheses that are still open; at the end of a list
  /// they are lost.
  [[nodiscard]] std::size_t open_lines() const noexcept { return record_.is_open() ? record_.lines() : 0; }

 private:
  void hosts(std::string_view line);
  void domains(std::string_view line);
  void adblock(std::string_view line);
  void adblock_rule(std::string_view rule, bool is_exception, bool is_important);
  void rpz(std::string_view line);
  void rpz_whole(std::string_view line);
  void rpz_lost(std::string_view why);
  void rpz_record(std::string_view owner, std::string_view type, std::string_view data);
  void set_rpz_origin(std::string_view text);
  void take_rpz_name(std::string_view owner, policy::ListMark mark);
  void dnsmasq(std::string_view line);
  void unbound(std::string_view line);
  void unbound_data(std::string_view data);
  void take(std::string_view name, policy::ListEntry entry);
  void reject(std::string_view text, std::string_view why, bool is_exception = false);
  void reject_junk(std::string_view text, std::string_view why);

  ListFormat format_;
  ParsedLine line_;
  ZoneRecord record_;                  // rpz: open where the next line belongs to it
  std::string owner_;                  // rpz: of the last record
  std::optional<std::string> origin_;  // rpz: what relative names are below, no final dot; none = the zone
  std::optional<std::string> zone_;    // rpz: what is cut off absolute names
  bool has_nameless_zone_ = false;     // rpz: names were relative to a zone of which no line had said the name
};

/// The format of a list by some of its lines, or why it cannot be told.
struct DetectedFormat {
  std::optional<ListFormat> format;
  std::string why_not;
};
[[nodiscard]] DetectedFormat detect_format(std::span<const std::string> lines);

/// The first 80 bytes of `text`, with \xNN for every one that is not printable ASCII, and `...` for the others.
[[nodiscard]] std::string printable_part(std::string_view text);
/// The same in backquotes, for a sentence.
[[nodiscard]] std::string backquoted(std::string_view text);

}  // namespace gatehouse::db
