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
  for (const std::string_view name : listed) names.add(name, ListEntry::listed, kSeed);
  for (const std::string_view name : exceptions) names.add(name, ListEntry::exception, kSeed);
  ListRule out{NameSet::build(std::move(names))};
  out.exact = exact;
  if (!wrong.empty()) out.mismatches = std::make_shared<const Mismatches>(std::move(wrong));
  return out;
}

/// The entry that speaks for the name, "" for none.
std::string entry(const ListRule& rule, std::string_view name) {
  const NameSuffixes suffixes(name, kSeed);
  const auto found = rule.find(suffixes);
  return found ? std::string(suffixes.text(found->suffix)) : "";
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

/// One list of entries that speak for themselves.
ListRule mixed(std::initializer_list<std::pair<std::string_view, ListEntry>> entries, bool nearest_wins,
               bool exact = false) {
  HashedNames names;
  for (const auto& [name, what] : entries) names.add(name, what, kSeed);
  names.nearest_wins = nearest_wins;
  ListRule out{NameSet::build(std::move(names))};
  out.exact = exact;
  return out;
}

TEST(ListRule, TakesExactEntriesAndOthersSideBySide) {
  for (const bool exact : {false, true}) {  // the row's match is about open entries alone
    const ListRule list =
        mixed({{"one.test", ListEntry::exact}, {"below.test", ListEntry::children}, {"all.test", ListEntry::suffix}},
              true, exact);
    EXPECT_EQ(entry(list, "one.test"), "one.test");
    EXPECT_EQ(entry(list, "a.one.test"), "");
    EXPECT_EQ(entry(list, "below.test"), "");
    EXPECT_EQ(entry(list, "a.b.below.test"), "below.test");
    EXPECT_EQ(entry(list, "all.test"), "all.test");
    EXPECT_EQ(entry(list, "a.all.test"), "all.test");
  }
}

TEST(ListRule, SaysWhetherTheEntryIsForTheNameAlone) {
  const auto exact = [](const ListRule& list, std::string_view name) {
    return list.find(NameSuffixes(name, kSeed)).value().exact;
  };
  const ListRule list = mixed({{"one.test", ListEntry::exact}, {"all.test", ListEntry::suffix}}, true);
  EXPECT_TRUE(exact(list, "one.test"));
  EXPECT_FALSE(exact(list, "all.test"));
  EXPECT_FALSE(exact(mixed({{"open.test", ListEntry::listed}}, true, false), "open.test"));
  EXPECT_TRUE(exact(mixed({{"open.test", ListEntry::listed}}, true, true), "open.test"));
}

TEST(ListRule, MatchSetsWhatIsOpen) {
  const auto list = [](bool exact) {
    return mixed({{"open.test", ListEntry::listed}, {"all.test", ListEntry::suffix}, {"one.test", ListEntry::exact}},
                 true, exact);
  };
  EXPECT_EQ(entry(list(false), "a.open.test"), "open.test");
  EXPECT_EQ(entry(list(true), "a.open.test"), "");
  EXPECT_EQ(entry(list(true), "open.test"), "open.test");
  for (const bool exact : {false, true}) {
    EXPECT_EQ(entry(list(exact), "a.all.test"), "all.test");
    EXPECT_EQ(entry(list(exact), "a.one.test"), "");
    EXPECT_EQ(entry(list(exact), "one.test"), "one.test");
  }
}

TEST(ListRule, TheNearestEntryDecidesWhereTheFormatSaysSo) {
  const auto list = [](bool nearest_wins) {
    return mixed({{"test", ListEntry::suffix},
                  {"good.test", ListEntry::exception},
                  {"bad.good.test", ListEntry::suffix},
                  {"self.test", ListEntry::exact_exception}},
                 nearest_wins);
  };
  EXPECT_EQ(entry(list(true), "a.bad.good.test"), "bad.good.test");
  EXPECT_EQ(entry(list(false), "a.bad.good.test"), "");
  for (const bool nearest_wins : {false, true}) {
    EXPECT_EQ(entry(list(nearest_wins), "a.good.test"), "");
    EXPECT_EQ(entry(list(nearest_wins), "self.test"), "");
    EXPECT_EQ(entry(list(nearest_wins), "a.self.test"), "test");
    EXPECT_EQ(entry(list(nearest_wins), "a.test"), "test");
  }
}

TEST(ListRule, WhatIsImportantBeatsExceptions) {
  constexpr ListEntry kImportant{ListMark::important, ListMark::important};
  constexpr ListEntry kImportantException{ListMark::important_exception, ListMark::important_exception};
  const ListRule list = mixed({{"good.test", ListEntry::exception},
                               {"ads.good.test", kImportant},
                               {"ok.ads.good.test", ListEntry::exception},
                               {"very.ads.good.test", kImportantException}},
                              false);
  EXPECT_EQ(entry(list, "x.good.test"), "");
  EXPECT_EQ(entry(list, "x.ads.good.test"), "ads.good.test");
  EXPECT_EQ(entry(list, "ok.ads.good.test"), "ads.good.test");
  EXPECT_EQ(entry(list, "very.ads.good.test"), "");
}

TEST(ListRule, AnEntryKeepsItsLengthBelowAnImportantOne) {
  constexpr ListEntry kImportant{ListMark::important, ListMark::important};
  const ListRule list = mixed({{"ads.test", kImportant},
                               {"tracker.ads.test", ListEntry::suffix},
                               {"good.tracker.ads.test", ListEntry::exception}},
                              false);
  EXPECT_EQ(entry(list, "a.tracker.ads.test"), "tracker.ads.test") << "as without the important one";
  EXPECT_EQ(entry(list, "b.ads.test"), "ads.test");
  EXPECT_EQ(entry(list, "good.tracker.ads.test"), "ads.test") << "nothing else lists it";
}

}  // namespace
}  // namespace gatehouse::policy
