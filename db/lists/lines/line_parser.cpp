#include "db/lists/lines/line_parser.hpp"

#include "db/lists/lines/line_parts.hpp"
#include "db/lists/lines/words.hpp"
#include "db/lists/unbound_zones.hpp"
#include "policy/match/ascii_domain.hpp"

#include <gatehouse/base/address.hpp>

#include <algorithm>
#include <array>

namespace gatehouse::db {
namespace {

using policy::ListEntry;
using policy::ListMark;

/// An entry for those below a name.
constexpr ListEntry below(ListEntry entry) noexcept { return {ListMark::none, entry.below}; }

/// "*.a.example" and ".a.example" mean the names below.
std::string_view without_wildcard(std::string_view name) noexcept {
  if (name.starts_with("*.")) return name.substr(2);
  return name.starts_with('.') ? name.substr(1) : name;
}

/// What a zone does where no local-data says otherwise (unbound.conf(5)); of `none` it says nothing about names.
struct ZoneType {
  std::string_view name;
  ListEntry entry;
};
constexpr std::array kZoneTypes{ZoneType{"static", unbound_words::kBlocks},
                                ZoneType{"deny", unbound_words::kBlocks},
                                ZoneType{"refuse", unbound_words::kBlocks},
                                ZoneType{"inform_deny", unbound_words::kBlocks},
                                ZoneType{"redirect", unbound_words::kRedirects},
                                ZoneType{"inform_redirect", unbound_words::kRedirects},
                                ZoneType{"always_nxdomain", unbound_words::kAlwaysBlocks},
                                ZoneType{"always_nodata", unbound_words::kAlwaysBlocks},
                                ZoneType{"always_null", unbound_words::kBlocks},
                                ZoneType{"always_refuse", unbound_words::kAlwaysBlocks},
                                ZoneType{"always_deny", unbound_words::kAlwaysBlocks},
                                ZoneType{"transparent", unbound_words::kPasses},
                                ZoneType{"typetransparent", unbound_words::kPasses},
                                ZoneType{"inform", unbound_words::kPasses},
                                ZoneType{"always_transparent", unbound_words::kAlwaysPasses},
                                ZoneType{"nodefault", ListEntry::none},
                                ZoneType{"noview", ListEntry::none}};

/// The end of a sentence for what cannot be a name; `is_junk` is set where no list means such a thing.
std::string why_no_name(std::string_view text, bool is_address, const Result<std::string>& name, bool& is_junk) {
  if (text == ".") return "means every name";
  if (is_address) return "is an address, not a name";
  const std::size_t foreign = name ? policy::foreign_character(*name) : std::string::npos;
  if (foreign != std::string::npos && (*name)[foreign] == '*')
    return "has a wildcard inside: only `*.` at the front can be taken";
  is_junk = true;
  if (!name && name.error() == Errc::oversize) return "is longer than a name or label may be";
  if (!name && name.error() == Errc::unsupported) return "has characters that no name may have";
  if (!name) return "is not a name: it has an empty label, or a space or control character";
  return "has " + backquoted(name->substr(foreign, 1)) + " in it, which no host name has";
}

}  // namespace

std::string printable_part(std::string_view text) {
  constexpr std::size_t kMost = 80;
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const char c : text.substr(0, kMost)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else {
      out += "\\x";
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    }
  }
  return out += text.size() > kMost ? "..." : "";
}

std::string backquoted(std::string_view text) { return '`' + printable_part(text) + '`'; }

const ParsedLine& LineParser::parse(std::string_view line) {
  line_.names.clear();
  line_.rejects.clear();
  line_.is_junk = false;
  // Whatever the lines of a record begin with that goes on.
  if (!record_.is_open() && is_blank_or_comment(line)) return line_;
  line = without_comment(line, format_);
  switch (format_) {
    case ListFormat::hosts: hosts(line); break;
    case ListFormat::domains: domains(line); break;
    case ListFormat::adblock: adblock(line); break;
    case ListFormat::rpz: rpz(line); break;
    case ListFormat::dnsmasq: dnsmasq(line); break;
    case ListFormat::unbound: unbound(line); break;
  }
  return line_;
}

void LineParser::reject(std::string_view text, std::string_view why, bool is_exception) {
  line_.rejects.push_back({printable_part(text), backquoted(text) + ' ' + std::string(why), is_exception});
}

void LineParser::reject_junk(std::string_view text, std::string_view why) {
  reject(text, why);
  line_.is_junk = true;
}

void LineParser::take(std::string_view text, ListEntry entry) {
  if (is_of_this_machine(text)) return;
  Result<std::string> name = policy::ascii_domain(text);
  const bool is_address = text.size() > 1 && text.front() >= '0' && text.front() <= '9' && IpAddress::parse(text);
  if (name && !is_address && policy::foreign_character(*name) == name->npos)
    line_.names.push_back({std::move(*name), entry});
  else
    reject(text, why_no_name(text, is_address, name, line_.is_junk), is_exception(entry));
}

void LineParser::hosts(std::string_view line) {
  const std::string_view address = next_word(line);
  if (address.empty()) return;
  const bool sinkhole = is_sinkhole(address);
  if (!sinkhole && !IpAddress::parse(before(address, '%')))
    return reject_junk(address, "is not an address: a line is an address and names, such as 0.0.0.0 ads.example");
  bool any = false;
  for (std::string_view name = next_word(line); !name.empty(); name = next_word(line)) {
    any = true;
    if (is_of_this_machine(name)) continue;
    if (sinkhole)
      take(name, ListEntry::listed);
    else
      reject(name, "is given the address " + backquoted(address) + ", which blocks nothing: 0.0.0.0 or 127.0.0.1 does");
  }
  if (!any) reject(address, "has no name beside it");
}

void LineParser::domains(std::string_view line) {
  const std::string_view whole = line = trimmed(line);
  const std::string_view name = next_word(line);
  if (!next_word(line).empty()) return reject_junk(whole, "is more than one word: one name a line");
  const std::string_view rest = without_wildcard(name);
  take(rest, rest.size() < name.size() ? ListEntry::suffix : ListEntry::listed);
}

void LineParser::dnsmasq(std::string_view line) {
  const std::string_view whole = line = trimmed(line);
  const std::size_t equals = line.find('=');
  const std::string_view key = trimmed(line.substr(0, equals));
  const bool is_address = key == "address";
  if (equals == line.npos && line.find(' ') != line.npos) return reject_junk(whole, "is no option of dnsmasq");
  if (equals == line.npos || (!is_address && key != "server" && key != "local"))
    return reject(whole, "is not address=, server= or local=");
  line = trimmed(line.substr(equals + 1));
  const std::size_t last = line.rfind('/');
  if (!line.starts_with('/') || last == 0) return reject(whole, "names nothing between slashes");
  const std::string_view value = trimmed(line.substr(last + 1));
  // For one name an address, of whatever kind, counts before a server, and that before neither.
  constexpr ListEntry kNowhere{ListMark::important, ListMark::important};
  constexpr ListEntry kSomewhere{ListMark::important_exception, ListMark::important_exception};
  ListEntry entry = is_address ? kNowhere : ListEntry::exception;
  if (value.empty())
    entry = ListEntry::suffix;
  else if (is_address && value != "#" && !IpAddress::parse(value))
    return reject(whole, "answers with what is no address");
  else if (is_address && value != "#" && !is_sinkhole(value))
    entry = kSomewhere;
  line = line.substr(1, last - 1);
  while (true) {
    const std::string_view name = before(line, '/');
    if (name.empty() || name == "#" || name == "*")
      reject(whole, "means every name");
    else
      take(without_wildcard(name), name.starts_with('*') ? below(entry) : entry);
    if (name.size() == line.size()) return;
    line.remove_prefix(name.size() + 1);
  }
}

void LineParser::unbound(std::string_view line) {
  const std::string_view whole = line = trimmed(line);
  const std::string_view option = before(line, ':');
  if (option.size() == line.size() || option.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != option.npos)
    return reject_junk(whole, "is no option of unbound");
  if (option != "local-data" && option != "local-zone") return reject(whole, "is neither local-zone: nor local-data:");
  line = trimmed(line.substr(option.size() + 1));
  if (option == "local-data") return unbound_data(unquoted(line));
  const std::string_view name = unquoted(next_word(line));
  const std::string_view type = unquoted(next_word(line));
  if (name.empty() || type.empty() || !trimmed(line).empty())
    return reject(whole, "is not a name and a type, such as \"ads.example\" always_nxdomain");
  for (const ZoneType& known : kZoneTypes)
    if (known.name == type) return known.entry == ListEntry::none ? void() : take(name, known.entry);
  reject(whole, "has a type that is not known");
}

void LineParser::unbound_data(std::string_view data) {
  const std::string_view whole = data;
  const std::string_view name = next_word(data);
  std::string_view word = next_word(data);
  while (is_number(word) || same_letters(word, "IN")) word = next_word(data);
  const bool is_address = same_letters(word, "A") || same_letters(word, "AAAA");
  const std::string_view address = next_word(data);
  if (!is_address || !IpAddress::parse(address) || !data.empty())
    return reject(whole, "answers with data that is no address");
  take(name, is_sinkhole(address) ? unbound_words::kSinkhole : unbound_words::kAddress);
}

DetectedFormat detect_format(std::span<const std::string> lines) {
  struct Score {
    std::size_t clean = 0, names = 0;
  };
  std::array<Score, kListFormats.size()> scores;
  std::size_t said = 0;
  for (const std::string& line : lines) said += is_blank_or_comment(line) ? 0 : 1;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    LineParser parser(kListFormats[i]);
    for (const std::string& line : lines) {
      if (is_blank_or_comment(line)) continue;
      const ParsedLine& parsed = parser.parse(line);
      // Many lists for browsers are mostly of what no gateway can do.
      const bool known = kListFormats[i] == ListFormat::adblock &&
                         (is_cosmetic(line) || line.starts_with("||") || line.starts_with("@@"));
      scores[i].clean += parsed.rejects.empty() || known ? 1 : 0;
      scores[i].names += parsed.names.size() + (known ? 1 : 0);
    }
  }
  std::size_t best = 0;
  bool tie = false;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (scores[i].names == 0) scores[i].clean = 0;
    if (i == 0) continue;
    tie = scores[i].clean == scores[best].clean || (tie && scores[i].clean < scores[best].clean);
    if (scores[i].clean > scores[best].clean) best = i;
  }
  if (said == 0) return {{}, "the list has no lines but comments: is it the right file?"};
  if (tie || scores[best].clean * 2 < said)
    return {{},
            "the format cannot be told from the first lines: give --format hosts, domains, adblock, rpz, dnsmasq "
            "or unbound, if it is one of these"};
  return {kListFormats[best], {}};
}

}  // namespace gatehouse::db
