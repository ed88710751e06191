#include "db/lists/lines/line_parser.hpp"

#include "db/lists/lines/line_parts.hpp"
#include "db/lists/lines/words.hpp"
#include "policy/match/ascii_domain.hpp"

#include <gatehouse/base/address.hpp>

#include <algorithm>
#include <array>

namespace gatehouse::db {
namespace {

/// Does an address say "nowhere", as block lists use it?
bool is_sinkhole(std::string_view text) {
  if (text == "0.0.0.0" || text == "::" || text == "::1") return true;
  const auto address = IpAddress::parse(text);
  return address && ((address->is_v4() && text.starts_with("127.")) || *address == *IpAddress::parse("::") ||
                     *address == *IpAddress::parse("::1"));
}

/// "*.a.example" and ".a.example" mean the names below.
std::string_view without_wildcard(std::string_view name) noexcept {
  if (name.starts_with("*.")) return name.substr(2);
  return name.starts_with('.') ? name.substr(1) : name;
}

}  // namespace

std::string backquoted(std::string_view text) {
  constexpr std::size_t kMost = 80;
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out = "`";
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
  return out += text.size() > kMost ? "...`" : "`";
}

const ParsedLine& LineParser::parse(std::string_view line) {
  line_.names.clear();
  line_.rejects.clear();
  line_.is_junk = false;
  if (in_parentheses_) return rpz(line), line_;  // a record goes on, whatever its lines begin with
  if (is_blank_or_comment(line)) return line_;
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

void LineParser::reject(std::string_view text, std::string_view why) {
  line_.rejects.push_back(backquoted(text) + ' ' + std::string(why));
}

void LineParser::reject_junk(std::string_view text, std::string_view why) {
  reject(text, why);
  line_.is_junk = true;
}

void LineParser::take(std::string_view text, bool is_exception) {
  if (is_of_this_machine(text)) return;
  if (text.size() > 1 && text.front() >= '0' && text.front() <= '9' && IpAddress::parse(text))
    return reject(text, "is an address, not a name");
  Result<std::string> name = policy::ascii_domain(text);
  if (!name) {
    if (name.error() == Errc::oversize) return reject_junk(text, "is longer than a name or label may be");
    if (name.error() == Errc::unsupported) return reject_junk(text, "has characters that no name may have");
    return reject_junk(text, "is not a name: it has an empty label, or a space or control character");
  }
  if (const std::size_t bad = policy::foreign_character(*name); bad != name->npos) {
    if ((*name)[bad] == '*') return reject(text, "has a wildcard inside: only `*.` at the front can be taken");
    return reject_junk(text, "has " + backquoted(name->substr(bad, 1)) + " in it, which no host name has");
  }
  line_.names.push_back({std::move(*name), is_exception});
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
      take(name);
    else
      reject(name, "is given the address " + backquoted(address) + ", which blocks nothing: 0.0.0.0 or 127.0.0.1 does");
  }
  if (!any) reject(address, "has no name beside it");
}

void LineParser::domains(std::string_view line) {
  const std::string_view whole = line = trimmed(line);
  const std::string_view name = next_word(line);
  if (!next_word(line).empty()) return reject_junk(whole, "is more than one word: one name a line");
  take(without_wildcard(name));
}

void LineParser::adblock(std::string_view line) {
  line = trimmed(line);
  if (is_cosmetic(line)) return reject(line, "hides parts of pages, which a gateway cannot");
  std::string_view rule = line;
  const bool is_exception = rule.starts_with("@@");
  if (is_exception) rule.remove_prefix(2);
  if (rule.find_first_of(" \t<>") != rule.npos) return reject_junk(line, "is no rule of this format");
  if (!rule.starts_with("||")) return reject(line, "is a pattern for addresses of pages: only ||name^ can be taken");
  rule.remove_prefix(2);
  const std::size_t end = rule.find('^');
  if (rule.find('$') != rule.npos)
    return reject(line, "has a modifier ($), without which it would mean something else");
  if (rule.find('/') != rule.npos) return reject(line, "has a path, which a gateway does not see");
  if (end == rule.npos) return reject(line, "has no ^ after the name, so that it also means longer names");
  if (end + 1 != rule.size()) return reject(line, "goes on after ^: only ||name^ can be taken");
  take(without_wildcard(rule.substr(0, end)), is_exception);
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
  const bool is_exception = !is_address && value == "#";
  const bool blocks = value.empty() || (is_address && (value == "#" || is_sinkhole(value)));
  if (!blocks && !is_exception)
    return reject(whole, is_address ? "answers with an address of its own, which is no block"
                                    : "forwards to a server, which is no block");
  line = line.substr(1, last - 1);
  while (true) {
    const std::string_view name = before(line, '/');
    if (name.empty() || name == "#" || name == "*")
      reject(whole, "means every name");
    else
      take(without_wildcard(name), is_exception);
    if (name.size() == line.size()) return;
    line.remove_prefix(name.size() + 1);
  }
}

void LineParser::unbound(std::string_view line) {
  const std::string_view whole = line = trimmed(line);
  const bool is_data = line.starts_with("local-data:");
  if (before(line, ':').find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != line.npos ||
      line.find(':') == line.npos)
    return reject_junk(whole, "is no option of unbound");
  if (!is_data && !line.starts_with("local-zone:")) return reject(whole, "is neither local-zone: nor local-data:");
  line = trimmed(line.substr(line.find(':') + 1));
  if (is_data) return unbound_data(unquoted(line));
  const std::string_view name = unquoted(next_word(line));
  const std::string_view type = unquoted(next_word(line));
  // `redirect` answers from local-data alone, which is judged by its own line.
  constexpr std::array<std::string_view, 9> kBlocks{"always_nxdomain", "always_null", "always_refuse", "always_nodata",
                                                    "always_deny",     "refuse",      "deny",          "static",
                                                    "redirect"};
  if (name.empty() || type.empty() || !trimmed(line).empty())
    return reject(whole, "is not a name and a type, such as \"ads.example\" always_nxdomain");
  if (std::find(kBlocks.begin(), kBlocks.end(), type) == kBlocks.end())
    return reject(whole, "has a type that does not block");
  take(name);
}

void LineParser::unbound_data(std::string_view data) {
  const std::string_view whole = data;
  const std::string_view name = next_word(data);
  std::string_view word = next_word(data);
  while (is_number(word) || same_letters(word, "IN")) word = next_word(data);
  const bool blocks =
      (same_letters(word, "A") || same_letters(word, "AAAA")) && is_sinkhole(next_word(data)) && data.empty();
  if (!blocks) return reject(whole, "answers with data of its own, which is no block");
  take(name);
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
