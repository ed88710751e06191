#include "gateway/cli/policy/history_verbs.hpp"

#include "gateway/cli/policy/edit/editor_name.hpp"
#include "gateway/cli/policy/edit/name_verbs.hpp"
#include "tests/unit/gateway/cli/policy/edit/edit_test.hpp"

#include <gmock/gmock.h>

namespace gatehouse {
namespace {

using testing::HasSubstr;
using testing::Not;

class HistoryVerbs : public EditTest {
 protected:
  std::string block(const std::string& name) {
    NameArguments arguments;
    arguments.name = name;
    return text_of(policy_block_verb, arguments);
  }
  std::string history(std::int64_t limit = 20, bool json = false) {
    return text_of(policy_history_verb, {limit}, json);
  }
  std::string diff(std::optional<std::int64_t> change = {}, bool json = false) {
    return text_of(policy_diff_verb, {change}, json);
  }
  std::string undo(std::int64_t change, bool force = false, bool json = false) {
    return text_of(policy_undo_verb, {change, force}, json);
  }
};

TEST_F(HistoryVerbs, AgreeOnWhatWasChanged) {
  EXPECT_EQ(history(), "nothing has been changed yet\n[0]");
  EXPECT_EQ(diff(), "nothing has been changed yet\n[0]");
  EXPECT_THAT(diff(4), HasSubstr("nothing has been changed yet"));
  static_cast<void>(block("a.test"));
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

// Whoever may write to policy.db may write to its trail.
TEST_F(HistoryVerbs, ShowNoControlCharacterOfTheTrail) {
  static_cast<void>(block("a.test"));
  ASSERT_EQ(
      shell("INSERT INTO changes (changed_at, who, table_name, row_id, new_row) VALUES (1, char(155), 'x' || char("
            "8238), 1, json_object('k' || char(27) || char(155), 'v' || char(127, 8294)))"),
      "");
  for (const std::string& text : {history(), diff(2), history(20, true), diff(2, true)}) {
    for (const char* const control : {"\x1b", "\x7f", "\xc2\x9b", "\xe2\x80\xae", "\xe2\x81\xa6"})
      EXPECT_THAT(text, Not(HasSubstr(control)));
  }
  EXPECT_THAT(diff(2), HasSubstr("k\\x1b\\u009b"));
}

}  // namespace
}  // namespace gatehouse
