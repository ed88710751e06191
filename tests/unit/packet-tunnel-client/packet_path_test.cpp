// Uplink and downlink between a real tun device and one end of a socket pair, in a network of their own.
#include "plugins/packet-tunnel/client/downlink.hpp"
#include "plugins/packet-tunnel/client/uplink.hpp"
#include "plugins/packet-tunnel/common/raw_packet.hpp"

#include <gatehouse/base/endian.hpp>
#include <gatehouse/packet/frame_reader.hpp>

#include "tests/unit/own_network.hpp"

#include <gmock/gmock.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <functional>

namespace gatehouse::packet_tunnel {
namespace {

using namespace std::chrono_literals;

constexpr char kOwn[] = "172.16.0.1", kFar[] = "192.0.2.9";
constexpr std::uint16_t kPort = 4000;
constexpr std::size_t kUdpHeaders = 28;  // of IPv4

Endpoint endpoint(const char* address, std::uint16_t port) { return {*IpAddress::parse(address), port, 0}; }

/// A datagram of the far end, framed.
std::vector<std::byte> framed(std::uint16_t to_port, std::string_view payload, std::uint16_t from_port = 7) {
  std::vector<std::byte> packet(kUdpOverhead + payload.size());
  packet.resize(make_udp_packet(endpoint(kFar, from_port), endpoint(kOwn, to_port), bytes_of(payload), packet));
  std::vector<std::byte> out(kFrameLengthSize);
  store_big(MutableBytes(out), static_cast<std::uint16_t>(packet.size()));
  out.insert(out.end(), packet.begin(), packet.end());
  return out;
}

/// A client's packet path with a device that is up, and the server's end of its stream.
class Path final : private Readiness {
 public:
  explicit Path(std::size_t mtu = 1500, std::vector<IpAddress> dns = {}, FrameForm form = FrameForm::plain,
                bool has_offload = true)
      : device_(TunDevice::open({.name = "tun0", .offload = has_offload})),
        port_(device_),
        rules_(dns, {*DeviceAddress::parse("172.16.0.1/24")}),
        uplink_(loop_, port_, rules_, [this] { is_gone_ = true; }),
        downlink_(port_, rules_) {
    output_of("echo 1 > /proc/sys/net/ipv6/conf/tun0/disable_ipv6");  // the kernel's own packets of it would be counted
    output_of("ip address add 172.16.0.1/24 dev tun0; ip link set tun0 mtu 1500 up; ip route add default dev tun0");
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    stream_ = std::make_unique<Stream>(UniqueFd(ends[0]));
    far_.reset(ends[1]);
    EXPECT_TRUE(stream_->watch(loop_.poller(), *this));
    downlink_.start(mtu, form);
    uplink_.start(*stream_, mtu, form);
    loop_.on_turn([] {}, [this] { after_turn(); });
  }
  ~Path() { uplink_.stop(); }

  /// Turns until `done`, a second at most.
  bool run_until(const std::function<bool()>& done) {
    done_ = done;
    LaneTimer end([this] { loop_.stop(); });
    loop_.schedule(end, 1s);
    loop_.context().restart();
    loop_.run();
    return done_();
  }

  /// All that the server's end has got by now.
  std::vector<std::byte>& arrived_bytes() {
    std::vector<std::byte> part(1 << 20);
    for (ssize_t size = 0; (size = ::recv(far_.get(), part.data(), part.size(), MSG_DONTWAIT)) > 0;)
      got_.insert(got_.end(), part.begin(), part.begin() + size);
    return got_;
  }
  /// Whole packets of it, in the plain form.
  std::vector<std::vector<std::byte>> arrived() {
    FrameReader reader(arrived_bytes(), kLongestFrame);
    std::vector<std::vector<std::byte>> out;
    for (auto next = reader.next(); next.kind == FrameReader::Kind::frame; next = reader.next())
      out.emplace_back(next.packet.begin(), next.packet.end());
    return out;
  }
  void send(Bytes in) { EXPECT_EQ(::send(far_.get(), in.data(), in.size(), 0), static_cast<ssize_t>(in.size())); }

  LaneLoop loop_;
  TunDevice device_;
  DevicePort port_;
  PacketRules rules_;
  Uplink uplink_;
  Downlink downlink_;
  std::unique_ptr<Stream> stream_;
  UniqueFd far_;
  Error read_error_;
  bool is_gone_ = false;

 private:
  void on_ready(std::uint32_t events) override {
    if ((events & EPOLLOUT) != 0) uplink_.go_on();
    if ((events & EPOLLIN) == 0) return;
    if (const auto got = downlink_.read(*stream_); !got && got.error() != Errc::would_block) read_error_ = got.error();
  }
  void after_turn() {
    uplink_.flush();
    stream_->watch_for(true, uplink_.is_blocked());
    if (done_ && done_()) loop_.stop();
  }

  std::function<bool()> done_;
  std::vector<std::byte> got_;
};

/// A socket of this host.
class Socket {
 public:
  Socket() : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    const sockaddr_in own = at(kOwn, kPort);
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own), 0);
  }
  void send(std::string_view payload, const char* to = kFar, std::uint16_t port = 7, int segment = 0) {
    const sockaddr_in far = at(to, port);
    if (segment != 0) ::setsockopt(fd_.get(), SOL_UDP, UDP_SEGMENT, &segment, sizeof segment);
    EXPECT_EQ(
        ::sendto(fd_.get(), payload.data(), payload.size(), 0, reinterpret_cast<const sockaddr*>(&far), sizeof far),
        static_cast<ssize_t>(payload.size()));
  }
  std::vector<std::string> received() {
    for (ssize_t size = 0; size >= 0;) {
      std::string one(65536, ' ');
      sockaddr_in from{};
      socklen_t length = sizeof from;
      size = ::recvfrom(fd_.get(), one.data(), one.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
      if (size < 0) break;
      one.resize(static_cast<std::size_t>(size));
      got_.push_back(one);
      last_from_ = ::inet_ntoa(from.sin_addr);
    }
    return got_;
  }
  const std::string& last_from() const { return last_from_; }
  int error() {
    int out = 0;
    socklen_t size = sizeof out;
    ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &out, &size);
    return out;
  }
  void connect_to(const char* to) {
    const sockaddr_in far = at(to, 7);
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&far), sizeof far), 0);
  }

 private:
  static sockaddr_in at(const char* address, std::uint16_t port) {
    sockaddr_in out{};
    out.sin_family = AF_INET;
    out.sin_port = htons(port);
    ::inet_pton(AF_INET, address, &out.sin_addr);
    return out;
  }
  UniqueFd fd_;
  std::vector<std::string> got_;
  std::string last_from_;
};

void expect_whole(Bytes packet) {
  const auto facts = IpPacket::parse(packet);
  ASSERT_TRUE(facts.has_value());
  EXPECT_TRUE(has_right_checksum(*facts, packet));
}

TEST(PacketPath, CutsSuperPacketsIntoWholeFrames) {
  in_own_network([] {
    Path path;
    if (!path.device_.has_udp_segmentation()) return;
    Socket socket;
    std::string whole;
    for (int i = 0; i < 30'000; ++i) whole += static_cast<char>('a' + i % 23);
    socket.send(whole, kFar, 7, 1000);
    ASSERT_TRUE(path.run_until([&] { return path.arrived().size() == 30; }));
    std::string joined;
    for (const auto& packet : path.arrived()) {
      expect_whole(packet);
      joined += text_of(Bytes(packet).subspan(28));
    }
    EXPECT_EQ(joined, whole);
    EXPECT_EQ(path.port_.counters().reads, 1U);  // one read for all of them
    EXPECT_EQ(path.uplink_.counters().packets, 30U);
  });
}

TEST(PacketPath, GathersWhatBelongsTogetherIntoOneWrite) {
  in_own_network([] {
    Path path;
    if (!path.device_.has_udp_segmentation()) return;
    Socket socket;
    std::vector<std::byte> all;
    for (char c = 'a'; c < 'a' + 20; ++c) {
      const auto one = framed(kPort, std::string(1000, c));
      all.insert(all.end(), one.begin(), one.end());
    }
    path.send(all);
    ASSERT_TRUE(path.run_until([&] { return socket.received().size() == 20; }));
    EXPECT_EQ(socket.received()[7], std::string(1000, 'h'));
    EXPECT_EQ(path.port_.counters().writes, 1U);
  });
}

TEST(PacketPath, ReadsFramesWhereverTheStreamIsCut) {
  in_own_network([] {
    Path path;
    Socket socket;
    const auto one = framed(kPort, "hello");
    for (std::size_t i = 0; i < one.size(); ++i) {
      path.send(Bytes(one).subspan(i, 1));
      path.run_until([turns = 0]() mutable { return ++turns > 0; });
    }
    ASSERT_TRUE(path.run_until([&] { return !socket.received().empty(); }));
    EXPECT_EQ(socket.received(), std::vector<std::string>{"hello"});
  });
}

TEST(PacketPath, DropsMalformedPacketsAndGoesOn) {
  in_own_network([] {
    Path path;
    Socket socket;
    std::vector<std::byte> all(2);  // an empty frame
    const std::vector<std::byte> nonsense(2 + 9, std::byte{0x77});
    all.insert(all.end(), nonsense.begin(), nonsense.end());
    store_big(MutableBytes(all).subspan(2), std::uint16_t{9});
    const auto one = framed(kPort, "hello");
    all.insert(all.end(), one.begin(), one.end());
    path.send(all);
    ASSERT_TRUE(path.run_until([&] { return !socket.received().empty(); }));
    EXPECT_EQ(path.downlink_.counters().dropped, 1U);
  });
}

TEST(PacketPath, SendsASuperPacketInOnePieceWhereThatIsAgreedOn) {
  in_own_network([] {
    Path path(1500, {}, FrameForm::large);
    Socket socket;
    socket.send(std::string(5500, 'x'), kFar, 7, 1000);
    constexpr std::size_t kFrame = kLargeHeadSize + kUdpHeaders + 5500;
    ASSERT_TRUE(path.run_until([&] { return path.arrived_bytes().size() >= kFrame; }));
    ASSERT_EQ(path.arrived_bytes().size(), kFrame);
    TunnelFrameReader reader(path.arrived_bytes(), 1500, FrameForm::large);
    const auto got = reader.next();
    EXPECT_EQ(got.segment_size, 1000);
    EXPECT_EQ(count_segments(got.packet, IpPacket::parse(got.packet).value(), got.segment_size, 1500).value(), 6U);
    EXPECT_EQ(path.uplink_.counters().packets, 6U);
    EXPECT_EQ(path.uplink_.counters().bytes, 5500U + 6 * kUdpHeaders);
  });
}

/// Also where the device takes no super-packets.
TEST(PacketPath, TakesASuperPacketAsTheDeviceCan) {
  for (const bool has_offload : {true, false}) {
    in_own_network([has_offload] {
      Path path(1500, {}, FrameForm::large, has_offload);
      Socket socket;
      std::string payload;
      for (int i = 0; i < 5500; ++i) payload += static_cast<char>('a' + i % 23);
      std::vector<std::byte> packet(kUdpOverhead + payload.size());
      packet.resize(make_udp_packet(endpoint(kFar, 7), endpoint(kOwn, kPort), bytes_of(payload), packet));
      std::vector<std::byte> frame(kLargeHeadSize);
      store_big(MutableBytes(frame).subspan(2), std::uint16_t{1000});
      store_big(MutableBytes(frame).subspan(4), static_cast<std::uint16_t>(packet.size()));
      frame.insert(frame.end(), packet.begin(), packet.end());
      path.send(frame);
      ASSERT_TRUE(path.run_until([&] { return socket.received().size() == 6; }));
      std::string got;
      for (const std::string& one : socket.received()) got += one;
      EXPECT_EQ(got, payload);
      EXPECT_EQ(path.downlink_.counters().packets, 6U);
      EXPECT_EQ(path.downlink_.counters().bytes, 5500U + 6 * kUdpHeaders);
      EXPECT_EQ(path.port_.merges(), has_offload);
    });
  }
}

TEST(PacketPath, DropsASuperPacketThatCannotBeOne) {
  in_own_network([] {
    Path path(1500, {}, FrameForm::large);
    Socket socket;
    const auto one = framed(kPort, std::string(100, 'x'));
    std::vector<std::byte> all(4);
    store_big(MutableBytes(all).subspan(2), std::uint16_t{1});  // 100 datagrams of a byte
    all.insert(all.end(), one.begin(), one.end());
    const auto next = framed(kPort, "hello");
    all.insert(all.end(), next.begin(), next.end());
    path.send(all);
    ASSERT_TRUE(path.run_until([&] { return !socket.received().empty(); }));
    EXPECT_EQ(socket.received(), std::vector<std::string>{"hello"});
    EXPECT_EQ(path.downlink_.counters().dropped, 1U);
  });
}

TEST(PacketPath, GivesUpAStreamWithAPacketLongerThanAgreed) {
  in_own_network([] {
    Path path(1500);
    const std::vector<std::byte> length = {std::byte{0x05}, std::byte{0xdd}};  // 1501
    path.send(length);
    ASSERT_TRUE(path.run_until([&] { return path.read_error_.failed(); }));
    EXPECT_EQ(path.read_error_, Errc::oversize);
  });
}

TEST(PacketPath, TellsASenderWhatIsTooLong) {
  in_own_network([] {
    Path path(1280);  // the device still has 1500, as one that was handed over may
    Socket socket;
    socket.connect_to(kFar);
    const int always = IP_PMTUDISC_DO;
    socket.send("x");
    ASSERT_TRUE(path.run_until([&] { return path.arrived().size() == 1; }));
    const UniqueFd sized(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ::setsockopt(sized.get(), IPPROTO_IP, IP_MTU_DISCOVER, &always, sizeof always);
    sockaddr_in far{};
    far.sin_family = AF_INET;
    far.sin_port = htons(7);
    ::inet_pton(AF_INET, kFar, &far.sin_addr);
    ASSERT_EQ(::connect(sized.get(), reinterpret_cast<const sockaddr*>(&far), sizeof far), 0);
    const std::string large(1400, 'x');
    ASSERT_EQ(::send(sized.get(), large.data(), large.size(), 0), 1400);
    const auto mtu = [&] {
      int out = 0;
      socklen_t size = sizeof out;
      ::getsockopt(sized.get(), IPPROTO_IP, IP_MTU, &out, &size);
      return out;
    };
    EXPECT_TRUE(path.run_until([&] { return mtu() == 1280; })) << mtu();
    EXPECT_EQ(path.arrived().size(), 1U);
    EXPECT_EQ(path.uplink_.counters().refused, 1U);
  });
}

TEST(PacketPath, RewritesQueriesAndTheirAnswers) {
  in_own_network([] {
    Path path(1500, {*IpAddress::parse("172.16.0.2")});
    Socket socket;
    socket.send("a query", "172.16.0.2", 53);
    ASSERT_TRUE(path.run_until([&] { return path.arrived().size() == 1; }));
    const auto query = path.arrived().front();
    expect_whole(query);
    EXPECT_EQ(IpPacket::parse(query)->destination_address(query).to_string(), "10.0.0.2");

    std::vector<std::byte> packet(kUdpOverhead + 9);
    packet.resize(make_udp_packet(endpoint("10.0.0.2", 53), endpoint(kOwn, kPort), bytes_of("an answer"), packet));
    std::vector<std::byte> frame(kFrameLengthSize);
    store_big(MutableBytes(frame), static_cast<std::uint16_t>(packet.size()));
    frame.insert(frame.end(), packet.begin(), packet.end());
    path.send(frame);
    ASSERT_TRUE(path.run_until([&] { return !socket.received().empty(); }));
    EXPECT_EQ(socket.last_from(), "172.16.0.2");
  });
}

TEST(PacketPath, KeepsWhatAFullStreamDoesNotTakeAndGoesOnInOrder) {
  in_own_network([] {
    Path path;
    Socket socket;
    const int little = 4096;
    std::size_t sent = 0;
    ::setsockopt(path.far_.get(), SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
    while (!path.uplink_.is_blocked() && sent < 20'000) {
      for (int i = 0; i < 100; ++i) socket.send(std::to_string(sent++) + std::string(1000, '.'));
      path.run_until([turns = 0]() mutable { return ++turns > 3; });
    }
    ASSERT_TRUE(path.uplink_.is_blocked());
    for (int i = 0; i < 100; ++i) socket.send(std::to_string(sent++) + std::string(1000, '.'));
    path.run_until([turns = 0]() mutable { return ++turns > 3; });
    path.run_until([&] { return path.arrived().size() + path.uplink_.counters().lost >= sent; });
    const auto all = path.arrived();
    EXPECT_GT(all.size(), sent / 2);
    long before = -1;
    for (const auto& packet : all) {
      const long number = std::stol(std::string(text_of(Bytes(packet).subspan(28))));
      EXPECT_GT(number, before);
      before = number;
    }
    EXPECT_FALSE(path.uplink_.is_blocked());
  });
}

TEST(PacketPath, SaysThatItsDeviceHasBeenDeleted) {
  in_own_network([] {
    Path path;
    output_of("ip link delete tun0");
    EXPECT_TRUE(path.run_until([&] { return path.is_gone_; }));
  });
}

}  // namespace
}  // namespace gatehouse::packet_tunnel
