// What an answer leads to, and what of hostile ones.
#include <gatehouse/base/endian.hpp>
#include <gatehouse/net/dns_message.hpp>
#include <gatehouse/testkit/hex.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace gatehouse {
namespace {

using testkit::ByteVector;
using testkit::hex;
using Names = std::vector<std::string>;

Names targets(const DnsResponse& response) {
  Names out;
  for_each_target(response, [&](std::string_view name) {
    out.emplace_back(name);
    return true;
  });
  return out;
}

struct Valid {
  const char* name;
  const char* wire;  // behind id and flags
  Names targets;
};

// a.test is asked for; its name stands at 0c, "test" at 0e.
#define ASKS_A_TEST "0161|0474657374|00|0001|0001|"

const Valid kValid[] = {
    {"Nothing", "0001|0000|0000|0000|" ASKS_A_TEST, {}},
    {"NoQuestion", "0000|0000|0000|0000", {}},
    {"Address", "0001|0001|0000|0000|" ASKS_A_TEST "c00c|0001|0001|0000003c|0004|5db8d822", {}},
    {"Cname", "0001|0001|0000|0000|" ASKS_A_TEST "c00c|0005|0001|0000003c|0004|0162|c00e", {"b.test"}},
    {"Chain",
     "0001|0003|0000|0000|" ASKS_A_TEST "c00c|0005|0001|0000003c|0004|0142|c00e|c024|0005|0001|0000003c|0004|0163|c00e"
     "|c034|0001|0001|0000003c|0004|5db8d822",
     {"b.test", "c.test"}},
    {"HttpsAlias",
     "0001|0001|0000|0000|" ASKS_A_TEST "c00c|0041|0001|0000003c|000a|0000|0162|0474657374|00",
     {"b.test"}},
    {"SvcbWithParameters",
     "0001|0001|0000|0000|" ASKS_A_TEST "c00c|0040|0001|0000003c|0010|0001|0162|0474657374|00|0003|0002|01bb",
     {"b.test"}},
    {"ServiceAtItsOwnName", "0001|0001|0000|0000|" ASKS_A_TEST "c00c|0041|0001|0000003c|0003|0001|00", {}},
    {"TwoServices",
     "0001|0002|0000|0000|" ASKS_A_TEST "c00c|0041|0001|0000003c|0003|0001|00|c00c|0041|0001|0000003c|000a|0002|0162"
     "|0474657374|00",
     {"b.test"}},
    {"InOtherSections",
     "0001|0000|0001|0002|" ASKS_A_TEST "c00c|0005|0001|0000003c|0004|0162|c00e|c00c|0041|0001|0000003c|0006|0001|0163"
     "|c00e|00|0029|04d0|00000000|0000",
     {"b.test", "c.test"}},
    {"DotInLabel",
     "0001|0001|0000|0000|" ASKS_A_TEST "c00c|0005|0001|0000003c|0006|03622e63|c00e",
     {"b\x7f"
      "c.test"}},
    {"AnAddressThatLooksLikeAName", "0001|0001|0000|0000|" ASKS_A_TEST "c00c|0001|0001|0000003c|0004|c00c0000", {}},
};

ByteVector response(const char* rest) { return hex((std::string("1234|8180|") + rest).c_str()); }

class ValidDnsResponse : public testing::TestWithParam<Valid> {};

TEST_P(ValidDnsResponse, TellsItsTargets) {
  const ByteVector wire = response(GetParam().wire);
  const auto read = read_dns_response(wire);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(targets(*read), GetParam().targets);
}

TEST_P(ValidDnsResponse, IsTruncatedAtEveryByte) {
  const ByteVector wire = response(GetParam().wire);
  for (std::size_t n = 0; n < wire.size(); ++n)
    EXPECT_FALSE(read_dns_response(ByteVector(wire.data(), wire.data() + n))) << "at byte " << n;
}

INSTANTIATE_TEST_SUITE_P(Vectors, ValidDnsResponse, testing::ValuesIn(kValid),
                         [](const auto& test) { return test.param.name; });

struct Invalid {
  const char* name;
  const char* wire;
  Errc why;
};

constexpr Invalid kInvalid[] = {
    {"TargetThatPointsToItself", "0001|0001|0000|0000|" ASKS_A_TEST "c00c|0005|0001|0000003c|0002|c024",
     Errc::malformed},
    {"TargetThatPointsForward",
     "0001|0002|0000|0000|" ASKS_A_TEST "c00c|0005|0001|0000003c|0002|c032|c00c|0001|0001|0000003c|0004|01620000",
     Errc::malformed},
    {"TargetsInACircle",
     "0001|0002|0000|0000|" ASKS_A_TEST "c00c|0005|0001|0000003c|0004|0162|c034|c00c|0005|0001|0000003c|0004|0163|c024",
     Errc::malformed},
    {"TargetBeyondItsRecord",
     "0001|0001|0000|0001|" ASKS_A_TEST "c00c|0005|0001|0000003c|0002|0162|c00e000100010000003c0000", Errc::malformed},
    {"TargetWithoutData", "0001|0001|0000|0000|" ASKS_A_TEST "c00c|0005|0001|0000003c|0000", Errc::malformed},
    {"ServiceWithoutTarget", "0001|0001|0000|0000|" ASKS_A_TEST "c00c|0041|0001|0000003c|0002|0001", Errc::malformed},
    {"RecordsMissing", "0001|ffff|ffff|ffff|" ASKS_A_TEST, Errc::truncated},
    {"QuestionsMissing", "0002|0000|0000|0000|" ASKS_A_TEST, Errc::truncated},
    {"TooManyQuestions", "0011|0000|0000|0000|" ASKS_A_TEST, Errc::oversize},
};

class InvalidDnsResponse : public testing::TestWithParam<Invalid> {};

TEST_P(InvalidDnsResponse, IsRefused) {
  const auto read = read_dns_response(response(GetParam().wire));
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error(), GetParam().why) << read.error().message();
}

INSTANTIATE_TEST_SUITE_P(Vectors, InvalidDnsResponse, testing::ValuesIn(kInvalid),
                         [](const auto& test) { return test.param.name; });

TEST(DnsResponse, IsNoQuery) {
  EXPECT_EQ(read_dns_response(hex("1234|0100|0001|0000|0000|0000|0161|00|0001|0001")).error(), Errc::malformed);
}

/// A response to a.test with `count` CNAME records.
ByteVector with_targets(unsigned count) {
  ByteVector wire = response("0001|0000|0000|0000|" ASKS_A_TEST);
  store_big(MutableBytes(wire).subspan(6), static_cast<std::uint16_t>(count));
  const ByteVector record = hex("c00c|0005|0001|0000003c|0002|c00e");
  for (unsigned i = 0; i < count; ++i) wire.insert(wire.end(), record.begin(), record.end());
  return wire;
}

TEST(DnsResponse, TakesSoManyTargetsAndNoMore) {
  const ByteVector most = with_targets(kMostDnsTargets);
  ASSERT_TRUE(read_dns_response(most));
  EXPECT_EQ(targets(*read_dns_response(most)).size(), kMostDnsTargets);
  EXPECT_EQ(read_dns_response(with_targets(kMostDnsTargets + 1)).error(), Errc::oversize);
}

/// A response to a.test with `count` CNAME records for `labels` times "x", written once, and `more` before the root.
ByteVector with_labels(unsigned count, unsigned labels, unsigned more) {
  ByteVector wire = response("0001|0000|0000|0000|" ASKS_A_TEST);
  store_big(MutableBytes(wire).subspan(6), static_cast<std::uint16_t>(count));
  const ByteVector head = hex("c00c|0005|0001|0000003c"), label = hex("01|78");
  std::size_t first = 0;
  for (unsigned i = 0; i < count; ++i) {
    wire.insert(wire.end(), head.begin(), head.end());
    ByteVector name;
    for (unsigned j = 0; i == 0 && j < labels + more; ++j) name.insert(name.end(), label.begin(), label.end());
    name.resize(name.size() + (i == 0 ? 1 : 2));
    if (i != 0) store_big(MutableBytes(name), static_cast<std::uint16_t>(0xc000 | (first + 2 * more)));
    wire.resize(wire.size() + 2);
    store_big(MutableBytes(wire).last(2), static_cast<std::uint16_t>(name.size()));
    if (i == 0) first = wire.size();
    wire.insert(wire.end(), name.begin(), name.end());
  }
  return wire;
}

/// Each of them is looked up, so that a small answer of long names would cost as much as thousands of others.
TEST(DnsResponse, TakesSoManyLabelsOfItsTargetsAndNoMore) {
  static_assert(kMostTargetLabels == 4 * 64);
  const ByteVector most = with_labels(4, 64, 0);
  ASSERT_TRUE(read_dns_response(most));
  EXPECT_EQ(targets(*read_dns_response(most)).size(), 4u);
  EXPECT_EQ(read_dns_response(with_labels(4, 64, 1)).error(), Errc::oversize);
  EXPECT_EQ(read_dns_response(with_labels(3, 120, 0)).error(), Errc::oversize);
}

/// A response whose target is reached by `count` pointers, each to the one before.
ByteVector with_pointers(unsigned count) {
  ByteVector wire = response("0001|0002|0000|0000|" ASKS_A_TEST "c00c|0010|0001|0000003c|0000");
  const std::size_t first = wire.size();
  store_big(MutableBytes(wire).last(2), static_cast<std::uint16_t>(2 * count - 2));
  for (unsigned i = 0; i < count; ++i) {
    if (i == count - 1) {
      const ByteVector head = hex("c00c|0005|0001|0000003c|0002");
      wire.insert(wire.end(), head.begin(), head.end());
    }
    const std::size_t to = i == 0 ? 14 : first + 2 * i - 2;
    wire.resize(wire.size() + 2);
    store_big(MutableBytes(wire).last(2), static_cast<std::uint16_t>(0xc000 | to));
  }
  return wire;
}

TEST(DnsResponse, HasFewPointersInATarget) {
  const ByteVector most = with_pointers(16);
  ASSERT_TRUE(read_dns_response(most));
  EXPECT_EQ(targets(*read_dns_response(most)), Names{"test"});
  EXPECT_EQ(read_dns_response(with_pointers(17)).error(), Errc::malformed);
}

TEST(DnsResponse, MayHaveThousandsOfOtherRecords) {
  ByteVector wire = response("0001|1000|0000|0000|" ASKS_A_TEST);
  const ByteVector record = hex("c00c|0001|0001|0000003c|0004|5db8d822");
  for (unsigned i = 1; i < 0x1000; ++i) wire.insert(wire.end(), record.begin(), record.end());
  const ByteVector last = hex("c00c|0005|0001|0000003c|0004|0162|c00e");
  wire.insert(wire.end(), last.begin(), last.end());
  const auto read = read_dns_response(wire);
  ASSERT_TRUE(read);
  EXPECT_EQ(targets(*read), Names{"b.test"});
}

TEST(DnsResponse, IsReplacedByABlockedAnswerToItsQuestion) {
  ByteVector wire =
      response("0001|0001|0000|0001|" ASKS_A_TEST "c00c|0005|0001|0000003c|0004|0162|c00e|00|0029|04d0|00008000|0000");
  const auto read = read_dns_response(wire);
  ASSERT_TRUE(read);
  wire.resize(write_blocked_answer(read->asked, DnsRcode::refused, 10, wire));
  EXPECT_EQ(wire, hex("1234|8185|0001|0000|0000|0001|" ASKS_A_TEST "00|0029|04d0|00008000|0000"));
}

TEST(DnsResponse, HasNoSoaInItsPlaceWithoutAQuestion) {
  const ByteVector wire = response("0000|0001|0000|0000|00|0005|0001|0000003c|0003|0162|00");
  const auto read = read_dns_response(wire);
  ASSERT_TRUE(read);
  ByteVector out(100);
  out.resize(write_blocked_answer(read->asked, DnsRcode::nxdomain, 10, out));
  EXPECT_EQ(out, hex("1234|8183|0000|0000|0000|0000"));
}

}  // namespace
}  // namespace gatehouse
