// Response policy zones: master file lines (RFC 1035, 5.1) whose owner names, cut off at the zone, are what is judged.
#include "db/lists/lines/line_parser.hpp"
#include "db/lists/lines/line_parts.hpp"
#include "db/lists/lines/words.hpp"

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/domain.hpp>

#include <algorithm>
#include <array>

namespace gatehouse::db {
namespace {

using policy::ListEntry;
using policy::ListMark;

/// Without the final dot, in lower case: what zone names are compared in.
std::string zone_name(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  return out;
}

/// Takes what stands before the record's type off `data`: a time to live and a class, in either order.
std::string_view take_type(std::string_view& data) {
  std::string_view word = next_word(data);
  while (same_letters(word, "IN") || (!word.empty() && word.front() >= '0' && word.front() <= '9'))
    word = next_word(data);
  return word;
}

/// Does any zone have records of that type?
bool is_record_type(std::string_view text) noexcept {
  constexpr std::array<std::string_view, 18> kTypes{"CNAME", "DNAME",  "TXT",   "MX",   "PTR",   "SRV",
                                                    "CAA",   "SPF",    "NAPTR", "SVCB", "HTTPS", "DS",
                                                    "LOC",   "DNSKEY", "RRSIG", "NSEC", "TLSA",  "HINFO"};
  return std::any_of(kTypes.begin(), kTypes.end(), [text](std::string_view type) { return same_letters(type, text); });
}

/// What a trigger's last label says it is about, if not the name asked for.
std::string_view other_trigger(std::string_view name) noexcept {
  const std::string_view last = name.substr(name.rfind('.') + 1);
  for (const std::string_view kind : {"rpz-ip", "rpz-client-ip", "rpz-nsip", "rpz-nsdname"})
    if (same_letters(last, kind)) return kind;
  return {};
}

}  // namespace

void LineParser::rpz(std::string_view line) {
  const bool is_plain = std::none_of(line.begin(), line.end(), [](char c) { return c == '(' || c == ')' || c == '"'; });
  if (is_plain && !record_.is_open()) return rpz_whole(line);  // as nearly every line is
  const ZoneRecord::State state = record_.add(line);
  if (state == ZoneRecord::State::open) return;
  if (state == ZoneRecord::State::whole) return rpz_whole(record_.text());
  if (state == ZoneRecord::State::too_long)
    rpz_lost("has a parenthesis that nothing closes");
  else if (state == ZoneRecord::State::open_quote)
    rpz_lost("has a quotation mark that its line does not close");
  else
    rpz_lost("has a parenthesis that closes nothing");
}

/// Whatever further lines of a record were about, an exception may be among it.
void LineParser::rpz_lost(std::string_view why) {
  const std::size_t lines = record_.lines();
  const std::string extent = lines > 1 ? ": " + std::to_string(lines) + " lines are left out" : "";
  const bool is_exception = lines > 1 || zone_name(record_.text()).find("rpz-passthru") != std::string::npos;
  reject(trimmed(record_.text()), std::string(why) + extent, is_exception);
}

void LineParser::rpz_whole(std::string_view line) {
  const bool continues = !line.empty() && is_space(line.front());
  line = trimmed(line);
  if (line.empty()) return;
  const std::string_view whole = line;
  if (line.front() == '$') {
    const std::string_view directive = next_word(line);
    if (same_letters(directive, "$ORIGIN")) return set_rpz_origin(next_word(line));
    if (!same_letters(directive, "$TTL")) reject(whole, "is not $ORIGIN or $TTL: write the zone out in full");
    return;
  }
  if (!continues) owner_ = next_word(line);
  const std::string_view type = take_type(line);
  if (type.empty()) return reject_junk(whole, "is no record: a name, CNAME and a dot");
  if (owner_.empty()) return reject(whole, "has no name before it");
  rpz_record(owner_, type, line);
}

void LineParser::rpz_record(std::string_view owner, std::string_view type, std::string_view data) {
  if (same_letters(type, "NS")) return;
  if (same_letters(type, "SOA")) {
    if (owner == "@" && origin_)
      zone_ = origin_;
    else if (owner.ends_with('.'))
      zone_ = zone_name(owner);
    else if (origin_)
      zone_ = zone_name(owner) + (origin_->empty() ? "" : "." + *origin_);
    if (!origin_) origin_ = zone_;
    return;
  }
  const std::string_view target = next_word(data);
  if (same_letters(type, "A") || same_letters(type, "AAAA")) {  // answers with data of its own
    if (!IpAddress::parse(target))
      return reject_junk(owner, "is given " + backquoted(target) + ", which is no address");
    return take_rpz_name(owner, is_sinkhole(target) ? ListMark::listed : ListMark::exception);
  }
  if (!is_record_type(type)) return reject_junk(owner, "is followed by " + backquoted(type) + ", which is no record");
  if (!same_letters(type, "CNAME"))
    return reject(owner, "has a record of type " + backquoted(type) + ": only CNAME, A and AAAA can be taken");
  if (target == "." || target == "*." || same_letters(target, "rpz-drop."))
    return take_rpz_name(owner, ListMark::listed);
  if (same_letters(target, "rpz-passthru.")) return take_rpz_name(owner, ListMark::exception);
  reject(owner, "is sent to " + backquoted(target) + ", which is no block: `.`, `*.` and rpz-passthru. can be taken",
         same_letters(target, "rpz-tcp-only."));
}

void LineParser::set_rpz_origin(std::string_view text) {
  if (text.empty()) return reject("$ORIGIN", "has no name beside it");
  if (text.ends_with('.')) {
    origin_ = zone_name(text);
    if (!zone_ && !has_nameless_zone_ && !origin_->empty()) zone_ = origin_;
    return;
  }
  if (!origin_) return reject(text, "is relative, and no $ORIGIN before it says to what");
  if (text.size() + origin_->size() >= kLongestDomain) return reject(text, "makes a zone whose name is too long");
  origin_ = zone_name(text) + (origin_->empty() ? "" : "." + *origin_);
}

void LineParser::take_rpz_name(std::string_view owner, ListMark mark) {
  std::string name(owner);
  const bool is_absolute = owner.ends_with('.');
  if (owner == "@") name.clear();
  has_nameless_zone_ = has_nameless_zone_ || (!is_absolute && !origin_);
  if (is_absolute || origin_) {
    if (is_absolute)
      name = zone_name(owner);
    else if (!origin_->empty())
      name = zone_name(owner == "@" ? *origin_ : std::string(owner) + "." + *origin_);
    if (!zone_)
      return reject(owner, "is not relative, and no SOA or $ORIGIN before the first name says where the zone begins",
                    is_exception(mark));
    if (!is_below(name, *zone_))
      return reject(owner, "is outside of the zone " + backquoted(*zone_), is_exception(mark));
    if (!zone_->empty()) name.resize(name.size() - std::min(name.size(), zone_->size() + 1));
  }
  if (const std::string_view kind = other_trigger(name); !kind.empty())
    return reject(owner, "is about something else (" + std::string(kind) + ") than the name that is asked for",
                  is_exception(mark));
  std::string_view trigger = name;
  const bool is_wildcard = trigger.starts_with("*.");
  if (is_wildcard) trigger.remove_prefix(2);
  if (trigger.empty() || trigger == "*") return reject(owner, "means every name", is_exception(mark));
  take(trigger, is_wildcard ? ListEntry{ListMark::none, mark} : ListEntry{mark, ListMark::none});
}

}  // namespace gatehouse::db
