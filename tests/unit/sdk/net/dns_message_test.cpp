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

struct Seen {
  std::string name;
  unsigned type;
  unsigned dns_class;
  bool operator==(const Seen&) const = default;
};

void PrintTo(const Seen& seen, std::ostream* out) { *out << seen.name << ' ' << seen.type << ' ' << seen.dns_class; }

std::vector<Seen> questions(const DnsQuery& query) {
  std::vector<Seen> out;
  for_each_question(query, [&](std::string_view name, std::uint16_t type, std::uint16_t dns_class) {
    out.push_back({std::string(name), type, dns_class});
  });
  return out;
}

struct Valid {
  const char* name;
  const char* wire;
  std::vector<Seen> questions;
  bool edns = false;
  bool dnssec_ok = false;
};

const Valid kValid[] = {
    {"Plain", "1234|0100|0001|0000|0000|0000|0161|0474657374|00|0001|0001", {{"a.test", 1, 1}}},
    {"UpperCase", "1234|0100|0001|0000|0000|0000|0141|0454655354|00|0041|0001", {{"a.test", 65, 1}}},
    {"Root", "1234|0100|0001|0000|0000|0000|00|0002|0001", {{"", 2, 1}}},
    {"OddBytes", "1234|0100|0001|0000|0000|0000|04|00ff205b|00|0001|0001", {{std::string("\0\xff [", 4), 1, 1}}},
    {"DotInLabel",
     "1234|0100|0001|0000|0000|0000|03612e42|0474657374|00|0001|0001",
     {{"a\x7f"
       "b.test",
       1, 1}}},
    {"DotAlone", "1234|0100|0001|0000|0000|0000|012e|00|0001|0001", {{"\x7f", 1, 1}}},
    {"ServiceInstance",  // RFC 6763, 4.1.1: an instance is one label, in UTF-8 and with whatever it has
     "1234|0100|0001|0000|0000|0000|0d44722e2050c3a97072736f6e2e|055f68747470|045f746370|0474657374|00|0010|0001",
     {{"dr\x7f p\xc3\xa9"
       "prson\x7f._http._tcp.test",
       16, 1}}},
    {"TwoQuestions",
     "1234|0100|0002|0000|0000|0000|0161|0474657374|00|0001|0001|0162|0474657374|00|001c|0003",
     {{"a.test", 1, 1}, {"b.test", 28, 3}}},
    {"CompressedSecond",
     "1234|0100|0002|0000|0000|0000|0161|0474657374|00|0001|0001|0162|c00e|001c|0001",
     {{"a.test", 1, 1}, {"b.test", 28, 1}}},
    {"PointerToPointer",
     "1234|0100|0003|0000|0000|0000|0161|0474657374|00|0001|0001|0162|c00e|0001|0001|0163|c018|0001|0001",
     {{"a.test", 1, 1}, {"b.test", 1, 1}, {"c.b.test", 1, 1}}},
    {"Edns",
     "1234|0120|0001|0000|0000|0001|0161|0474657374|00|0001|0001|00|0029|1000|00000000|0000",
     {{"a.test", 1, 1}},
     true},
    {"EdnsWithDoAndOptions",
     "1234|0100|0001|0000|0000|0001|0161|0474657374|00|0001|0001|00|0029|04d0|00008000|0004|000a0000",
     {{"a.test", 1, 1}},
     true,
     true},
    {"OptAfterAnotherRecord",
     "1234|2800|0001|0000|0001|0001|0161|0474657374|00|0006|0001|c00c|0001|0001|00000000|0004|7f000001"
     "|00|0029|04d0|00000000|0000",
     {{"a.test", 6, 1}},
     true},
    {"OptTypeInAnAnswerIsNoEdns",
     "1234|0100|0001|0001|0000|0000|0161|0474657374|00|0001|0001|00|0029|04d0|00000000|0000",
     {{"a.test", 1, 1}}},
};

class ValidDnsQuery : public testing::TestWithParam<Valid> {};

TEST_P(ValidDnsQuery, IsRead) {
  const ByteVector wire = hex(GetParam().wire);
  const auto query = read_dns_query(wire);
  ASSERT_TRUE(query) << query.error().message();
  EXPECT_EQ(query->id, 0x1234);
  EXPECT_EQ(query->question_count, GetParam().questions.size());
  EXPECT_EQ(query->edns, GetParam().edns);
  EXPECT_EQ(query->dnssec_ok, GetParam().dnssec_ok);
  EXPECT_EQ(questions(*query), GetParam().questions);
}

TEST_P(ValidDnsQuery, IsTruncatedAtEveryByte) {
  const ByteVector wire = hex(GetParam().wire);
  for (std::size_t n = 0; n < wire.size(); ++n) {
    const ByteVector cut(wire.data(), wire.data() + n);
    const auto query = read_dns_query(cut);
    ASSERT_FALSE(query) << "at byte " << n;
    EXPECT_EQ(query.error(), Errc::truncated) << "at byte " << n;
  }
}

TEST_P(ValidDnsQuery, GetsAnAnswerWithItsQuestions) {
  const ByteVector wire = hex(GetParam().wire);
  const auto query = read_dns_query(wire);
  ASSERT_TRUE(query);
  ByteVector answer(wire.size() + kBlockedAnswerGrowth);
  const std::size_t size = write_blocked_answer(*query, DnsRcode::nxdomain, 10, answer);
  ASSERT_GT(size, 0u);
  answer.resize(size);
  EXPECT_EQ(load_big<std::uint16_t>(Bytes(answer).subspan(2)) & 0x868f, 0x8083);  // QR, AA, TC, RA, rcode
  answer[2] &= std::byte{0x7f};
  const auto echoed = read_dns_query(answer);
  ASSERT_TRUE(echoed);
  EXPECT_EQ(echoed->id, query->id);
  EXPECT_EQ(echoed->opcode(), query->opcode());
  EXPECT_EQ(echoed->edns, query->edns);
  EXPECT_EQ(echoed->dnssec_ok, query->dnssec_ok);
  EXPECT_EQ(questions(*echoed), GetParam().questions);
}

INSTANTIATE_TEST_SUITE_P(Vectors, ValidDnsQuery, testing::ValuesIn(kValid),
                         [](const auto& test) { return test.param.name; });

struct Invalid {
  const char* name;
  const char* wire;
  Errc why;
};

constexpr Invalid kInvalid[] = {
    {"Response", "1234|8180|0001|0000|0000|0000|0161|00|0001|0001", Errc::malformed},
    {"NoQuestion", "1234|0100|0000|0000|0000|0000", Errc::malformed},
    {"TooManyQuestions", "1234|0100|0011|0000|0000|0000|0161|00|0001|0001", Errc::oversize},
    {"LabelKind40", "1234|0100|0001|0000|0000|0000|40|00|0001|0001", Errc::malformed},
    {"LabelKind80", "1234|0100|0001|0000|0000|0000|81|00|0001|0001", Errc::malformed},
    {"PointerToItself", "1234|0100|0001|0000|0000|0000|c00c|0001|0001", Errc::malformed},
    {"PointerForward", "1234|0100|0001|0000|0000|0000|c00e|0161|00|0001|0001", Errc::malformed},
    {"PointerIntoTheHeader", "1234|0100|0001|0000|0000|0000|0161|c004|0001|0001", Errc::malformed},
    {"PointerIntoItsOwnRun", "1234|0100|0001|0000|0000|0000|0161|c00c|0001|0001", Errc::malformed},
    {"PointersInACircle", "1234|0100|0002|0000|0000|0000|0161|00|0001|0001|0162|c015|c013|0001|0001", Errc::malformed},
    // The pointer goes back to a class whose value, taken as a length, reaches over the name that points to it.
    {"PointerToALabelThatReachesForward",
     "1234|0100|0002|0000|0000|0000|0161|00|0000|0e00|0162|c011|0001|0001|000000000000000000000000", Errc::malformed},
    {"TwoOpt", "1234|0100|0001|0000|0000|0002|0161|00|0001|0001|00|0029|04d0|00000000|0000|00|0029|04d0|00000000|0000",
     Errc::malformed},
    {"OptWithAName", "1234|0100|0001|0000|0000|0001|0161|00|0001|0001|0161|00|0029|04d0|00000000|0000",
     Errc::malformed},
    {"RecordLabelKind40", "1234|0100|0001|0000|0000|0001|0161|00|0001|0001|41|00|0029|04d0|00000000|0000",
     Errc::malformed},
    {"RecordDataBeyondTheEnd", "1234|0100|0001|0000|0000|0001|0161|00|0001|0001|00|0029|04d0|00000000|0001",
     Errc::truncated},
    {"RecordsMissing", "1234|0100|0001|ffff|ffff|ffff|0161|00|0001|0001", Errc::truncated},
};

class InvalidDnsQuery : public testing::TestWithParam<Invalid> {};

TEST_P(InvalidDnsQuery, IsRefused) {
  const auto query = read_dns_query(hex(GetParam().wire));
  ASSERT_FALSE(query);
  EXPECT_EQ(query.error(), GetParam().why) << query.error().message();
}

INSTANTIATE_TEST_SUITE_P(Vectors, InvalidDnsQuery, testing::ValuesIn(kInvalid),
                         [](const auto& test) { return test.param.name; });

/// A query for a name of labels of these lengths, each filled with 'a'.
ByteVector query_of(const std::vector<std::size_t>& labels) {
  ByteVector wire = hex("1234|0100|0001|0000|0000|0000");
  for (const std::size_t length : labels) {
    wire.push_back(static_cast<std::byte>(length));
    wire.insert(wire.end(), length, std::byte{'a'});
  }
  const ByteVector rest = hex("00|0001|0001");
  wire.insert(wire.end(), rest.begin(), rest.end());
  return wire;
}

TEST(DnsQuery, TakesTheLongestNameAndNoLonger) {
  const ByteVector longest = query_of({63, 63, 63, 61});
  const auto query = read_dns_query(longest);
  ASSERT_TRUE(query);
  EXPECT_EQ(questions(*query)[0].name.size(), kLongestDomain);
  EXPECT_EQ(read_dns_query(query_of({63, 63, 63, 62})).error(), Errc::malformed);
  const ByteVector single_letters = query_of(std::vector<std::size_t>(127, 1));
  const auto many = read_dns_query(single_letters);
  ASSERT_TRUE(many);
  EXPECT_EQ(questions(*many)[0].name.size(), kLongestDomain);
}

TEST(DnsQuery, CountsTheLengthOfANameThroughPointers) {
  ByteVector wire = query_of({63, 63, 63, 61});
  wire[5] = std::byte{2};
  const ByteVector second = hex("0162|c00c|0001|0001");
  wire.insert(wire.end(), second.begin(), second.end());
  EXPECT_EQ(read_dns_query(wire).error(), Errc::malformed);
}

TEST(DnsQuery, IgnoresBytesAfterTheLastRecord) {
  const auto wire = hex("1234|0100|0001|0000|0000|0000|0161|00|0001|0001|ffff");
  const auto query = read_dns_query(wire);
  ASSERT_TRUE(query);
  EXPECT_EQ(query->question_section.size(), 7u);
}

TEST(DnsQuery, TakesSixteenQuestionsAndStopsWhenAsked) {
  ByteVector wire = hex("1234|0100|0010|0000|0000|0000");
  for (int i = 0; i < 16; ++i) {
    const ByteVector question = hex("0161|00|0001|0001");
    wire.insert(wire.end(), question.begin(), question.end());
  }
  const auto query = read_dns_query(wire);
  ASSERT_TRUE(query);
  EXPECT_EQ(questions(*query).size(), 16u);
  int calls = 0;
  EXPECT_FALSE(for_each_question(*query, [&](std::string_view, std::uint16_t, std::uint16_t) { return ++calls < 3; }));
  EXPECT_EQ(calls, 3);
}

TEST(BlockedAnswer, IsThisBytewise) {
  const ByteVector wire = hex("1234|0110|0001|0000|0000|0001|0141|0474657374|00|0001|0001|00|0029|1000|00008000|0000");
  ByteVector out(100);
  out.resize(write_blocked_answer(*read_dns_query(wire), DnsRcode::refused, 10, out));
  EXPECT_EQ(out, hex("1234|8195|0001|0000|0000|0001|0141|0474657374|00|0001|0001|00|0029|04d0|00008000|0000"));
}

// RFC 2308, 5: without a SOA record a negative answer is not remembered; its lifetime is the lesser of the record's own
// and its MINIMUM field.
TEST(BlockedAnswer, HasASoaWhereItSaysThatThereIsNothing) {
  const ByteVector wire = hex("1234|0110|0001|0000|0000|0001|0141|0474657374|00|0001|0001|00|0029|1000|00008000|0000");
  for (const auto& [rcode, flags] : {std::pair(DnsRcode::nxdomain, "8193"), std::pair(DnsRcode::no_error, "8190")}) {
    ByteVector out(200);
    out.resize(write_blocked_answer(*read_dns_query(wire), rcode, 300, out));
    EXPECT_EQ(out, hex((std::string("1234|") + flags +
                        "|0001|0000|0001|0001|0141|0474657374|00|0001|0001"
                        "|c00e|0006|0001|0000012c|002e|07626c6f636b6564|07696e76616c6964|00|066e6f626f6479|c02c"
                        "|00000001|0000012c|0000012c|0000012c|0000012c"
                        "|00|0029|04d0|00008000|0000")
                           .c_str()));
  }
}

TEST(BlockedAnswer, HasTheRootsSoaForTheShortestNames) {
  const auto owner = [](const char* question, std::size_t size) {
    const ByteVector wire = hex((std::string("1234|0100|0001|0000|0000|0000|") + question + "|0001|0001").c_str());
    ByteVector out(200);
    EXPECT_NE(write_blocked_answer(*read_dns_query(wire), DnsRcode::nxdomain, 10, out), 0u);
    return load_big<std::uint16_t>(Bytes(out).subspan(12 + size + 4));
  };
  EXPECT_EQ(owner("00", 1), 0xc00c);
  EXPECT_EQ(owner("0474657374|00", 6), 0xc011);
  EXPECT_EQ(owner("0161|0474657374|00", 8), 0xc00e);
}

/// A query with a question of 269 bytes, and with an OPT record that announces `payload`, unless that is 0.
ByteVector long_query(std::uint16_t payload, unsigned questions) {
  ByteVector wire = hex(payload != 0 ? "1234|0100|0001|0000|0000|0001" : "1234|0100|0001|0000|0000|0000");
  wire[5] = static_cast<std::byte>(questions);
  for (unsigned i = 0; i < questions; ++i) {
    for (const std::size_t length : {63, 63, 63, 51}) {
      wire.push_back(static_cast<std::byte>(length));
      wire.insert(wire.end(), length, std::byte{'a'});
    }
    const ByteVector rest = hex("00|0001|0001");
    wire.insert(wire.end(), rest.begin(), rest.end());
  }
  if (payload == 0) return wire;
  ByteVector opt = hex("00|0029|0000|00000000|0000");
  store_big(MutableBytes(opt).subspan(3), payload);
  wire.insert(wire.end(), opt.begin(), opt.end());
  return wire;
}

TEST(BlockedAnswer, IsNoLongerThanTheClientTakes) {
  const auto authorities = [](const ByteVector& wire) {
    ByteVector out(wire.size() + kBlockedAnswerGrowth);
    const std::size_t size = write_blocked_answer(*read_dns_query(wire), DnsRcode::nxdomain, 10, out);
    EXPECT_GE(size, wire.size());
    return load_big<std::uint16_t>(Bytes(out).subspan(8));
  };
  EXPECT_EQ(authorities(long_query(0, 1)), 1);
  EXPECT_EQ(authorities(long_query(0, 2)), 0) << "512 bytes without EDNS";
  EXPECT_EQ(authorities(long_query(400, 2)), 0) << "512 bytes also where EDNS says less";
  EXPECT_EQ(authorities(long_query(1232, 2)), 1);
}

TEST(BlockedAnswer, MayReplaceItsQuery) {
  ByteVector wire = hex("1234|0100|0001|0000|0000|0000|0161|0474657374|00|0001|0001|ff");
  const std::size_t size = write_blocked_answer(*read_dns_query(wire), DnsRcode::refused, 10, wire);
  wire.resize(size);
  EXPECT_EQ(wire, hex("1234|8185|0001|0000|0000|0000|0161|0474657374|00|0001|0001"));
}

TEST(BlockedAnswer, WantsRoom) {
  const ByteVector wire = hex("1234|0100|0001|0000|0000|0000|0161|0474657374|00|0001|0001");
  ByteVector out(wire.size() - 1);
  EXPECT_EQ(write_blocked_answer(*read_dns_query(wire), DnsRcode::nxdomain, 10, out), 0u);
  out.push_back({});
  EXPECT_EQ(write_blocked_answer(*read_dns_query(wire), DnsRcode::nxdomain, 10, out), wire.size()) << "without the SOA";
}

}  // namespace
}  // namespace gatehouse
