// Every sentence that compile() says of a row, whole, with a row that it says it of.
#include "policy/compile.hpp"
#include "policy/compile/faults.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace gatehouse::policy {
namespace {

constexpr std::int64_t kBad = 9;  // the id of the row that something is wrong with

struct Skipped {
  Fault fault;
  const char* table;
  void (*write)(Model&, Lists&);
  std::string sentence;
  bool is_deny = false, in_force = false;
};

const std::string kCidr = " is not an address or a CIDR: write it as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32";
const std::string kPorts = " is no list of ports: write numbers from 1 to 65535, as in 53,443,3478-3481, or all";
const std::string kWrapped = " is an IPv6 form of IPv4 addresses, which are judged as IPv4: write the IPv4 CIDR";
const std::string kToken =
    "the value is not the SHA-256 of a token, 64 lower-case hex digits: `gatehouse token new` makes such a row";
const std::string kOneKind = " is no identity: write token:bob, cert:bob.example, unix:bob or relay:site";

void member(Model& model, const char* kind, const char* pattern, std::int64_t group = 5) {
  model.group_members = {{kBad, group, kind, pattern, {}}};
}
void source(Model& model, const char* cidr) { member(model, "source", cidr); }
void credential(Model& model, const char* kind, std::string value, std::string identity,
                std::optional<std::string> plugin = {}) {
  model.credentials = {{kBad, kind, std::move(value), std::move(identity), std::move(plugin), {}}};
}
void domain(Model& model, std::string name, const char* action = "block", const char* match = "suffix",
            std::optional<std::int64_t> group = {}) {
  model.domain_rules = {{kBad, group, std::move(name), match, action, {}}};
}
void list(Model& model, const char* file, const char* action = "block", const char* match = "suffix",
          std::optional<std::int64_t> group = {}) {
  model.domain_lists = {{kBad, "ads", group, match, action, file, {}}};
}
void permit(Model& model, const char* transport, const char* ports, std::optional<std::string> to,
            const char* action = "allow", std::optional<std::int64_t> group = {}) {
  model.port_permits = {{kBad, group, transport, ports, std::move(to), action, 100, {}}};
}
TrafficRule& traffic(Model& model, const char* scope = "session", std::int64_t group = 0) {
  TrafficRule& row = model.traffic_rules.emplace_back();
  row.id = kBad;
  row.group_id = group;
  row.scope = scope;
  return row;
}

const std::vector<Skipped>& skipped() {
  static const std::vector<Skipped> kSkipped{
      {Fault::no_group, "group_members", [](Model& m, Lists&) { member(m, "plugin", "udpgw", 77); },
       "there is no group with id 77"},
      {Fault::no_group, "domain_rules", [](Model& m, Lists&) { domain(m, "a.test", "block", "suffix", 77); },
       "there is no group with id 77", true},
      {Fault::no_group, "domain_lists", [](Model& m, Lists&) { list(m, "good", "block", "suffix", 77); },
       "there is no group with id 77", true},
      {Fault::no_group, "port_permits", [](Model& m, Lists&) { permit(m, "any", "all", {}, "deny", 77); },
       "there is no group with id 77", true},
      {Fault::no_group, "traffic_rules", [](Model& m, Lists&) { traffic(m, "session", 77); },
       "there is no group with id 77"},
      {Fault::member_kind, "group_members", [](Model& m, Lists&) { member(m, "user", "bob"); },
       "`user` is no kind: write identity, source, listener or plugin"},
      {Fault::member_without_kind, "group_members", [](Model& m, Lists&) { member(m, "identity", "bob"); },
       "`bob` is only who came through a listener that is configured with that identity; others have a kind: "
       "token:bob, "
       "cert:bob, unix:bob or relay:bob",
       false, true},
      {Fault::cidr_unreadable, "group_members", [](Model& m, Lists&) { source(m, "192.0.2.0/33"); },
       "`192.0.2.0/33`" + kCidr},
      {Fault::cidr_unreadable, "port_permits", [](Model& m, Lists&) { permit(m, "any", "all", "localhost"); },
       "`localhost`" + kCidr},
      {Fault::cidr_unreadable, "port_permits", [](Model& m, Lists&) { permit(m, "any", "all", "", "deny"); },
       "``" + kCidr, true},
      {Fault::cidr_host_bits, "group_members", [](Model& m, Lists&) { source(m, "192.0.2.7/24"); },
       "`192.0.2.7/24` has bits set beyond its length: write 192.0.2.0/24"},
      {Fault::cidr_host_bits, "port_permits", [](Model& m, Lists&) { permit(m, "any", "all", "2001:db8::1/32"); },
       "`2001:db8::1/32` has bits set beyond its length: write 2001:db8::/32"},
      {Fault::cidr_wrapped, "group_members", [](Model& m, Lists&) { source(m, "64:ff9b::c000:200/120"); },
       "`64:ff9b::c000:200/120`" + kWrapped},
      {Fault::cidr_wrapped, "port_permits", [](Model& m, Lists&) { permit(m, "any", "all", "2002:a00::/24"); },
       "`2002:a00::/24`" + kWrapped},
      {Fault::credential_kind, "credentials", [](Model& m, Lists&) { credential(m, "password", "x", "token:x"); },
       "`password` is no kind: write token, cert, unix or relay_key"},
      {Fault::token_value, "credentials", [](Model& m, Lists&) { credential(m, "token", "secret", "token:x"); },
       kToken},
      {Fault::token_value, "credentials",
       [](Model& m, Lists&) { credential(m, "token", std::string(64, 'A'), "token:x"); }, kToken},
      {Fault::relay_key_value, "credentials", [](Model& m, Lists&) { credential(m, "relay_key", "bob", "relay:x"); },
       "`bob` is not a relay key: write it in hex, or * for any key"},
      {Fault::relay_key_value, "credentials", [](Model& m, Lists&) { credential(m, "relay_key", "abc", "relay:x"); },
       "`abc` is not a relay key: write it in hex, or * for any key"},
      {Fault::any_certificate, "credentials", [](Model& m, Lists&) { credential(m, "cert", "*", "cert:x"); },
       "* stands for any relay key only: write the name of one certificate"},
      {Fault::any_user, "credentials", [](Model& m, Lists&) { credential(m, "unix", "*", "unix:x"); },
       "* stands for any relay key only: write the name of one user"},
      {Fault::no_value, "credentials", [](Model& m, Lists&) { credential(m, "unix", "", "unix:x"); },
       "value is empty: write the name of a certificate or of a user"},
      {Fault::identity_untyped, "credentials", [](Model& m, Lists&) { credential(m, "unix", "ann", "ann"); },
       "`ann`" + kOneKind},
      {Fault::identity_untyped, "credentials", [](Model& m, Lists&) { credential(m, "unix", "ann", "unix:"); },
       "`unix:`" + kOneKind},
      {Fault::identity_too_long, "credentials",
       [](Model& m, Lists&) { credential(m, "unix", "ann", "unix:" + std::string(251, 'a')); },
       "the identity is longer than 255 bytes: choose a shorter one"},
      {Fault::no_plugin, "credentials", [](Model& m, Lists&) { credential(m, "unix", "ann", "unix:ann", ""); },
       "plugin is empty: write a plugin's name, or NULL for every plugin"},
      {Fault::credential_given_twice, "credentials",
       [](Model& m, Lists&) {
         credential(m, "unix", "bob", "unix:robert");
         m.credentials.insert(m.credentials.begin(), {1, "unix", "bob", "unix:bob", {}, {}});
       },
       "row 1 gives the same credential to `unix:bob`: delete one of them"},
      {Fault::domain_wildcard, "domain_rules", [](Model& m, Lists&) { domain(m, "*.example.com"); },
       "`*.example.com`: write `example.com`, and match = suffix covers it and all names below it", true},
      {Fault::domain_wildcard, "domain_rules", [](Model& m, Lists&) { domain(m, ".example", "allow"); },
       "`.example`: write `example`, and match = suffix covers it and all names below it"},
      {Fault::domain_letters, "domain_rules", [](Model& m, Lists&) { domain(m, "b\xff.example", "allow"); },
       "`b\xff.example` has letters that no domain name may have: write it as ads.example"},
      {Fault::domain_too_long, "domain_rules", [](Model& m, Lists&) { domain(m, std::string(64, 'a')); },
       '`' + std::string(64, 'a') + "` is too long for a domain name: 253 characters, 63 a label", true},
      {Fault::domain_unreadable, "domain_rules", [](Model& m, Lists&) { domain(m, "a..b", "monitor"); },
       "`a..b` is not a domain name: write it as ads.example"},
      {Fault::domain_unreadable, "domain_rules", [](Model& m, Lists&) { domain(m, ".", "monitor"); },
       "`.` is not a domain name: write it as ads.example"},
      {Fault::domain_address, "domain_rules", [](Model& m, Lists&) { domain(m, "10.0.0.1"); },
       "`10.0.0.1` is an address, not a name: write a row of port_permits with it as the destination", true},
      {Fault::domain_address, "domain_rules", [](Model& m, Lists&) { domain(m, "2001:db8::1"); },
       "`2001:db8::1` is an address, not a name: write a row of port_permits with it as the destination", true},
      {Fault::domain_pattern, "domain_rules", [](Model& m, Lists&) { domain(m, "ads*.example"); },
       "`ads*.example` has a wildcard inside, and names are matched whole: write ads.example, and match = suffix "
       "covers "
       "it and all names below it",
       true},
      {Fault::domain_character, "domain_rules", [](Model& m, Lists&) { domain(m, "https://ads.example/x"); },
       "`https://ads.example/x` has `:` in it, which no host name has: write it as ads.example", true},
      {Fault::domain_match, "domain_rules", [](Model& m, Lists&) { domain(m, "a.test", "block", "glob"); },
       "`glob` is no match: write suffix or exact", true},
      {Fault::domain_match, "domain_lists", [](Model& m, Lists&) { list(m, "good", "allow", "glob"); },
       "`glob` is no match: write suffix or exact"},
      {Fault::domain_action, "domain_rules", [](Model& m, Lists&) { domain(m, "a.test", "deny"); },
       "`deny` is no action: write block, allow or monitor", true},
      {Fault::domain_action, "domain_lists", [](Model& m, Lists&) { list(m, "good", "deny"); },
       "`deny` is no action: write block, allow or monitor", true},
      {Fault::list_empty, "domain_lists", [](Model& m, Lists&) { list(m, ""); },
       "the list has no names yet: `gatehouse policy import ads FILE` fills it", true},
      {Fault::list_gone, "domain_lists", [](Model& m, Lists&) { list(m, "gone.names", "allow"); },
       "the file `gone.names` is not in lists/: import the list again"},
      {Fault::list_unreadable, "domain_lists",
       [](Model& m, Lists& l) {
         list(m, "bad.names");
         l.by_file["bad.names"].failure = "it is broken";
       },
       "it is broken", true},
      {Fault::permit_action, "port_permits", [](Model& m, Lists&) { permit(m, "any", "all", {}, "block"); },
       "`block` is no action: write allow, deny or monitor", true},
      {Fault::permit_transport, "port_permits", [](Model& m, Lists&) { permit(m, "sctp", "all", {}); },
       "`sctp` is no transport: write tcp, udp, icmp or any"},
      {Fault::permit_icmp_ports, "port_permits", [](Model& m, Lists&) { permit(m, "icmp", "8", {}); },
       "icmp has no ports, so that `8` can never match: write all"},
      {Fault::too_many_monitors, "port_permits",
       [](Model& m, Lists&) {
         for (int i = 1; i <= 400; ++i)
           m.port_permits.push_back(
               {kBad, {}, "udp", std::to_string(i) + "-" + std::to_string(9000 - i), {}, "monitor", 100, {}});
       },
       "so many monitor rows speak for the same ports and addresses that this one, and others behind it, are not "
       "counted "
       "everywhere: write fewer, or let them cover less",
       false, true},
      {Fault::admission_action, "admissions",
       [](Model& m, Lists&) {
         m.admissions = {{kBad, {}, "*", "*", "block", 100, {}}};
       },
       "`block` is no action: write allow or deny", true},
      {Fault::permit_ports, "port_permits", [](Model& m, Lists&) { permit(m, "any", "dns", {}, "monitor"); },
       "`dns`" + kPorts},
      {Fault::traffic_scope, "traffic_rules", [](Model& m, Lists&) { traffic(m, "flow"); },
       "`flow` is no scope: write session or identity"},
      {Fault::traffic_negative, "traffic_rules", [](Model& m, Lists&) { traffic(m).burst_down = -1; },
       "burst_down is negative: write 0 for no limit"},
      {Fault::traffic_period, "traffic_rules", [](Model& m, Lists&) { traffic(m).quota_period = "week"; },
       "`week` is no quota_period: write day or month"},
      {Fault::traffic_too_large, "traffic_rules", [](Model& m, Lists&) { traffic(m).destinations_per_minute = 65537; },
       "destinations_per_minute can be 65536 at most, which holds in its place: write that, less, or 0 for no limit; "
       "the row's other columns are in force"},
      {Fault::setting_name, "settings",
       [](Model& m, Lists&) {
         m.settings = {{kBad, "default", "deny"}};
       },
       "`default` is no setting: there are default_action, dns_ports and judge_answers"},
      {Fault::default_action_value, "settings",
       [](Model& m, Lists&) {
         m.settings = {{kBad, "default_action", "maybe"}};
       },
       "`maybe` is no default_action: write deny or allow", true},
      {Fault::dns_ports_value, "settings",
       [](Model& m, Lists&) {
         m.settings = {{kBad, "dns_ports", "53;5353"}};
       },
       "`53;5353` is no list of ports: write numbers and ranges with commas, such as 53,5353; until then it is 53",
       true},
      {Fault::judge_answers_value, "settings",
       [](Model& m, Lists&) {
         m.settings = {{kBad, "judge_answers", "yes"}};
       },
       "`yes` is no judge_answers: write 1 or 0; until then it is 1", true},
  };
  return kSkipped;
}

/// Could `sentence` be that of the fault, with some words in the places of {}?
bool is_of(Fault fault, std::string_view sentence) {
  std::string_view pattern = sentence_of(fault);
  for (bool begin = true;; begin = false) {
    const std::string_view part = pattern.substr(0, pattern.find("{}"));
    const std::size_t place = begin ? (sentence.starts_with(part) ? 0 : sentence.npos) : sentence.find(part);
    if (place == sentence.npos) return false;
    sentence.remove_prefix(place + part.size());
    if (part.size() == pattern.size()) return sentence.empty() || part.empty();
    pattern.remove_prefix(part.size() + 2);
  }
}

TEST(SkippedRow, IsToldOfInASentence) {
  for (const Skipped& row : skipped()) {
    SCOPED_TRACE(row.sentence);
    Model model;
    model.groups = {{0, "everyone", 100, true}, {5, "kids", 10, true}};
    Lists lists;
    lists.by_file["good"].names = NameSet::build({});
    row.write(model, lists);
    const Compiled compiled = compile(model, {}, 1, 0, lists);
    ASSERT_EQ(compiled.problems.size(), 1u);
    EXPECT_EQ(compiled.problems[0], (Problem{row.table, kBad, row.sentence, row.is_deny, row.in_force}));
    EXPECT_EQ(compiled.degraded, row.is_deny);
    EXPECT_TRUE(is_of(row.fault, row.sentence)) << sentence_of(row.fault);
  }
}

TEST(SkippedRow, IsQuotedUpToAWholeCharacter) {
  Model model;
  std::string domain = "a ";
  while (domain.size() < 1'000'000) domain += "\xc3\xa4";  // one character
  model.domain_rules = {{1, {}, domain, "suffix", "block", {}}};
  const Compiled compiled = compile(model, {}, 1, 0);
  ASSERT_EQ(compiled.problems.size(), 1u);
  const std::string& sentence = compiled.problems[0].sentence;
  EXPECT_LT(sentence.size(), 400u);
  EXPECT_NE(sentence.find("\xc3\xa4..."), sentence.npos) << sentence;
}

TEST(SkippedRow, HasACaseForEverySentence) {
  for (std::size_t i = 0; i < kFaults; ++i) {
    const auto fault = static_cast<Fault>(i);
    EXPECT_NE(sentence_of(fault), "") << i;
    EXPECT_TRUE(std::any_of(skipped().begin(), skipped().end(), [=](const Skipped& row) { return row.fault == fault; }))
        << sentence_of(fault);
  }
}

TEST(SkippedRow, SaysNoWordThatItHasNoPlaceFor) {
  EXPECT_EQ(sentence_of(Fault::token_value, {"secret"}), sentence_of(Fault::token_value));
}

}  // namespace
}  // namespace gatehouse::policy
