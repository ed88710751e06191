// The vectors of the protocol against the whole server, packet by packet: what it writes to its device, what it gives
// to the client, what it counts, and what it tells of a refusal.
#include "tests/unit/packet-tunnel/vectors.hpp"
#include "tests/unit/own_network.hpp"
#include "tests/unit/packet-tunnel/server/tunnel_rig.hpp"

#include <gatehouse/net/dns_message.hpp>
#include <gatehouse/packet/frame_reader.hpp>

#include <gmock/gmock.h>

#include <algorithm>

namespace gatehouse::packet_tunnel {
namespace {

const Vector& vector_named(std::string_view name) {
  const auto found = std::ranges::find_if(
      kVectors, [&](const Vector& one) { return std::string_view(one.name).starts_with(std::string(name) + ' '); });
  if (found == std::end(kVectors)) throw std::out_of_range("no vector of that name");
  return *found;
}

bool is_server_side(const Vector& one) { return one.way == Way::server_up || one.way == Way::server_down; }

/// With lengths and header checksum that are as large as the packet.
ByteVector with_own_length(ByteVector packet) {
  store_big(MutableBytes(packet).subspan(2), static_cast<std::uint16_t>(packet.size()));
  store_big<std::uint16_t>(MutableBytes(packet).subspan(10), 0);
  std::uint32_t sum = 0;
  for (std::size_t at = 0; at < 20; at += 2) sum += load_big<std::uint16_t>(Bytes(packet).subspan(at));
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  store_big(MutableBytes(packet).subspan(10), static_cast<std::uint16_t>(~sum));
  return packet;
}

/// The packet that V12 is the later fragment of begins so: UDP of 24 bytes and 104 more.
ByteVector first_fragment() {
  ByteVector out = hex(vector_named("V12").in);
  out.resize(20 + 128);
  std::fill(out.begin() + 28, out.end(), std::byte{'x'});
  store_big<std::uint16_t>(MutableBytes(out).subspan(6), 0x2000);
  store_big<std::uint16_t>(MutableBytes(out).subspan(24), 8 + 144 - 8);
  return with_own_length(out);
}

/// One session of one client, in front of a server that is watched from both sides.
class Trial {
 public:
  void run(const Vector& one) {
    SCOPED_TRACE(one.name);
    prepare(one.given);
    if (one.reason != Reject::count) return expect_refused(hex(one.in), one.reason, one.answer);
    if (one.way == Way::server_up) {
      client_.send(hex(one.in));
      EXPECT_EQ(to_hex(rig_.device.next()), one.out);
    } else {
      rig_.device.send(hex(one.in));
      EXPECT_EQ(to_hex(client_.receive()), one.out);
    }
    EXPECT_EQ(rig_.rejected(), refused_);
  }

  /// It is counted once, goes nowhere, and the next packet does.
  void expect_refused(const ByteVector& packet, Reject reason, Answer answer) {
    const bool is_down = reason == Reject::no_original_address;
    const std::uint64_t before = rig_.rejected(reason);
    is_down ? rig_.device.send(packet) : client_.send(packet);
    EXPECT_TRUE(eventually([&] { return rig_.rejected(reason) == before + 1; })) << to_text(reason);
    EXPECT_EQ(rig_.rejected(), ++refused_);
    if (answer != Answer::none) expect_answer(packet, answer);
    if (!is_down) expect_next_passes();
  }
  void expect_next_passes() {
    client_.send(hex(vector_named("V1").in));
    EXPECT_EQ(to_hex(rig_.device.next()), vector_named("V1").out) << "nothing else was written before";
  }
  void expect_silence() { EXPECT_EQ(to_hex(client_.receive(200ms)), "") << "nobody has asked for that"; }

  TunnelRig& rig() noexcept { return rig_; }
  TunnelStream& client() noexcept { return client_; }

 private:
  void prepare(Given given) {
    if (given == Given::bogons_refused) rig_.refuse_bogons();
    if (given == Given::first_fragment) {
      client_.send(first_fragment());
      EXPECT_EQ(rig_.device.next().size(), 148u);
    }
    if (given != Given::no_resolvers) return;
    std::string why;
    ASSERT_EQ(rig_.plugin.reconfigure(tunnel_options(""), why), GH_OK) << why;
    const std::uint64_t turns = rig_.plugin.turns(0);
    rig_.plugin.wake(GH_WAKE_ALIVE);
    ASSERT_TRUE(eventually([&] { return rig_.plugin.turns(0) != turns; }));
    client_ = rig_.open();
  }

  void expect_answer(const ByteVector& question, Answer answer) {
    const ByteVector got = client_.receive();
    const auto asked = IpPacket::parse(question), told = IpPacket::parse(got);
    ASSERT_TRUE(told) << "no answer, or none that can be read";
    EXPECT_TRUE(has_right_header_checksum(*told, got) && has_right_checksum(*told, got));
    EXPECT_EQ(told->destination_address(got), asked->source_address(question));
    if (answer == Answer::prohibited) {
      EXPECT_TRUE(told->is_icmp());
      EXPECT_EQ(told->icmp_type, told->version == 4 ? 3 : 1);
      EXPECT_EQ(told->icmp_code, told->version == 4 ? 13 : 1);
      return;
    }
    EXPECT_EQ(told->protocol, asked->protocol);
    EXPECT_EQ(told->source_address(got), asked->destination_address(question));
    EXPECT_EQ(told->source_port, asked->destination_port);
    EXPECT_EQ(told->destination_port, asked->source_port);
    if (answer == Answer::reset) {
      EXPECT_EQ(told->tcp_flags, kTcpRst | kTcpAck);
      return;
    }
    const Bytes message = Bytes(got).subspan(told->payload);
    ASSERT_GE(message.size(), 12u);
    EXPECT_EQ(std::to_integer<unsigned>(message[3]) & 15, 3u) << "NXDOMAIN";
  }

  TunnelRig rig_;
  TunnelStream client_ = rig_.open();
  std::uint64_t refused_ = 0;
};

TEST(Vectors, AreWholeAndFollowEachOther) {
  EXPECT_EQ(std::size(kVectors), 45u) << "and F1 to F3 below";
  EXPECT_STREQ(vector_named("V3").out, vector_named("V4").in);
  EXPECT_STREQ(vector_named("V5").out, vector_named("V6").in);
  EXPECT_STREQ(vector_named("V9").out, vector_named("V10").in);
  for (const Vector& one : kVectors) EXPECT_EQ(one.out == nullptr, one.reason != Reject::count) << one.name;
}

TEST(Vectors, HoldAtTheServer) {
  in_own_network([] {
    Trial trial;
    for (const Vector& one : kVectors)
      if (is_server_side(one)) trial.run(one);
    trial.expect_silence();
  });
}

/// R5 has an ICMP header that is none. The reference refuses real ones as well.
TEST(Vectors, AnEchoPassesWhichTheReferenceRefuses) {
  in_own_network([] {
    Trial trial;
    const ByteVector asked =
        with_own_length(hex("45000020 1c464000 40010000 ac100001 c6336407 0800 e5ca 1234 0001 70 69 6e 67"));
    trial.client().send(asked);
    ByteVector expected = asked;
    std::ranges::copy(hex("0a123456"), expected.begin() + 12);
    EXPECT_EQ(to_hex(trial.rig().device.next()), to_hex(with_own_length(expected)));
  });
}

TEST(Vectors, ALaterFragmentWithoutItsFirstIsRefused) {
  in_own_network([] {
    Trial trial;
    trial.expect_refused(hex(vector_named("V12").in), Reject::no_first_fragment, Answer::none);
  });
}

/// F1.
TEST(Vectors, PacketsStandInTheStreamBehindTheirLengths) {
  ByteVector stream = hex("0003 450102 0001 60");
  FrameReader frames(stream, 1500);
  EXPECT_THAT(frames.next().packet, testing::ElementsAreArray(hex("450102")));
  EXPECT_THAT(frames.next().packet, testing::ElementsAreArray(hex("60")));
  EXPECT_EQ(frames.next().kind, FrameReader::Kind::need_more);
}

/// F2, and F1 once more.
TEST(Vectors, AnEmptyFrameIsAnEmptyPacketAndNoError) {
  in_own_network([] {
    Trial trial;
    trial.client().write(hex("0003 450102 0001 60 0000"));
    EXPECT_TRUE(eventually([&] { return trial.rig().rejected(Reject::invalid_ip_packet_length) == 3; }));
    trial.expect_next_passes();
  });
}

/// F3: the stream ends, the session does not.
TEST(Vectors, AFrameAboveTheMtuEndsTheStream) {
  in_own_network([] {
    Trial trial;
    trial.client().write(hex("05dd"));
    EXPECT_TRUE(trial.client().has_ended());
    trial.client() = trial.rig().open();
    EXPECT_NE(trial.client().answer.find("Session-Resumed: yes"), std::string::npos) << trial.client().answer;
    trial.expect_next_passes();
  });
}

}  // namespace
}  // namespace gatehouse::packet_tunnel
