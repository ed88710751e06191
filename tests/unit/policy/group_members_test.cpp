#include "policy/match/group_members.hpp"

#include <gtest/gtest.h>

#include <random>

namespace gatehouse::policy {
namespace {

using Kind = GroupMembers::Kind;
constexpr auto kFirst = GroupIndex{0}, kSecond = GroupIndex{1};

ClientFacts from(const IpAddress& source) { return {"udpgw", "127.0.0.1:7300", "", source}; }
IpAddress address(const char* text) { return IpAddress::parse(text).value(); }

TEST(GroupMembers, AreNobodyAtFirst) {
  GroupMembers members;
  members.finish();
  EXPECT_FALSE(members.find({"udpgw", "127.0.0.1:7300", "token:bob", address("192.0.2.1")}));
  EXPECT_FALSE(members.find({}));
}

/// An address that prefixes of the test often cover: few values a byte.
IpAddress drawn(std::mt19937& random) {
  const auto byte = [&] { return std::byte{static_cast<std::uint8_t>(random() % 3 * 85)}; };
  if (random() % 2 == 0) return IpAddress::v4(std::array{std::byte{10}, byte(), byte(), byte()});
  std::array<std::byte, 16> bytes{std::byte{0x2a}};
  for (std::size_t i = 1; i < bytes.size(); ++i) bytes[i] = byte();
  return IpAddress::v6(bytes);
}

TEST(GroupMembers, FindTheFirstGroupThatHasTheSource) {
  std::mt19937 random(7);
  for (int round = 0; round < 30; ++round) {
    GroupMembers members;
    std::vector<std::pair<Prefix, GroupIndex>> rows;
    for (int i = 0; i < 40; ++i) {
      const IpAddress base = drawn(random);
      rows.emplace_back(Prefix(base, static_cast<unsigned>(random() % (base.bits() + 1))),
                        static_cast<GroupIndex>(random() % 50));
      members.add(rows.back().second, rows.back().first);
    }
    members.finish();
    for (int i = 0; i < 500; ++i) {
      const IpAddress source = drawn(random);
      std::optional<GroupIndex> want;
      for (const auto& [prefix, group] : rows)
        if (prefix.contains(source) && (!want || group < *want)) want = group;
      ASSERT_EQ(members.find(from(source)), want) << source.to_string();
    }
    EXPECT_FALSE(members.find(from({})));
  }
}

TEST(GroupMembers, KnowASourceInAnyOfItsForms) {
  GroupMembers members;
  members.add(kSecond, Prefix::parse("192.0.2.0/24").value());
  members.add(kFirst, Prefix::parse("2001::/32").value());  // Teredo, which is not unwrapped
  members.finish();
  for (const char* form : {"192.0.2.7", "::ffff:192.0.2.7", "64:ff9b::192.0.2.7", "2002:c000:207::1", "::192.0.2.7"})
    EXPECT_EQ(members.find(from(address(form))), kSecond) << form;
  EXPECT_EQ(members.find(from(address("2001::1"))), kFirst);
  EXPECT_FALSE(members.find(from(address("192.0.3.7"))));
  EXPECT_FALSE(members.find(from(address("2001:1::1"))));
}

TEST(GroupMembers, TakeTheFirstOfAllThatMatch) {
  GroupMembers members;
  members.add(GroupIndex{4}, Kind::identity, "token:*");
  members.add(GroupIndex{3}, Prefix::parse("192.0.2.0/24").value());
  members.add(GroupIndex{2}, Kind::listener, "unix:*");
  members.add(GroupIndex{1}, Kind::plugin, "echo");
  members.add(GroupIndex{5}, Kind::identity, "token:bob");
  members.add(GroupIndex{2}, Kind::identity, "token:bob");
  members.finish();
  const auto group = [&](const char* plugin, const char* listener, const char* identity, const char* source) {
    return members.find({plugin, listener, identity, address(source)});
  };
  EXPECT_EQ(group("udpgw", "x", "token:bob", "192.0.2.1"), GroupIndex{2});
  EXPECT_EQ(group("udpgw", "x", "token:eve", "192.0.2.1"), GroupIndex{3});
  EXPECT_EQ(group("udpgw", "x", "token:eve", "192.0.3.1"), GroupIndex{4});
  EXPECT_EQ(group("udpgw", "unix:/s", "token:eve", "192.0.2.1"), GroupIndex{2});
  EXPECT_EQ(group("echo", "unix:/s", "token:bob", "192.0.2.1"), GroupIndex{1});
  EXPECT_FALSE(group("udpgw", "x", "unix:bob", "192.0.3.1"));
}

}  // namespace
}  // namespace gatehouse::policy
