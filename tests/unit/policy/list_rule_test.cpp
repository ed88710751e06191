// One list against names whose hashes collide: what the file says beats what the compiled set reports.
#include "policy/match/list_rule.hpp"

#include <gtest/gtest.h>

#include <initializer_list>

namespace gatehouse::policy {
namespace {

constexpr HashSeed kSeed{11, 22};

using Names = std::initializer_list<std::string_view>;

/// The set reports all of `listed` and `exceptions`; the file says otherwise of `wrong`.
ListRule rule(bool exact, Names listed, Names exceptions, Mismatches wrong) {
  HashedNames names;
  for (const std::string_view name : listed) names.add(name, false, kSeed);
  for (const std::string_view name : exceptions) names.add(name, true, kSeed);
  ListRule out{NameSet::build(std::move(names))};
  out.exact = exact;
  if (!wrong.empty()) out.mismatches = std::make_shared<const Mismatches>(std::move(wrong));
  return out;
}

/// The entry that speaks for the name, "" for none.
std::string entry(const ListRule& rule, std::string_view name) {
  const NameSuffixes suffixes(name, kSeed);
  const auto found = rule.find(suffixes);
  return found ? std::string(suffixes.text(*found)) : "";
}

TEST(ListRule, SkipsAnEntryThatTheFileDoesNotHaveForEachNameBelowIt) {
  EXPECT_EQ(entry(rule(false, {"b.test"}, {}, {}), "a.b.test"), "b.test");
  const ListRule corrected = rule(false, {"b.test"}, {}, {{"b.test", ListEntry::none}});
  EXPECT_EQ(entry(corrected, "b.test"), "");
  EXPECT_EQ(entry(corrected, "a.b.test"), "");
  EXPECT_EQ(entry(corrected, "y.x.a.b.test"), "");
}

TEST(ListRule, GoesOnToShorterSuffixes) {
  const ListRule list = rule(false, {"c.b.test", "b.test", "test"}, {}, {{"b.test", ListEntry::none}});
  EXPECT_EQ(entry(list, "a.c.b.test"), "c.b.test");
  EXPECT_EQ(entry(list, "a.b.test"), "test");
  EXPECT_EQ(entry(list, "B.TEST."), "test");
}

TEST(ListRule, LeavesOtherNamesAloneThatEndInTheSameLetters) {
  const ListRule list = rule(false, {"b.test", "ab.test"}, {}, {{"b.test", ListEntry::none}});
  EXPECT_EQ(entry(list, "ab.test"), "ab.test");
}

TEST(ListRule, CorrectsTheWholeNameWhereMatchIsExact) {
  const ListRule list = rule(true, {"a.test", "b.test"}, {}, {{"b.test", ListEntry::none}});
  EXPECT_EQ(entry(list, "a.test"), "a.test");
  EXPECT_EQ(entry(list, "b.test"), "");
  const ListRule excepting = rule(true, {"a.test", "b.test"}, {"x.test"}, {{"b.test", ListEntry::none}});
  EXPECT_EQ(entry(excepting, "a.test"), "a.test");
  EXPECT_EQ(entry(excepting, "b.test"), "");
}

TEST(ListRule, DoesNotBelieveAnExceptionThatTheFileDoesNotHave) {
  EXPECT_EQ(entry(rule(false, {"test"}, {"b.test"}, {}), "a.b.test"), "");
  EXPECT_EQ(entry(rule(false, {"test"}, {"b.test"}, {{"b.test", ListEntry::none}}), "a.b.test"), "test");
  EXPECT_EQ(entry(rule(false, {"test"}, {"b.test"}, {{"b.test", ListEntry::listed}}), "a.b.test"), "b.test");
}

TEST(ListRule, BelievesAnExceptionThatWasTakenForAnEntry) {
  const ListRule list = rule(false, {"test", "b.test"}, {"x.test"}, {{"b.test", ListEntry::exception}});
  EXPECT_EQ(entry(list, "a.b.test"), "");
  EXPECT_EQ(entry(list, "a.test"), "test");
}

}  // namespace
}  // namespace gatehouse::policy
