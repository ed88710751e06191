#include "policy/lists/name_set.hpp"

#include "policy/match/name_suffixes.hpp"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace gatehouse::policy {
namespace {

using Hashes = std::vector<std::uint64_t>;

ListEntry expected(std::uint64_t hash, const std::set<std::uint64_t>& listed,
                   const std::set<std::uint64_t>& exceptions) {
  if (exceptions.contains(hash)) return ListEntry::exception;
  return listed.contains(hash) ? ListEntry::listed : ListEntry::none;
}

HashedNames hashed(const Hashes& listed, const Hashes& exceptions) {
  HashedNames out;
  for (const std::uint64_t hash : listed) out.add(hash, ListEntry::listed);
  for (const std::uint64_t hash : exceptions) out.add(hash, ListEntry::exception);
  return out;
}

void expect_as_sets(const Hashes& listed, const Hashes& exceptions, std::uint64_t seed) {
  const auto names = NameSet::build(hashed(listed, exceptions));
  const std::set<std::uint64_t> in(listed.begin(), listed.end()), out(exceptions.begin(), exceptions.end());
  std::set<std::uint64_t> all = in;
  all.insert(out.begin(), out.end());
  EXPECT_EQ(names->size(), all.size());
  std::mt19937_64 random(seed);
  for (int i = 0; i < 1000; ++i) all.insert(random());
  for (const std::uint64_t hash : all) ASSERT_EQ(names->find(hash), expected(hash, in, out)) << listed.size();
}

TEST(NameSet, SaysNothingWhenEmpty) {
  const auto names = NameSet::build({});
  EXPECT_EQ(names->size(), 0U);
  EXPECT_EQ(names->find(0), ListEntry::none);
  EXPECT_EQ(names->find(~std::uint64_t{0}), ListEntry::none);
}

TEST(NameSet, AnswersAsSetsDoAtEverySmallSize) {
  std::mt19937_64 random(2);
  for (std::size_t count = 0; count <= 200; ++count) {
    Hashes listed, exceptions;
    for (std::size_t i = 0; i < count; ++i) listed.push_back(random());
    expect_as_sets(listed, {}, count);
    for (std::size_t i = 0; i < count % 7; ++i) exceptions.push_back(random());
    if (count != 0) exceptions.push_back(listed[random() % count]);  // listed too: the exception wins
    expect_as_sets(listed, exceptions, count);
  }
}

TEST(NameSet, CountsRepetitionOnce) {
  std::mt19937_64 random(3);
  Hashes listed, exceptions;
  for (int i = 0; i < 5'000; ++i) listed.push_back(random());
  for (int i = 0; i < 300; ++i) exceptions.push_back(random());
  for (int i = 0; i < 10'000; ++i) listed.push_back(listed[random() % 5'000]);
  for (int i = 0; i < 600; ++i) exceptions.push_back(i % 2 ? listed[random() % 5'000] : exceptions[random() % 300]);
  expect_as_sets(listed, exceptions, 1);
}

TEST(NameSet, AnswersAsSetsDoOverSeveralShards) {
  std::mt19937_64 random(4);
  Hashes listed, exceptions;
  for (int i = 0; i < 300'000; ++i) listed.push_back(random());
  for (int i = 0; i < 100; ++i) exceptions.push_back(random());
  expect_as_sets(listed, exceptions, 1);
}

constexpr std::array kEntries{ListEntry::exact,
                              ListEntry::children,
                              ListEntry::suffix,
                              ListEntry::listed,
                              ListEntry::exception,
                              ListEntry::exact_exception,
                              ListEntry{ListMark::exception, ListMark::listed},
                              ListEntry{ListMark::important, ListMark::important}};

TEST(NameSet, KeepsWhatTheListSaysOfEachName) {
  std::mt19937_64 random(6);
  for (const std::size_t kinds : {1U, 2U, 3U, 4U, 8U})
    for (const std::size_t count : {5U, 100U, 20'000U}) {
      std::map<std::uint64_t, ListEntry> all;
      HashedNames names;
      for (std::size_t i = 0; i < count; ++i) {
        const std::uint64_t hash = random();
        for (auto times = 1 + (random() % 10 == 0 ? random() % 3 : 0); times-- > 0;) {  // some in several ways
          const ListEntry entry = kEntries[random() % kinds];
          all[hash] |= entry;
          names.add(hash, entry);
        }
      }
      const auto set = NameSet::build(std::move(names));
      EXPECT_EQ(set->size(), all.size());
      for (const auto& [hash, entry] : all) ASSERT_EQ(set->find(hash), entry) << kinds << " kinds of " << count;
      for (int i = 0; i < 1000; ++i) ASSERT_EQ(set->find(random()), ListEntry::none);
    }
}

TEST(NameSet, TenBytesANameAlsoWhereExactOnesAndOthersStandSideBySide) {
  std::mt19937_64 random(7);
  HashedNames names;
  constexpr std::size_t kCount = 300'000;
  for (std::size_t i = 0; i < kCount; ++i) names.add(random(), kEntries[i % 3]);
  for (std::size_t i = 0; i < kCount / 20; ++i) names.add(random(), ListEntry::exception);
  const auto set = NameSet::build(std::move(names));
  EXPECT_LE(set->bytes(), 12 * set->size());
}

TEST(NameSet, OnlyExceptions) { expect_as_sets({}, {1, 2, 3}, 1); }

TEST(NameSet, IsAskedWithTheSuffixesOfAName) {
  const HashSeed seed{1, 2};
  HashedNames list;
  for (const char* const listed : {"ads.example.org", "example.com"}) list.add(listed, ListEntry::listed, seed);
  list.add("good.example.com", ListEntry::exception, seed);
  const auto names = NameSet::build(std::move(list));
  EXPECT_EQ(names->fewest_labels(), 2U);
  const NameSuffixes name("WWW.Good.Example.com.", seed);
  ASSERT_EQ(name.count(), 4U);
  EXPECT_EQ(names->find(name.hash(0)), ListEntry::none);
  EXPECT_EQ(names->find(name.hash(1)), ListEntry::listed);
  EXPECT_EQ(names->find(name.hash(2)), ListEntry::exception);
  EXPECT_EQ(names->find(name.hash(3)), ListEntry::none);
}

TEST(NameSet, KnowsTheFewestLabelsOfItsNames) {
  const auto fewest = [](std::vector<const char*> listed, std::vector<const char*> exceptions) {
    HashedNames names;
    for (const char* const name : listed) names.add(name, ListEntry::listed, {});
    for (const char* const name : exceptions) names.add(name, ListEntry::exception, {});
    return NameSet::build(std::move(names))->fewest_labels();
  };
  EXPECT_EQ(fewest({"a.b.c", "b.c", "a.b.c.d"}, {}), 2U);
  EXPECT_EQ(fewest({"a.b.c", "zip", "a.b"}, {}), 1U);
  EXPECT_EQ(fewest({"a.b.c"}, {"b.c"}), 2U);
  EXPECT_EQ(fewest({}, {"a.b.c"}), 3U);
  EXPECT_EQ(fewest({}, {}), 1U);
}

TEST(NameSet, HoldsAtMostTwelveBytesAName) {
  std::mt19937_64 random(5);
  for (const std::size_t count : {10'000, 65'536, 70'000, 300'000}) {
    Hashes listed;
    for (std::size_t i = 0; i < count; ++i) listed.push_back(random());
    const auto names = NameSet::build(hashed(listed, {}));
    EXPECT_LE(names->bytes(), 12 * count) << count;
  }
}

}  // namespace
}  // namespace gatehouse::policy
