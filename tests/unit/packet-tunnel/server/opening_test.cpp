#include "plugins/packet-tunnel/server/opening.hpp"

#include "plugins/packet-tunnel/server/flow.hpp"
#include "plugins/packet-tunnel/server/session.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <set>

namespace gatehouse::packet_tunnel {
namespace {

TEST(SessionId, OfTheRightShapeWillDo) {
  EXPECT_FALSE(refuse_session_id(std::string(32, 'a'), true));
  EXPECT_FALSE(refuse_session_id(std::string(64, '-'), true));
  EXPECT_FALSE(refuse_session_id("a", false));
  EXPECT_FALSE(refuse_session_id("AZaz09-_", false));
}

TEST(SessionId, OfAnotherShapeIsRefusedByItsStatus) {
  const std::optional<std::string> wrong[] = {std::nullopt, "", std::string(65, 'a'), "a b", "a,b", "\xc3\xa4", "a\n"};
  for (const auto& id : wrong) {
    const auto why = refuse_session_id(id, false);
    ASSERT_TRUE(why) << id.value_or("none");
    EXPECT_EQ(why->status, 400u);
    EXPECT_FALSE(why->sentence.empty());
  }
}

TEST(SessionId, OfAnAnonymousClientHasToBeASecret) {
  EXPECT_TRUE(refuse_session_id(std::string(31, 'a'), true));
  EXPECT_FALSE(refuse_session_id(std::string(31, 'a'), false));
}

TEST(OpeningAnswer, SaysWhatTheTunnelCarries) {
  std::string text;
  for (const HttpField& field : opening_answer(1400, true, false, FrameForm::plain))
    text += field.name + ": " + field.value + "; ";
  EXPECT_EQ(text, "Tunnel-MTU: 1400; Session-Resumed: yes; Tunnel-IPv6: no; ");
  EXPECT_EQ(opening_answer(1400, true, true, FrameForm::plain).back().value, "yes");
  EXPECT_EQ(opening_answer(1400, true, true, FrameForm::large).back().name, "Tunnel-Features");
  EXPECT_EQ(opening_answer(1400, true, true, FrameForm::large).back().value, "large-frames");
}

TEST(SessionBlob, ReadsWhatItWrote) {
  const SessionBlob blob{0x123456, IpAddress::v4(0x0a12'3456), IpAddress::v4(0xac10'0001),
                         *IpAddress::parse("fd26:b6a6:4454:310a::1")};
  const auto got = SessionBlob::read(SessionBlob::kVersion, blob.write());
  ASSERT_TRUE(got);
  EXPECT_EQ(got->index, blob.index);
  EXPECT_EQ(got->leased, blob.leased);
  EXPECT_EQ(got->client_v4, blob.client_v4);
  EXPECT_EQ(got->client_v6, blob.client_v6);
}

TEST(SessionBlob, KnowsAnAddressThatIsNotThere) {
  const auto got = SessionBlob::read(SessionBlob::kVersion, SessionBlob{7, IpAddress::v4(0x0a00'0007), {}, {}}.write());
  ASSERT_TRUE(got);
  EXPECT_EQ(got->client_v4.family(), Family::none);
  EXPECT_EQ(got->client_v6.family(), Family::none);
}

TEST(SessionBlob, OfAnotherVersionOrSizeIsNone) {
  auto bytes = SessionBlob{}.write();
  EXPECT_FALSE(SessionBlob::read(SessionBlob::kVersion + 1, bytes));
  bytes.pop_back();
  EXPECT_FALSE(SessionBlob::read(SessionBlob::kVersion, bytes));
  EXPECT_FALSE(SessionBlob::read(SessionBlob::kVersion, {}));
}

TEST(FlowKey, SpreadsNeighbours) {
  std::set<std::size_t> low;
  for (std::uint16_t port = 0; port < 1024; ++port) {
    FlowKey key;
    key.client_port = port;
    low.insert(FlowKeyHash{}(key)&1023);
  }
  EXPECT_GT(low.size(), 550u) << "1,024 keys into as many places: 647 of them are used at random";
}

TEST(FlowKey, SpreadsWhatAClientHasChosenAgainstIt) {
  std::set<std::size_t> hashes;
  for (std::uint16_t port = 0; port < 1024; ++port) {
    FlowKey key;
    // An interface identifier that makes one factor 0 where the hash has these well-known numbers and no secret.
    constexpr std::array<unsigned char, 8> kFactor = {0xdb, 0x28, 0xb4, 0xa0, 0xd1, 0x7e, 0x03, 0xe7};
    std::memcpy(key.remote.data() + 8, kFactor.data(), kFactor.size());
    key.version = 6;
    key.remote_port = port;
    hashes.insert(FlowKeyHash{}(key));
  }
  EXPECT_EQ(hashes.size(), 1024u);
}

TEST(Reject, HasANameForEach) {
  std::set<std::string_view> names(kRejectNames.begin(), kRejectNames.end());
  EXPECT_EQ(names.size(), kRejects);
  EXPECT_FALSE(names.contains(""));
  EXPECT_EQ(to_text(Reject::device), "device");
  EXPECT_EQ(to_text(Reject::no_session), "no_session");
}

}  // namespace
}  // namespace gatehouse::packet_tunnel
