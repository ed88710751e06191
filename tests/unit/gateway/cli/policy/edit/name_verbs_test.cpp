// `gatehouse policy block|unblock|permit|deny|history|diff|undo` and `gatehouse token ...` on a database file.
#include "gateway/cli/policy/edit/name_verbs.hpp"
#include "db/policy/policy_database.hpp"
#include "gateway/base/sha256.hpp"
#include "gateway/cli/policy/edit/duration.hpp"
#include "gateway/cli/policy/edit/permit_verbs.hpp"
#include "gateway/cli/policy/edit/token_verbs.hpp"
#include "gateway/cli/policy/history_verbs.hpp"
#include "tests/unit/db/scratch.hpp"
#include "tests/unit/gateway/cli/policy/import_domains.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <sstream>

namespace gatehouse {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;

class EditVerbs : public testing::Test {
 protected:
  void SetUp() override { db::prepare_policy(path); }

  std::string shell(const std::string& sql) const { return run_sqlite_shell(path, sql); }
  NameOrder named(const std::string& name, const std::string& group = "", const std::string& lasts = "") const {
    NameOrder order;
    order.name = name;
    order.group = group;
    order.lasts = lasts;
    return order;
  }
  PermitOrder ports(const std::string& transport, const std::string& list, const std::string& to = "") const {
    PermitOrder order;
    order.transport = transport;
    order.ports = list;
    order.destination = to;
    return order;
  }
  /// What a verb prints, with "[code]" at the end, or the sentence that it throws.
  template <class Verb>
  std::string said(Verb verb) {
    std::ostringstream out;
    try {
      const int code = verb(out);
      return out.str() + '[' + std::to_string(code) + ']';
    } catch (const std::exception& error) {
      return error.what();
    }
  }
  std::string block(const NameOrder& order, bool json = false) {
    return said([&](std::ostream& out) { return policy_block(path, order, out, json); });
  }
  std::string unblock(const NameOrder& order, bool json = false) {
    return said([&](std::ostream& out) { return policy_unblock(path, order, out, json); });
  }
  std::string permit(const PermitOrder& order) {
    return said([&](std::ostream& out) { return policy_permit(path, order, out, false); });
  }
  std::string deny(const PermitOrder& order, bool json = false) {
    return said([&](std::ostream& out) { return policy_deny(path, order, out, json); });
  }
  std::string undo(std::int64_t number, bool force = false, bool json = false) {
    return said([&](std::ostream& out) { return policy_undo(path, number, force, out, out, json); });
  }
  std::string history(std::int64_t limit = 20, bool json = false) {
    return said([&](std::ostream& out) { return policy_history(path, limit, out, json); });
  }
  std::string diff(std::optional<std::int64_t> number = {}, bool json = false) {
    return said([&](std::ostream& out) { return policy_diff(path, number, out, json); });
  }
  static nlohmann::json body(const std::string& said) { return nlohmann::json::parse(said.substr(0, said.rfind('['))); }

  ScratchFolder folder;
  std::filesystem::path path = folder.path() / "policy.db";
};

TEST(Durations, AreNumbersWithAUnit) {
  EXPECT_EQ(parse_duration("90s"), 90);
  EXPECT_EQ(parse_duration("15m"), 900);
  EXPECT_EQ(parse_duration("2h"), 7200);
  EXPECT_EQ(parse_duration("7d"), 604800);
  for (const char* wrong : {"", "h", "2", "2x", "-2h", "0s", "2 h", "2hh", "99999999999999999999d", "9999999999d"})
    EXPECT_THROW(static_cast<void>(parse_duration(wrong)), std::runtime_error) << wrong;
}

TEST_F(EditVerbs, BlockWritesOneRowAndNoneTheSecondTime) {
  EXPECT_EQ(block(named("Ads.Example.")),
            "domain_rules 1: ads.example and all names below it are blocked for all clients. A running gateway has it "
            "within a second.\n[0]");
  EXPECT_THAT(block(named("ads.example")),
              HasSubstr("domain_rules 1: ads.example and all names below it are blocked for "
                        "all clients already: nothing to do.\n[0]"));
  EXPECT_EQ(shell("SELECT domain, match, action, group_id IS NULL, expires_at IS NULL FROM domain_rules"),
            "ads.example|suffix|block|1|1\n");
  EXPECT_EQ(shell("SELECT count(*), max(who) FROM changes"), "1|" + editor_name() + '\n');
  NameOrder exact = named("ads.example");
  exact.exact = true;
  EXPECT_THAT(block(exact), HasSubstr("domain_rules 2: ads.example is blocked for all clients."));
  EXPECT_EQ(body(block(exact, true))["done"], "unchanged");
}

TEST_F(EditVerbs, BlockForATimeAndRenew) {
  NameOrder order = named("a.test", "", "2h");
  order.comment = "why not";
  EXPECT_THAT(block(order), MatchesRegex("domain_rules 1: a.test .*, until 20.* UTC\\. A running(.|\n)*"));
  EXPECT_EQ(shell("SELECT expires_at - unixepoch() BETWEEN 7190 AND 7200, comment FROM domain_rules"), "1|why not\n");
  EXPECT_THAT(block(named("a.test")), Not(HasSubstr("nothing to do")));
  EXPECT_EQ(shell("SELECT expires_at IS NULL, comment FROM domain_rules"), "1|why not\n");
  EXPECT_THAT(block(named("a.test", "", "1h")), HasSubstr("nothing to do")) << "it has no end already";
  ASSERT_EQ(shell("UPDATE domain_rules SET enabled = 0, expires_at = 5"), "");
  EXPECT_EQ(body(block(named("a.test"), true))["done"], "updated");
  EXPECT_EQ(shell("SELECT id, enabled, expires_at IS NULL FROM domain_rules"), "1|1|1\n");
}

TEST_F(EditVerbs, RefuseWhatTheCompilerWould) {
  EXPECT_THAT(block(named("*.foo")), HasSubstr("write `foo`, and match = suffix covers it"));
  EXPECT_THAT(block(named("a..b")), HasSubstr("is not a domain name"));
  EXPECT_THAT(block(named("ads*.foo")), HasSubstr("`ads*.foo` has a wildcard inside"));
  EXPECT_THAT(block(named("https://ads.foo/x")), HasSubstr("has `:` in it, which no host name has"));
  EXPECT_THAT(block(named("10.0.0.1")), HasSubstr("`10.0.0.1` is an address, not a name"));
  EXPECT_THAT(block(named("foo", "kids")), HasSubstr("there is no group `kids`"));
  EXPECT_THAT(block(named("foo", "", "soon")), HasSubstr("`soon` is no duration: write 90s, 15m, 2h or 7d"));
  EXPECT_THAT(unblock(named("a b")), HasSubstr("is not a domain name"));
  EXPECT_THAT(permit(ports("icmp", "all")), HasSubstr("`icmp` is no transport: write tcp, udp or any"));
  EXPECT_THAT(permit(ports("udp", "fifty")), HasSubstr("`fifty` is no list of ports"));
  EXPECT_THAT(permit(ports("udp", "")), HasSubstr("is no list of ports"));
  EXPECT_THAT(permit(ports("udp", "53", "10.0.0.1/8")), HasSubstr("write 10.0.0.0/8"));
  EXPECT_THAT(permit(ports("udp", "53", "64:ff9b::/96")), HasSubstr("write the IPv4 CIDR"));
  EXPECT_EQ(shell("SELECT count(*) FROM changes"), "0\n");
}

TEST_F(EditVerbs, UnblockDeletesTheRowsOfThatNameAlone) {
  ASSERT_EQ(
      shell("INSERT INTO domain_rules(domain, match) VALUES('A.test.', 'suffix'), ('a.test', 'exact'), ('b.a.test', "
            "'suffix'); INSERT INTO domain_rules(domain, action) VALUES('a.test', 'monitor')"),
      "");
  EXPECT_EQ(
      unblock(named("a.test")),
      "domain_rules 1 is deleted.\ndomain_rules 2 is deleted.\na.test is blocked no longer. A running gateway has it "
      "within a second.\n[0]");
  EXPECT_EQ(shell("SELECT id FROM domain_rules"), "3\n4\n");
  EXPECT_EQ(unblock(named("a.test")), "a.test is not blocked for all clients: nothing to do.\n[0]");
}

TEST_F(EditVerbs, UnblockSaysWhatStillBlocksAndWhatWouldHelp) {
  ASSERT_EQ(shell("INSERT INTO groups(id, name) VALUES(7, 'kids');"
                  "INSERT INTO domain_rules(id, domain) VALUES(5, 'ads.test')"),
            "");
  EXPECT_EQ(
      unblock(named("x.ads.test", "kids")),
      "x.ads.test is still blocked, by domain_rules 5, which blocks ads.test and all names below it for all clients. "
      "An allow row of its own would let it through:\n  INSERT INTO domain_rules (group_id, domain, action) VALUES "
      "(7, 'x.ads.test', 'allow');\n[1]");
  const auto answer = body(unblock(named("x.ads.test", "kids"), true));
  EXPECT_EQ(answer["by"]["row"], 5);
  EXPECT_EQ(shell(answer["allow"]), "");
  EXPECT_THAT(unblock(named("x.ads.test", "kids")), HasSubstr("is not blocked for group kids"));
  EXPECT_THAT(unblock(named("o'x.ads.test")), HasSubstr("has `'` in it, which no host name has"));
}

TEST_F(EditVerbs, BlockDeletesTheRowThatAllowsJustThat) {
  ASSERT_EQ(
      shell("INSERT INTO groups(id, name) VALUES(7, 'kids');"
            "INSERT INTO domain_rules(domain, match, action, group_id) VALUES('A.test', 'suffix', 'allow', NULL), "
            "('a.test', 'suffix', 'allow', 7), ('b.a.test', 'suffix', 'allow', NULL)"),
      "");
  EXPECT_THAT(block(named("a.test")),
              StartsWith("domain_rules 1, which said otherwise, is deleted.\ndomain_rules 4: "));
  EXPECT_EQ(shell("SELECT id, action FROM domain_rules"), "2|allow\n3|allow\n4|block\n");
  EXPECT_EQ(body(block(named("a.test", "kids"), true))["deleted"], nlohmann::json({2}));
}

TEST_F(EditVerbs, BlockSaysWhenAnAllowRowStandsAboveIt) {
  ASSERT_EQ(shell("INSERT INTO domain_rules(domain, action) VALUES('a.test', 'allow')"), "");
  EXPECT_THAT(block(named("a.test", "", "2h")), HasSubstr("But an allow row")) << "it counts again in two hours";
  NameOrder exact = named("a.test");
  exact.exact = true;
  EXPECT_THAT(block(exact), HasSubstr("But an allow row")) << "it allows more than that";
}

TEST_F(EditVerbs, TakeNamesInAnyScript) {
  EXPECT_THAT(block(named("B\u00fccher.Example")), StartsWith("domain_rules 1: xn--bcher-kva.example and all names"));
  EXPECT_THAT(block(named("xn--bcher-kva.example")), HasSubstr("nothing to do"));
  ASSERT_EQ(shell("INSERT INTO domain_rules(domain) VALUES('caf\u00e9.test')"), "");
  EXPECT_THAT(block(named("xn--caf-dma.test")), HasSubstr("domain_rules 2: xn--caf-dma.test"));
  EXPECT_EQ(body(unblock(named("caf\u00e9.test"), true))["deleted"], nlohmann::json({2}));
  EXPECT_EQ(body(unblock(named("b\u00fccher.example"), true))["deleted"], nlohmann::json({1}));
  EXPECT_EQ(shell("SELECT count(*) FROM domain_rules"), "0\n");
}

class EditVerbsOnLists : public EditVerbs {
 protected:
  void SetUp() override {
    EditVerbs::SetUp();
    import_domains(path, "ads", "ads.test\nb\u00fccher.example\n");
  }
};

TEST_F(EditVerbsOnLists, UnblockAllowsWhatAListBlocksAndSaysWhich) {
  EXPECT_EQ(unblock(named("x.ads.test")),
            "domain_rules 1: x.ads.test and all names below it are allowed for all clients, past the list ads "
            "(domain_lists 1).\nx.ads.test is blocked no longer. A running gateway has it within a second.\n[0]");
  EXPECT_EQ(shell("SELECT domain, match, action, group_id IS NULL, comment FROM domain_rules"),
            "x.ads.test|suffix|allow|1|past the list ads (domain_lists 1)\n");
  EXPECT_EQ(shell("SELECT count(*), max(who) FROM changes WHERE table_name = 'domain_rules'"),
            "1|" + editor_name() + '\n');
  EXPECT_EQ(unblock(named("x.ads.test")), "x.ads.test is not blocked for all clients: nothing to do.\n[0]");
  EXPECT_THAT(unblock(named("b\u00fccher.example")), HasSubstr("domain_rules 2: xn--bcher-kva.example"));
}

TEST_F(EditVerbsOnLists, UnblockDeletesTheRowAndPassesTheList) {
  static_cast<void>(block(named("ads.test")));
  const auto answer = body(unblock(named("ads.test"), true));
  EXPECT_EQ(answer["deleted"], nlohmann::json({1}));
  EXPECT_EQ(answer["allowed"]["done"], "inserted");
  EXPECT_EQ(answer["allowed"]["past"], "the list ads (domain_lists 1)");
  EXPECT_EQ(answer["blocked"], false);
}

TEST_F(EditVerbsOnLists, BlockTakesUnblockBack) {
  static_cast<void>(unblock(named("ads.test")));
  EXPECT_THAT(block(named("ads.test")), AllOf(HasSubstr("is deleted"), Not(HasSubstr("But"))));
  EXPECT_EQ(shell("SELECT domain, action FROM domain_rules"), "ads.test|block\n");
}

TEST_F(EditVerbsOnLists, UnblockIsForTheGroupThatIsNamed) {
  ASSERT_EQ(shell("INSERT INTO groups(id, name) VALUES(7, 'kids')"), "");
  EXPECT_THAT(unblock(named("ads.test", "kids")), HasSubstr("are allowed for group kids, past the list ads"));
  EXPECT_EQ(shell("SELECT group_id FROM domain_rules"), "7\n");
  EXPECT_THAT(unblock(named("ads.test", "kids")), HasSubstr("nothing to do"));
}

TEST_F(EditVerbsOnLists, UnblockBeatsAListOfEveryonesOwn) {
  ASSERT_EQ(shell("UPDATE domain_lists SET group_id = 0"), "");
  EXPECT_EQ(body(unblock(named("ads.test"), true))["blocked"], false);
  EXPECT_EQ(shell("SELECT group_id FROM domain_rules"), "0\n") << "a row for all would lose against the group's list";
}

TEST_F(EditVerbs, DenyStandsAboveTheStartersPermit) {
  EXPECT_EQ(
      deny(ports("udp", "443, 53")),
      "port_permits 12: udp, port 53,443, to any address is denied for all clients. A running gateway has it within "
      "a second.\n[0]");
  EXPECT_EQ(shell("SELECT transport, ports, destination IS NULL, action, priority FROM port_permits WHERE id = 12"),
            "udp|53,443|1|deny|50\n");
  EXPECT_THAT(deny(ports("udp", "53,443")), HasSubstr("nothing to do"));
  EXPECT_EQ(body(deny(ports("udp", "53,443"), true))["row"], 12);
}

TEST_F(EditVerbs, PermitSaysWhenAnEarlierRowDenies) {
  EXPECT_THAT(permit(ports("tcp", "25")), HasSubstr("But port_permits 1 is judged earlier and says otherwise"));
  PermitOrder early = ports("tcp", "25");
  early.priority = 5;
  EXPECT_THAT(permit(early), Not(HasSubstr("But")));
  EXPECT_THAT(permit(ports("any", "53,8000-8010", "10.1.0.0/16")),
              HasSubstr("every transport, port 53,8000-8010, to 10.1.0.0/16 is permitted for all clients. A running"));
  EXPECT_THAT(permit(ports("udp", "53", "127.0.0.1")), HasSubstr("see `gatehouse policy explain udp 127.0.0.1:53`"));
  EXPECT_EQ(shell("SELECT count(*) FROM port_permits WHERE id > 11"), "4\n");
}

TEST_F(EditVerbs, HistoryDiffAndUndoTellTheSameStory) {
  EXPECT_EQ(history(), "nothing has been changed yet\n[0]");
  EXPECT_EQ(diff(), "nothing has been changed yet\n[0]");
  EXPECT_THAT(diff(4), HasSubstr("nothing has been changed yet"));
  static_cast<void>(block(named("a.test")));
  ASSERT_EQ(shell("UPDATE domain_rules SET action = 'monitor', comment = char(27) || '[31m'"), "");
  EXPECT_THAT(history(), HasSubstr("updated: action block -> monitor, comment '' -> \\x1b[31m"));
  EXPECT_THAT(history(), HasSubstr("inserted: domain a.test, match suffix, action block"));
  EXPECT_THAT(history(1), Not(HasSubstr("inserted")));
  EXPECT_THAT(history(0), HasSubstr("--limit"));
  EXPECT_EQ(body(history(20, true))["changes"][1]["who"], editor_name());
  EXPECT_EQ(body(history(20, true))["changes"][0]["new_row"]["action"], "monitor");
  EXPECT_EQ(diff(), "domain_rules 1 updated\n  action   block  ->  monitor\n  comment  ''     ->  \\x1b[31m\n[0]");
  EXPECT_EQ(body(diff(1, true))["rows"][0]["old_row"], nullptr);
  EXPECT_THAT(diff(9), HasSubstr("there is no change 9: the trail has 1 to 2"));
  EXPECT_THAT(undo(1), HasSubstr("has been changed since change 1: undo the later change first, or give --force\n[1]"));
  EXPECT_THAT(undo(2), HasSubstr("change 2 undone: domain_rules 1 updated: action monitor -> block"));
  EXPECT_EQ(diff(2), "no row differs\n[0]");
  EXPECT_EQ(body(undo(1, true, true))["change"]["new_row"], nullptr);
  EXPECT_EQ(shell("SELECT count(*) FROM domain_rules"), "0\n");
}

TEST_F(EditVerbs, TokensAreShownOnceAndKeptAsHashes) {
  TokenOrder order;
  order.name = "bob";
  order.plugin = "udpgw";
  order.lasts = "30d";
  const auto make = [&](bool json) {
    return said([&](std::ostream& out) { return token_new(path, order, out, json); });
  };
  const auto list = [&](bool json) { return said([&](std::ostream& out) { return token_list(path, out, json); }); };
  const auto revoke = [&](const std::string& which) {
    return said([&](std::ostream& out) { return token_revoke(path, which, out, out, false); });
  };
  EXPECT_THAT(list(false), HasSubstr("there are no tokens"));
  const std::string text = make(false);
  const std::string token = text.substr(0, text.find('\n'));
  EXPECT_THAT(token, MatchesRegex("ght_[A-Za-z0-9_-]+"));
  EXPECT_EQ(token.size(), 47u);
  EXPECT_THAT(text, HasSubstr("This is token:bob (credentials 1) for udpgw, until 20"));
  EXPECT_EQ(shell("SELECT kind, value, identity, plugin, expires_at - unixepoch() > 2591990 FROM credentials"),
            "token|" + to_hex(sha256(token)) + "|token:bob|udpgw|1\n");
  EXPECT_EQ(shell(".dump").find(token), std::string::npos);
  EXPECT_NE(body(make(true))["token"], token);
  EXPECT_EQ(list(false).find("ght_"), std::string::npos);
  EXPECT_THAT(list(false), HasSubstr("token:bob  udpgw   20"));
  EXPECT_EQ(body(list(true))["tokens"][1]["row"], 2);
  EXPECT_THAT(revoke("eve"), HasSubstr("there is no token `eve`"));
  EXPECT_THAT(revoke("2"), AllOf(HasSubstr("token:bob (credentials 2) is revoked."),
                                 HasSubstr("Who is connected with it stays so")));
  EXPECT_THAT(revoke("bob"), HasSubstr("token:bob (credentials 1) is revoked."));
  EXPECT_EQ(shell("SELECT count(*) FROM credentials"), "0\n");
  for (const char* wrong : {"", "77", "a b", "a*", "x\x1b"}) {
    order.name = wrong;
    EXPECT_THAT(make(false), Not(HasSubstr("ght_"))) << wrong;
  }
}

}  // namespace
}  // namespace gatehouse
