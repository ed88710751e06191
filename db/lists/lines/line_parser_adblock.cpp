// Rules of Adblock's format, as filters of DNS servers use it: a name between anchors, and few modifiers.
#include "db/lists/lines/line_parser.hpp"
#include "db/lists/lines/line_parts.hpp"
#include "db/lists/lines/words.hpp"

namespace gatehouse::db {
namespace {

using policy::ListEntry;
using policy::ListMark;

/// What stands behind a rule's `$`.
struct Modifiers {
  bool is_important = false;
  bool is_badfilter = false;                // the rule is to undo another one
  std::optional<std::string_view> strange;  // the first one that is not obeyed
};

/// @param text  from the first `$` on
Modifiers read_modifiers(std::string_view text) {
  Modifiers out;
  while (!text.empty()) {
    text.remove_prefix(1);  // `$` or `,`
    const std::string_view one = before(text, ',');
    text.remove_prefix(one.size());
    out.is_important = out.is_important || one == "important";
    out.is_badfilter = out.is_badfilter || one == "badfilter";
    if (one != "important" && !out.strange) out.strange = one;
  }
  return out;
}

ListMark importantly(ListMark mark) noexcept {
  if (mark == ListMark::none) return mark;
  return is_exception(mark) ? ListMark::important_exception : ListMark::important;
}

}  // namespace

void LineParser::adblock(std::string_view line) {
  line = trimmed(line);
  if (is_cosmetic(line)) return reject(line, "hides parts of pages, which a gateway cannot");
  if (line.find_first_of(" \t<>") != line.npos) return reject_junk(line, "is no rule of this format");
  const bool is_exception = line.starts_with("@@");
  const std::string_view rule = line.substr(is_exception ? 2 : 0);
  const std::string_view pattern = before(rule, '$');
  const Modifiers modifiers = read_modifiers(rule.substr(pattern.size()));
  if (!modifiers.strange) return adblock_rule(pattern, is_exception, modifiers.is_important);
  const std::string name = "$" + std::string(*modifiers.strange);
  reject(line, "has the modifier " + backquoted(name) + ", without which it would mean something else",
         is_exception || modifiers.is_badfilter);
}

/// For names, `^` and `|` both say where one ends.
void LineParser::adblock_rule(std::string_view rule, bool is_exception, bool is_important) {
  const std::string_view whole = rule;
  const auto refuse = [&](std::string_view why) { reject(whole, why, is_exception); };
  if (!rule.starts_with('|'))
    return refuse("is a pattern for addresses of pages: only ||name^ and |name^ can be taken");
  const bool is_anchored = !rule.starts_with("||");  // so that nothing may stand before the name
  rule.remove_prefix(is_anchored ? 1 : 2);
  if (rule.find_first_of("/:") != rule.npos) return refuse("has a path or scheme, which a gateway does not see");
  std::string_view name = rule.substr(0, rule.find_first_of("^|"));
  rule.remove_prefix(name.size());
  if (rule.empty()) return refuse("has no ^ after the name, so that it also means longer names");
  if (rule != "^" && rule != "^|" && rule != "|")
    return refuse("goes on after ^: only ||name^ and |name^ can be taken");
  ListEntry entry = is_exception ? ListEntry::exception : ListEntry::suffix;
  if (is_important) entry = {importantly(entry.at), importantly(entry.below)};
  const bool is_wildcard = name.starts_with("*.");
  if (is_wildcard) name.remove_prefix(2);
  if (is_wildcard)
    entry.at = ListMark::none;
  else if (is_anchored)
    entry.below = ListMark::none;
  take(name, entry);
}

}  // namespace gatehouse::db
