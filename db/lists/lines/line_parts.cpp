#include "db/lists/lines/line_parts.hpp"

#include "db/lists/lines/words.hpp"

#include <gatehouse/base/address.hpp>

#include <algorithm>
#include <array>

namespace gatehouse::db {
namespace {

/// Does the mark at `line[at]` begin a comment?
bool begins_comment(std::string_view line, std::size_t at, ListFormat format) noexcept {
  const bool stands_apart = at == 0 || is_space(line[at - 1]);
  switch (line[at]) {
    case '#':
      return stands_apart || format == ListFormat::hosts || format == ListFormat::domains ||
             format == ListFormat::unbound;
    case ';': return stands_apart || format == ListFormat::rpz;
    default: return false;
  }
}

}  // namespace

bool is_heading(std::string_view line) noexcept {
  line = trimmed(line);
  if (line == "server:") return true;
  const bool bracketed = line.size() > 2 && line.front() == '[' && line.back() == ']';
  return bracketed && line[1] != '$' && line.find_first_of("\",'{}") == line.npos &&
         line.find_first_of("[]", 1) == line.size() - 1;
}

bool is_cosmetic(std::string_view line) noexcept {
  for (const std::string_view mark : {"##", "#@#", "#?#", "#$#", "#@?#", "#@$#", "#%#"})
    if (line.find(mark) != line.npos) return true;
  return false;
}

bool is_blank_or_comment(std::string_view line) noexcept {
  line = trimmed(line);
  return line.empty() || line.front() == '!' || line.front() == ';' || line.starts_with("//") || is_heading(line) ||
         (line.front() == '#' && !is_cosmetic(line));
}

std::string_view without_comment(std::string_view line, ListFormat format) noexcept {
  if (format == ListFormat::adblock) return trimmed_end(line);
  const bool has_quotes = format == ListFormat::rpz || format == ListFormat::unbound;
  const std::string_view marks = has_quotes ? R"(#;"'\)" : "#;";
  char open = 0;  // the quotation mark that the text stands in
  for (std::size_t at = line.find_first_of(marks); at < line.size(); at = line.find_first_of(marks, at + 1)) {
    const char c = line[at];
    if (c == '\\')
      ++at;  // what follows is text
    else if (open != 0)
      open = c == open ? '\0' : open;
    else if (c == '"' || c == '\'')
      open = c == '"' || format == ListFormat::unbound ? c : '\0';
    else if (begins_comment(line, at, format))
      return trimmed_end(line.substr(0, at));
  }
  return trimmed_end(line);
}

bool is_of_this_machine(std::string_view name) noexcept {
  // Of the hosts files of Debian, Fedora and macOS, and of published lists.
  constexpr std::array<std::string_view, 17> kNames{"localhost",       "localhost.localdomain",
                                                    "localhost4",      "localhost4.localdomain4",
                                                    "localhost6",      "localhost6.localdomain6",
                                                    "local",           "broadcasthost",
                                                    "0.0.0.0",         "ip6-localhost",
                                                    "ip6-localnet",    "ip6-loopback",
                                                    "ip6-mcastprefix", "ip6-allnodes",
                                                    "ip6-allrouters",  "ip6-allhosts",
                                                    "localdomain"};
  if (name.ends_with('.')) name.remove_suffix(1);
  return std::any_of(kNames.begin(), kNames.end(), [name](std::string_view own) { return same_letters(own, name); });
}

bool is_sinkhole(std::string_view text) {
  if (text == "0.0.0.0" || text == "::" || text == "::1") return true;
  const auto address = IpAddress::parse(text);
  return address && ((address->is_v4() && text.starts_with("127.")) || *address == *IpAddress::parse("::") ||
                     *address == *IpAddress::parse("::1"));
}

}  // namespace gatehouse::db
