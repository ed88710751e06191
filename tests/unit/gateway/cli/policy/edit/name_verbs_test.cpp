#include "gateway/cli/policy/edit/name_verbs.hpp"

#include "gateway/cli/policy/edit/editor_name.hpp"
#include "tests/unit/gateway/cli/policy/edit/edit_test.hpp"
#include "tests/unit/gateway/cli/policy/import_domains.hpp"

#include <gmock/gmock.h>

namespace gatehouse {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;

class NameVerbs : public EditTest {
 protected:
  static NameArguments named(const std::string& name, const std::string& group = "", const std::string& duration = "") {
    NameArguments arguments;
    arguments.name = name;
    arguments.group = group;
    arguments.duration = duration;
    return arguments;
  }
  std::string block(const NameArguments& arguments, bool json = false) {
    return text_of(policy_block_verb, arguments, json);
  }
  std::string unblock(const NameArguments& arguments, bool json = false) {
    return text_of(policy_unblock_verb, arguments, json);
  }
};

TEST_F(NameVerbs, BlockWritesOneRowAndNoneTheSecondTime) {
  EXPECT_EQ(block(named("Ads.Example.")),
            "domain_rules 1: ads.example and all names below it are blocked for all clients. A running gateway has it "
            "within a second.\n[0]");
  EXPECT_THAT(block(named("ads.example")),
              HasSubstr("domain_rules 1: ads.example and all names below it are blocked for "
                        "all clients already: nothing to do.\n[0]"));
  EXPECT_EQ(shell("SELECT domain, match, action, group_id IS NULL, expires_at IS NULL FROM domain_rules"),
            "ads.example|suffix|block|1|1\n");
  EXPECT_EQ(shell("SELECT count(*), max(who) FROM changes"), "1|" + editor_name() + '\n');
  NameArguments exact = named("ads.example");
  exact.exact = true;
  EXPECT_THAT(block(exact), HasSubstr("domain_rules 2: ads.example is blocked for all clients."));
  EXPECT_EQ(body(block(exact, true))["done"], "unchanged");
}

TEST_F(NameVerbs, BlockForATimeAndRenew) {
  NameArguments order = named("a.test", "", "2h");
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

TEST_F(NameVerbs, RefuseWhatTheCompilerWould) {
  EXPECT_THAT(block(named("*.foo")), HasSubstr("write `foo`, and match = suffix covers it"));
  EXPECT_THAT(block(named("a..b")), HasSubstr("is not a domain name"));
  EXPECT_THAT(block(named("ads*.foo")), HasSubstr("`ads*.foo` has a wildcard inside"));
  EXPECT_THAT(block(named("https://ads.foo/x")), HasSubstr("has `:` in it, which no host name has"));
  EXPECT_THAT(block(named("10.0.0.1")), HasSubstr("`10.0.0.1` is an address, not a name"));
  EXPECT_THAT(block(named("foo", "kids")), HasSubstr("there is no group `kids`"));
  EXPECT_THAT(block(named("foo", "", "soon")), HasSubstr("`soon` is no duration: write 90s, 15m, 2h or 7d"));
  EXPECT_THAT(unblock(named("a b")), HasSubstr("is not a domain name"));
  EXPECT_EQ(shell("SELECT count(*) FROM changes"), "0\n");
}

TEST_F(NameVerbs, UnblockDeletesTheRowsOfThatNameAlone) {
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

TEST_F(NameVerbs, UnblockSaysWhatStillBlocksAndWhatWouldHelp) {
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

TEST_F(NameVerbs, BlockDeletesTheRowThatAllowsJustThat) {
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

TEST_F(NameVerbs, BlockSaysWhenAnAllowRowStandsAboveIt) {
  ASSERT_EQ(shell("INSERT INTO domain_rules(domain, action) VALUES('a.test', 'allow')"), "");
  EXPECT_THAT(block(named("a.test", "", "2h")), HasSubstr("But an allow row")) << "it counts again in two hours";
  NameArguments exact = named("a.test");
  exact.exact = true;
  EXPECT_THAT(block(exact), HasSubstr("But an allow row")) << "it allows more than that";
}

TEST_F(NameVerbs, TakeNamesInAnyScript) {
  EXPECT_THAT(block(named("B\u00fccher.Example")), StartsWith("domain_rules 1: xn--bcher-kva.example and all names"));
  EXPECT_THAT(block(named("xn--bcher-kva.example")), HasSubstr("nothing to do"));
  ASSERT_EQ(shell("INSERT INTO domain_rules(domain) VALUES('caf\u00e9.test')"), "");
  EXPECT_THAT(block(named("xn--caf-dma.test")), HasSubstr("domain_rules 2: xn--caf-dma.test"));
  EXPECT_EQ(body(unblock(named("caf\u00e9.test"), true))["deleted"], nlohmann::json({2}));
  EXPECT_EQ(body(unblock(named("b\u00fccher.example"), true))["deleted"], nlohmann::json({1}));
  EXPECT_EQ(shell("SELECT count(*) FROM domain_rules"), "0\n");
}

class NameVerbsOnLists : public NameVerbs {
 protected:
  void SetUp() override {
    NameVerbs::SetUp();
    import_domains(path, "ads", "ads.test\nb\u00fccher.example\n");
  }
};

TEST_F(NameVerbsOnLists, UnblockAllowsWhatAListBlocksAndSaysWhich) {
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

TEST_F(NameVerbsOnLists, UnblockDeletesTheRowAndPassesTheList) {
  static_cast<void>(block(named("ads.test")));
  const auto answer = body(unblock(named("ads.test"), true));
  EXPECT_EQ(answer["deleted"], nlohmann::json({1}));
  EXPECT_EQ(answer["allowed"]["done"], "inserted");
  EXPECT_EQ(answer["allowed"]["past"], "the list ads (domain_lists 1)");
  EXPECT_EQ(answer["blocked"], false);
}

TEST_F(NameVerbsOnLists, BlockTakesUnblockBack) {
  static_cast<void>(unblock(named("ads.test")));
  EXPECT_THAT(block(named("ads.test")), AllOf(HasSubstr("is deleted"), Not(HasSubstr("But"))));
  EXPECT_EQ(shell("SELECT domain, action FROM domain_rules"), "ads.test|block\n");
}

TEST_F(NameVerbsOnLists, UnblockIsForTheGroupThatIsNamed) {
  ASSERT_EQ(shell("INSERT INTO groups(id, name) VALUES(7, 'kids')"), "");
  EXPECT_THAT(unblock(named("ads.test", "kids")), HasSubstr("are allowed for group kids, past the list ads"));
  EXPECT_EQ(shell("SELECT group_id FROM domain_rules"), "7\n");
  EXPECT_THAT(unblock(named("ads.test", "kids")), HasSubstr("nothing to do"));
}

TEST_F(NameVerbsOnLists, UnblockBeatsAListOfEveryonesOwn) {
  ASSERT_EQ(shell("UPDATE domain_lists SET group_id = 0"), "");
  EXPECT_EQ(body(unblock(named("ads.test"), true))["blocked"], false);
  EXPECT_EQ(shell("SELECT group_id FROM domain_rules"), "0\n") << "a row for all would lose against the group's list";
}

}  // namespace
}  // namespace gatehouse
