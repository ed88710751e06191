#include "db/lists/lines/line_parser.hpp"

#include <gmock/gmock.h>

namespace gatehouse::db {
namespace {

using policy::ListEntry;
using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

/// What a list says of one half of a name: "+" listed, "-" left alone, "?" left open, "!" and "~" with importance.
char sign(policy::ListMark mark) { return "_?+-!~AP"[static_cast<std::size_t>(mark)]; }

/// A name with its entry, in short for the most usual ones: "a" as the format leaves open, "a+" alone, "a*" with all
/// below, "-a" an exception with all below; else "a(at below)". Then "! sentence" for each reject, "!! sentence" for
/// that of an exception.
std::string told(const ParsedLine& parsed) {
  std::string out;
  const auto add = [&](const std::string& text) { out += (out.empty() ? "" : " ") + text; };
  for (const auto& [name, entry] : parsed.names) {
    if (entry == ListEntry::listed)
      add(name);
    else if (entry == ListEntry::exact)
      add(name + "+");
    else if (entry == ListEntry::suffix)
      add(name + "*");
    else if (entry == ListEntry::exception)
      add("-" + name);
    else
      add(name + "(" + sign(entry.at) + sign(entry.below) + ")");
  }
  for (const auto& [text, why, is_exception] : parsed.rejects) add((is_exception ? "!! " : "! ") + why);
  return out;
}

struct Case {
  std::string line, expected;  ///< a reject only by its beginning
};

void expect(ListFormat format, const std::vector<Case>& cases) {
  LineParser parser(format);
  for (const Case& one : cases) {
    const std::string got = told(parser.parse(one.line));
    const bool is_reject = one.expected.find('!') != one.expected.npos;
    EXPECT_EQ(is_reject ? got.substr(0, one.expected.size()) : got, one.expected) << "line: " << one.line << "\n"
                                                                                  << got;
  }
}

TEST(LineParser, Hosts) {
  expect(ListFormat::hosts,
         {{"", ""},
          {"# comment", ""},
          {"0.0.0.0 ads.example", "ads.example"},
          {"127.0.0.1\tA.example  b.example # why", "a.example b.example"},
          {"  0.0.0.0 ads.example\r", "ads.example"},
          {":: v6.example", "v6.example"},
          {"::1 v6.example.", "v6.example"},
          {"0:0:0:0:0:0:0:0 v6.example", "v6.example"},
          {"127.0.0.1 localhost localhost.localdomain local", ""},
          {"255.255.255.255 broadcasthost", ""},
          {"fe80::1%lo0 localhost", ""},
          {"ff02::1 ip6-allnodes", ""},
          {"0.0.0.0 ip6-ads.example", "ip6-ads.example"},
          {"0.0.0.0 0.0.0.0", ""},
          {"0.0.0.0 B\u00fccher.example", "xn--bcher-kva.example"},
          {"192.168.1.1 nas.example", "! `nas.example` is given the address `192.168.1.1`, which blocks nothing"},
          {"0.0.0.0", "! `0.0.0.0` has no name beside it"},
          {"ads.example", "! `ads.example` is not an address"},
          {"0.0.0.0 good.example bad/path.example", "good.example ! `bad/path.example` has `/` in it"},
          {"0.0.0.0 1.2.3.4", "! `1.2.3.4` is an address, not a name"},
          {"0.0.0.0 a..b", "! `a..b` is not a name: it has an empty label"}});
}

TEST(LineParser, Domains) {
  expect(ListFormat::domains,
         {{"ads.example", "ads.example"},
          {"ads.example # c", "ads.example"},
          {"*.ads.example", "ads.example*"},
          {".ads.example.", "ads.example*"},
          {"! comment", ""},
          {"; comment", ""},
          {"#", ""},
          {"\t", ""},
          {"_x.ads.example", "_x.ads.example"},
          {"a.*.example", "! `a.*.example` has a wildcard inside"},
          {"*", "! `*` has a wildcard inside"},
          {"two words", "! `two words` is more than one word"},
          {"http://ads.example/", "! `http://ads.example/` has `:` in it"},
          {"192.0.2.1", "! `192.0.2.1` is an address"},
          {"2001:db8::1", "! `2001:db8::1` is an address"},
          {std::string("a\0b.example", 11), "! `a\\x00b.example` is not a name"},
          {"\xff\xfe", "! `\\xff\\xfe` has characters that no name may have"},
          {"a\x1b[31m", "! `a\\x1b[31m` is not a name"},
          {std::string(300, 'a'), "! `" + std::string(80, 'a') + "...` is longer than a name or label may be"}});
}

TEST(LineParser, Adblock) {
  expect(
      ListFormat::adblock,
      {{"||ads.example^", "ads.example*"},
       {"||ads.example^|", "ads.example*"},
       {"||ads.example|", "ads.example*"},
       {"|ads.example^", "ads.example+"},
       {"|ads.example^|", "ads.example+"},
       {"|ads.example|", "ads.example+"},
       {"||*.ads.example^", "ads.example(_+)"},
       {"@@||good.ads.example^", "-good.ads.example"},
       {"@@||good.ads.example^|", "-good.ads.example"},
       {"@@|good.ads.example^|", "good.ads.example(-_)"},
       {"@@|good.ads.example^", "good.ads.example(-_)"},
       {"||ads.example^$important", "ads.example(!!)"},
       {"|ads.example^$important", "ads.example(!_)"},
       {"@@||ads.example^$important", "ads.example(~~)"},
       {"||ads.example^$third-party", "! `||ads.example^$third-party` has the modifier `$third-party`"},
       {"||ads.example^$important,dnstype=A", "! `||ads.example^$important,dnstype=A` has the modifier `$dnstype=A`"},
       {"||ads.example^$denyallow=x.ads.example", "! `||ads.example^$denyallow=x.ads.example` has the modifier"},
       {"||ads.example^$client=kid", "! `||ads.example^$client=kid` has the modifier"},
       {"||ads.example^$ctag=device_pc", "! `||ads.example^$ctag=device_pc` has the modifier"},
       {"||ads.example^$dnsrewrite=192.0.2.1", "! `||ads.example^$dnsrewrite=192.0.2.1` has the modifier"},
       {"||ads.example^$", "! `||ads.example^$` has the modifier `$`"},
       {"@@||ads.example^$document", "!! `@@||ads.example^$document` has the modifier"},
       {"||ads.example^$badfilter", "!! `||ads.example^$badfilter` has the modifier `$badfilter`"},
       {"@@||ads.example^$badfilter", "!! `@@||ads.example^$badfilter` has the modifier"},
       {"||ads.example", "! `||ads.example` has no ^ after the name"},
       {"|ads.example", "! `|ads.example` has no ^ after the name"},
       {"||ads.example/banner^", "! `||ads.example/banner^` has a path"},
       {"||ads.example^banner", "! `||ads.example^banner` goes on after ^"},
       {"||ads.example^^", "! `||ads.example^^` goes on after ^"},
       {"||ads*.example^", "! `ads*.example` has a wildcard inside"},
       {"@@||ads*.example^", "!! `ads*.example` has a wildcard inside"},
       {"||^", "! `` is not a name"},
       {"example.com##.ad", "! `example.com##.ad` hides parts of pages"},
       {"##.ad", "! `##.ad` hides parts of pages"},
       {"example.com#@#.ad", "! `example.com#@#.ad` hides parts of pages"},
       {"/banner/", "! `/banner/` is a pattern"},
       {"@@/banner/", "!! `/banner/` is a pattern"},
       {"|https://ads.example^", "! `|https://ads.example^` has a path or scheme"},
       {"not a rule", "! `not a rule` is no rule"},
       {"ads.example", "! `ads.example` is a pattern"}});
}

TEST(LineParser, Rpz) {
  expect(ListFormat::rpz,
         {{"; comment", ""},
          {"$TTL 300", ""},
          {"$ORIGIN rpz.example.", ""},
          {"@ IN SOA ns.rpz.example. root.rpz.example. (", ""},
          {"  2026010101 ; serial", ""},
          {"  3600 300 604800 60 )", ""},
          {"  IN NS ns.rpz.example.", ""},
          {"ads.test CNAME .", "ads.test+"},
          {"  IN CNAME .", "ads.test+"},  // the name of the record before
          {"*.Ads.test 300 IN CNAME . ; c", "ads.test(_+)"},
          {"a.test IN 300 CNAME *.", "a.test+"},
          {"b.test CNAME rpz-drop.", "b.test+"},
          {"good.test cname RPZ-PASSTHRU.", "good.test(-_)"},
          {"*.good.test CNAME rpz-passthru.", "good.test(_-)"},
          {"own.test A 192.0.2.1", "own.test(-_)"},
          {"own.test AAAA 2001:db8::1", "own.test(-_)"},
          {"*.nil.test A 0.0.0.0", "nil.test(_+)"},
          {"nil.test AAAA ::", "nil.test+"},
          {"own.test A nowhere", "! `own.test` is given `nowhere`, which is no address"},
          {"own.test TXT hello", "! `own.test` has a record of type `TXT`"},
          {"abs.test.rpz.example. CNAME .", "abs.test+"},
          {"other.test. CNAME .", "! `other.test.` is outside of the zone `rpz.example`"},
          {"$ORIGIN com", ""},
          {"evil CNAME .", "evil.com+"},
          {"$ORIGIN rpz.example.", ""},
          {"32.1.2.0.192.rpz-ip CNAME .", "! `32.1.2.0.192.rpz-ip` is about something else (rpz-ip)"},
          {"32.1.2.0.192.rpz-client-ip CNAME rpz-passthru.", "!! `32.1.2.0.192.rpz-client-ip` is about something else"},
          {"ns.test.rpz-nsdname CNAME .", "! `ns.test.rpz-nsdname` is about something else (rpz-nsdname)"},
          {"c.test CNAME garden.example.", "! `c.test` is sent to `garden.example.`"},
          {"c.test CNAME rpz-tcp-only.", "!! `c.test` is sent to `rpz-tcp-only.`"},
          {"* CNAME .", "! `*` means every name"},
          {"@ CNAME .", "! `@` means every name"},
          {"lonely", "! `lonely` is no record"},
          {"$INCLUDE other", "! `$INCLUDE other` is not $ORIGIN or $TTL"},
          {"a\\046b.test CNAME .", "! `a\\046b.test` has `\\` in it"}});
}

TEST(LineParser, RpzTakesParenthesesAndMarksInQuotesForText) {
  for (const char* const text :
       {"\"sad :(\"", "\"a ; b\"", "\"x # y (\"", "\"\\\" (\"", "sad\\(", "\"(\" ; (\"", "\":)\""})
    expect(ListFormat::rpz, {{"note.test TXT " + std::string(text), "! `note.test` has a record of type `TXT`"},
                             {"ads.test CNAME .", "ads.test+"}});
}

TEST(LineParser, RpzReadsARecordOverManyLines) {
  expect(ListFormat::rpz, {{"ads.test ( ; why", ""},
                           {"# not a heading, nor", ""},
                           {"  IN (", ""},
                           {"CNAME ) . )", "ads.test+"},
                           {"  ( CNAME rpz-passthru. )", "ads.test(-_)"},
                           {"b.test CNAME .", "b.test+"}});
}

TEST(LineParser, RpzSaysWhatAParenthesisOrQuoteSwallows) {
  expect(
      ListFormat::rpz,
      {{"a.test CNAME . )", "! `a.test CNAME .` has a parenthesis that closes nothing"},
       {"a.test CNAME RPZ-passthru. )", "!! `a.test CNAME RPZ-passthru.` has a parenthesis that closes nothing"},
       {"a.test TXT \"b (", "! `a.test TXT \"b (` has a quotation mark that its line does not close"},
       {"b.test CNAME .", "b.test+"},
       {"a.test TXT ( x", ""},
       {"c.test CNAME .", ""},
       {"\"", "!! `a.test TXT   x c.test CNAME . \"` has a quotation mark that its line does not close: 3 lines are"},
       {"b.test CNAME .", "b.test+"}});
  LineParser parser(ListFormat::rpz);
  EXPECT_EQ(told(parser.parse("a.test CNAME (")), "");
  for (std::size_t i = 1; i < 63; ++i) {
    EXPECT_EQ(parser.open_lines(), i);
    EXPECT_EQ(told(parser.parse("x.test CNAME .")), "");
  }
  EXPECT_THAT(told(parser.parse("x.test CNAME .")),
              AllOf(StartsWith("!! `a.test CNAME"), EndsWith("nothing closes: 64 lines are left out")));
  EXPECT_EQ(parser.open_lines(), 0U);
  EXPECT_EQ(told(parser.parse("b.test CNAME .")), "b.test+");
  EXPECT_EQ(told(parser.parse("a.test TXT ( " + std::string(40'000, 'x'))), "");
  EXPECT_THAT(told(parser.parse(std::string(40'000, 'x'))), EndsWith("nothing closes: 2 lines are left out"));
  EXPECT_EQ(told(parser.parse("b.test CNAME .")), "b.test+");
}

TEST(LineParser, RpzKnowsTheZoneFromItsFirstRecord) {
  expect(ListFormat::rpz, {{"$ORIGIN .", ""},
                           {"rpz.local 300 IN SOA ns. root. 1 2 3 4 5", ""},
                           {"$ORIGIN rpz.local.", ""},
                           {"ads.test CNAME .", "ads.test+"},
                           {"$ORIGIN com.rpz.local.", ""},
                           {"evil CNAME .", "evil.com+"}});
  expect(ListFormat::rpz, {{"rpz.local. SOA ns. root. 1 2 3 4 5", ""}, {"ads.test.rpz.local. CNAME .", "ads.test+"}});
  expect(ListFormat::rpz, {{"ads.test CNAME .", "ads.test+"},
                           {"ads.test. CNAME .", "! `ads.test.` is not relative, and no SOA or $ORIGIN"},
                           {"  ", ""},
                           {"$ORIGIN com", "! `com` is relative"},
                           {"$ORIGIN com.rpz.local.", ""},
                           {"evil CNAME .", "! `evil` is not relative, and no SOA or $ORIGIN"}});
}

TEST(LineParser, Dnsmasq) {
  expect(ListFormat::dnsmasq,
         {{"address=/ads.example/", "ads.example*"},
          {"address=/ads.example/0.0.0.0", "ads.example(!!)"},
          {"address=/ads.example/::", "ads.example(!!)"},
          {"address=/ads.example/#", "ads.example(!!)"},
          {"address = /a.example/b.example/ # c", "a.example* b.example*"},
          {"server=/ads.example/", "ads.example*"},
          {"local=/.ads.example/", "ads.example*"},
          {"local=/*.ads.example/", "ads.example(_+)"},
          {"server=/good.example/#", "-good.example"},
          {"server=/good.example/192.0.2.1#5353", "-good.example"},
          {"address=/good.example/192.0.2.1", "good.example(~~)"},
          {"address=/good.example/nowhere", "! `address=/good.example/nowhere` answers with what is no address"},
          {"server=192.0.2.1", "! `server=192.0.2.1` names nothing between slashes"},
          {"address=/#/0.0.0.0", "! `address=/#/0.0.0.0` means every name"},
          {"address=//", "! `address=//` means every name"},
          {"address=/", "! `address=/` names nothing"},
          {"local=/a.example/b*.example/", "a.example* ! `b*.example` has a wildcard"},
          {"server=/b*.example/#", "!! `b*.example` has a wildcard"},
          {"cache-size=100", "! `cache-size=100` is not address=, server= or local="},
          {"ads.example", "! `ads.example` is not address="}});
}

TEST(LineParser, Unbound) {
  expect(ListFormat::unbound,
         {{"  local-zone: \"ads.example\" always_nxdomain", "ads.example(AA)"},
          {"local-zone: 'ads.example.' static # c", "ads.example*"},
          {"local-zone: ads.example refuse", "ads.example*"},
          {"local-zone: ads.example always_null", "ads.example*"},  // with data it answers with that
          {"local-zone: \"ads.example\" redirect", "ads.example(+?)"},
          {"local-data: \"ads.example A 0.0.0.0\"", "ads.example(!_)"},
          {"local-data: \"ads.example 60 IN AAAA ::\"", "ads.example(!_)"},
          {"local-data: \"ads.example A 192.0.2.1\"", "ads.example(~_)"},
          {"local-data: \"ads.example TXT hello\"", "! `ads.example TXT hello` answers with data that is no address"},
          {"local-zone: \"a.example\" transparent", "-a.example"},
          {"local-zone: \"a.example\" typetransparent", "-a.example"},
          {"local-zone: \"a.example\" always_transparent", "a.example(PP)"},
          {"local-zone: \"10.in-addr.arpa\" nodefault", ""},
          {"local-zone: \"a.example\" strange", "! `local-zone: \"a.example\" strange` has a type that is not known"},
          {"local-zone: \".\" refuse", "! `.` means every name"},
          {"local-zone: \"a..example\" transparent", "!! `a..example` is not a name"},
          {"local-zone: \"a.example\"", "! `local-zone: \"a.example\"` is not a name and a type"},
          {"local-data: 'a.example TXT \"x # y (\"'",
           "! `a.example TXT \"x # y (\"` answers with data that is no address"},
          {"local-zone: \"a.example static # b", "! `local-zone: \"a.example static # b` is not a name and a type"},
          {"local-data: \"a.example A 0.0.0.0", "! `\"a.example` has"},
          {"local-zone: \"a.example\" static # b \"", "a.example*"},
          {"forward-zone:", "! `forward-zone:` is neither local-zone: nor local-data:"}});
}

/// A line with a name, as each format has it.
std::string line_with(ListFormat format, const std::string& name) {
  switch (format) {
    case ListFormat::hosts: return "0.0.0.0 " + name;
    case ListFormat::domains: return name;
    case ListFormat::adblock: return "||" + name + "^";
    case ListFormat::rpz: return name + " CNAME .";
    case ListFormat::dnsmasq: return "address=/" + name + "/";
    case ListFormat::unbound: return "local-zone: \"" + name + "\" always_nxdomain";
  }
  return {};
}

TEST(LineParser, SkipsNamesOfTheMachineItselfInEveryFormat) {
  for (const ListFormat format : kListFormats)
    for (const char* const name : {"localhost", "LocalHost.localdomain", "broadcasthost", "ip6-localhost",
                                   "ip6-allnodes", "localhost6.localdomain6", "local"})
      expect(format, {{line_with(format, name), ""}});
  expect(ListFormat::domains, {{"localhost.", ""}});
}

TEST(LineParser, SkipsHeadingsAndCommentsInEveryFormat) {
  for (const ListFormat format : kListFormats) {
    for (const char* const line : {"", " \t\r", "# c", "  # c", "#", "! Title: a list", "; c", "// c",
                                   "[Adblock Plus 2.0]", "[uBlock]", "server:", "  server:\r"})
      expect(format, {{line, ""}});
    if (format == ListFormat::adblock) continue;  // has none behind a rule
    for (const char* const comment : {" # c", "\t# c", " ; c", " #", "  ;c"})
      expect(format, {{line_with(format, "ads.example") + comment,
                       told(LineParser(format).parse(line_with(format, "ads.example")))}});
  }
}

TEST(LineParser, TellsFormats) {
  const auto detected = [](const std::vector<std::string>& lines) {
    const DetectedFormat found = detect_format(lines);
    return found.format ? std::string(to_text(*found.format)) : found.why_not.substr(0, 20);
  };
  EXPECT_EQ(detected({"# c", "127.0.0.1 localhost", "0.0.0.0 a.example"}), "hosts");
  EXPECT_EQ(detected({"# c", "", "a.example", "*.b.example", "junk junk"}), "domains");
  EXPECT_EQ(detected({"[Adblock]", "||a.example^", "example.com##.ad", "@@||b.example^$document"}), "adblock");
  EXPECT_EQ(detected({"$TTL 3", "@ SOA a. b. (", " 1 2 3 4 5 )", "  NS a.", "x.example CNAME ."}), "rpz");
  EXPECT_EQ(detected({"address=/a.example/", "server=/b.example/"}), "dnsmasq");
  EXPECT_EQ(detected({"server:", "local-zone: \"a.example\" static"}), "unbound");
  EXPECT_EQ(detected({}), "the list has no line");
  EXPECT_EQ(detected({"# only", "! comments"}), "the list has no line");
  EXPECT_EQ(detected({"<html>", "<p>Not found</p>"}), "the format cannot be");
  EXPECT_EQ(detected({"0.0.0.0 a.example", "b.example"}), "the format cannot be");  // half and half
}

}  // namespace
}  // namespace gatehouse::db
