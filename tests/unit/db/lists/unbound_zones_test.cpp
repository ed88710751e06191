#include "db/lists/unbound_zones.hpp"

#include "db/lists/name_table.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace gatehouse::db {
namespace {

using policy::ListEntry;
using policy::ListMark;
using namespace unbound_words;

using Names = std::map<std::string, ListEntry>;

Names settled(std::initializer_list<std::pair<const char*, ListEntry>> said) {
  NameTable table;
  for (const auto& [name, entry] : said) table.add(name, entry);
  table.sort();
  table.change_each(
      [zones = UnboundZones()](std::string_view name, ListEntry entry) mutable { return zones.settle(name, entry); });
  Names out;
  table.for_each([&](std::string_view name, ListEntry entry) { out.emplace(name, entry); });
  return out;
}

TEST(UnboundZones, DataBeatsTheKindOfItsZone) {
  EXPECT_EQ(settled({{"a.test", kBlocks}, {"ok.a.test", kAddress}, {"x.ok.a.test", kSinkhole}}),
            (Names{{"a.test", ListEntry::suffix},
                   {"ok.a.test", ListEntry::exact_exception},
                   {"x.ok.a.test", ListEntry::exact}}));
  EXPECT_EQ(settled({{"a.test", kAddress}, {"a.test", kBlocks}}),
            (Names{{"a.test", {ListMark::exception, ListMark::listed}}}));
  EXPECT_EQ(settled({{"a.test", kPasses}, {"a.test", kSinkhole}}),
            (Names{{"a.test", {ListMark::listed, ListMark::exception}}}));
}

TEST(UnboundZones, AlwaysBeatsData) {
  EXPECT_EQ(settled({{"a.test", kAlwaysBlocks}, {"a.test", kAddress}, {"ok.a.test", kAddress}}),
            (Names{{"a.test", ListEntry::suffix}}));
  EXPECT_EQ(settled({{"a.test", kAlwaysPasses}, {"x.a.test", kSinkhole}}), (Names{{"a.test", ListEntry::exception}}));
}

TEST(UnboundZones, TheNearestZoneCounts) {
  EXPECT_EQ(settled({{"a.test", kAlwaysBlocks},
                     {"b.a.test", kBlocks},
                     {"ok.b.a.test", kAddress},
                     {"x-a.test", kAddress},     // stands between a.test and what is below it
                     {"ok.x-a.test", kAddress},  // not below a.test
                     {"ok.a.test", kAddress}}),
            (Names{{"a.test", ListEntry::suffix},
                   {"b.a.test", ListEntry::suffix},
                   {"ok.b.a.test", ListEntry::exact_exception},
                   {"x-a.test", ListEntry::exact_exception},
                   {"ok.x-a.test", ListEntry::exact_exception}}));
}

TEST(UnboundZones, ARedirectAnswersForAllBelowAsForItself) {
  EXPECT_EQ(settled({{"a.test", kRedirects},
                     {"b.test", kRedirects},
                     {"b.test", kAddress},
                     {"c.test", kRedirects},
                     {"c.test", kSinkhole}}),
            (Names{{"a.test", ListEntry::suffix}, {"b.test", ListEntry::exception}, {"c.test", ListEntry::suffix}}));
}

}  // namespace
}  // namespace gatehouse::db
