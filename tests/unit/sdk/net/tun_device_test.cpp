// The real device of the kernel, in a network namespace.
#include <gatehouse/net/tun_device.hpp>

#include <gatehouse/base/address.hpp>

#include "tests/unit/own_network.hpp"

#include <gmock/gmock.h>

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include <array>
#include <csignal>
#include <cstring>
#include <set>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

namespace gatehouse {
namespace {

using testing::AllOf;
using testing::HasSubstr;

/// linux/virtio_net.h, which no C++ compiler reads.
struct Header {
  std::uint8_t flags = 0, gso_type = 0;
  std::uint16_t hdr_len = 0, gso_size = 0, csum_start = 0, csum_offset = 0;
};
static_assert(sizeof(Header) == OffloadHeader::kSize);
constexpr std::uint8_t kNeedsChecksum = 1, kGsoUdp = 5;

std::vector<std::byte> next_packet(TunQueue& queue) {
  std::vector<std::byte> bytes(kLongestTunRead);
  const auto got = queue.read(bytes);
  if (!got) return {};
  bytes.resize(*got);
  return bytes;
}

UniqueFd udp_socket(Family family) {
  return UniqueFd(::socket(family == Family::v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0));
}

void send_to(const UniqueFd& socket, const std::string& endpoint, std::string_view text = "hello") {
  sockaddr_storage to{};
  const socklen_t size = Endpoint::parse(endpoint)->to_sockaddr(to);
  ASSERT_EQ(::sendto(socket.get(), text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&to), size),
            static_cast<ssize_t>(text.size()))
      << endpoint << ": " << std::strerror(errno);
}

/// The device with addresses, up; what the kernel says by itself (router solicitations, reports) is read and gone.
void configure(TunDevice& device) {
  const std::string& name = device.name();
  output_of("sysctl -qw net.ipv6.conf." + name + ".router_solicitations=0 net.ipv6.conf." + name + ".addr_gen_mode=1");
  output_of("ip link set up dev " + name);
  output_of("ip address add 10.0.0.1/8 dev " + name);
  output_of("ip address add fd19::1/64 nodad dev " + name);
  wait_for_address("fd19::1");
}

/// The destinations, last byte, of the UDP packets that wait in a queue.
std::multiset<unsigned> last_bytes(TunQueue& queue) {
  std::multiset<unsigned> out;
  while (true) {
    const auto packet = next_packet(queue);
    if (packet.empty()) return out;
    const Bytes ip = Bytes(packet).subspan(OffloadHeader::kSize);
    const bool v4 = (std::to_integer<unsigned>(ip[0]) >> 4) == 4;
    if (std::to_integer<unsigned>(ip[v4 ? 9 : 6]) == IPPROTO_UDP)
      out.insert(std::to_integer<unsigned>(ip[v4 ? 19 : 39]));
  }
}

std::string refusal_of(const TunRequest& request) {
  try {
    const TunDevice device = TunDevice::open(request);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

UniqueFd raw_tun(const char* name, int flags) {
  UniqueFd fd(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  ifreq request{};
  std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  request.ifr_flags = static_cast<short>(flags);
  EXPECT_EQ(::ioctl(fd.get(), TUNSETIFF, &request), 0) << std::strerror(errno);
  return fd;
}

std::string adoption_refusal(UniqueFd fd) {
  std::vector<UniqueFd> fds;
  fds.push_back(std::move(fd));
  try {
    const TunDevice device = TunDevice::adopt(std::move(fds));
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

TEST(TunDevice, IsMadeWithTheFirstFreeNumberAndGoesWithItsDescriptors) {
  in_own_network([] {
    unsigned index = 0;
    {
      const TunDevice first = TunDevice::open({"tun%d", 1});
      TunDevice second = TunDevice::open({"tun%d", 3});
      EXPECT_EQ(first.name(), "tun0");
      EXPECT_EQ(second.name(), "tun1");
      EXPECT_EQ(second.queues(), 3u);
      EXPECT_FALSE(second.was_there());
      EXPECT_TRUE(second.has_headers());
      EXPECT_TRUE(second.has_tcp_segmentation());
      index = second.index();
      EXPECT_EQ(index, ::if_nametoindex("tun1"));
      const int fd = second.queue(0).fd();
      EXPECT_NE(::fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
      EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    }
    EXPECT_EQ(::if_nametoindex("tun1"), 0u);
  });
}

TEST(TunDevice, GivesEachPacketToTheQueueThatItsDestinationsLastBytesSay) {
  in_own_network([] {
    for (const unsigned queues : {2u, 3u}) {
      TunDevice device = TunDevice::open({"gatehouse0", queues});
      const auto steered = device.steer();
      if (!steered && steered.error().value() == EPERM) GTEST_SKIP() << "BPF is not allowed here";
      ASSERT_TRUE(steered) << steered.error().message();
      configure(device);
      const UniqueFd v4 = udp_socket(Family::v4), v6 = udp_socket(Family::v6);
      std::vector<std::multiset<unsigned>> expected(queues);
      for (unsigned n = 16; n < 80; ++n) {
        // 0x030201 is a multiple of 3, 0x01ff00 too, and both are even or odd as N is: only the whole number will do.
        send_to(v4, "10.3.2." + std::to_string(n) + ":9");
        expected[(0x030200 + n) % queues].insert(n);
        char text[64];
        std::snprintf(text, sizeof text, "[fd19::8c57:4434:ee01:ff%02x]:9", n);
        send_to(v6, text);
        expected[(0x01ff00 + n) % queues].insert(n);
      }
      for (unsigned queue = 0; queue < queues; ++queue)
        EXPECT_EQ(last_bytes(device.queue(queue)), expected[queue]) << "queue " << queue << " of " << queues;
    }
  });
}

TEST(TunDevice, OutlivesAKilledOwnerAndIsFoundAgainWithOtherQueues) {
  in_own_network([] {
    for (const auto& [before, after] : {std::pair{2u, 1u}, std::pair{1u, 3u}}) {
      const pid_t owner = ::fork();
      if (owner == 0) {
        TunDevice device = TunDevice::open({"gatehouse0", before});
        if (!device.persist(true)) ::_exit(1);
        if (!device.was_there()) configure(device);
        ::raise(SIGKILL);
      }
      int status = 0;
      ASSERT_EQ(::waitpid(owner, &status, 0), owner);
      ASSERT_TRUE(WIFSIGNALED(status));

      const unsigned index = ::if_nametoindex("gatehouse0");
      ASSERT_NE(index, 0u);
      TunDevice device = TunDevice::open({"gatehouse0", after});
      EXPECT_TRUE(device.was_there());
      EXPECT_EQ(device.index(), index);
      EXPECT_EQ(device.queues(), after);
      const UniqueFd socket = udp_socket(Family::v4);
      send_to(socket, "10.0.0.6:9");  // the address and its route are still there
      std::multiset<unsigned> arrived;
      for (std::size_t queue = 0; queue < after; ++queue) arrived.merge(last_bytes(device.queue(queue)));
      EXPECT_THAT(arrived, testing::ElementsAre(6u));
    }
    {
      TunDevice device = TunDevice::open({"gatehouse0", 1});
      ASSERT_TRUE(device.persist(false));
    }
    EXPECT_EQ(::if_nametoindex("gatehouse0"), 0u) << "a clean stop removes it";
  });
}

TEST(TunDevice, IsNotSharedWithAnotherProcess) {
  in_own_network([] {
    const TunDevice device = TunDevice::open({"gatehouse0", 2});
    for (const unsigned queues : {1u, 2u})
      EXPECT_THAT(refusal_of({"gatehouse0", queues}), HasSubstr("another process is using it"));
  });
}

TEST(TunDevice, CannotBeReadAlongByAnotherUser) {
  in_own_network([] {
    TunDevice device = TunDevice::open({"gatehouse0", 1});
    ASSERT_TRUE(device.persist(true));
    const UniqueFd fd(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
    if (::setresuid(65534, 65534, 65534) != 0) GTEST_SKIP() << "needs root";
    ifreq request{};
    std::strcpy(request.ifr_name, "gatehouse0");
    request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_MULTI_QUEUE;
    EXPECT_EQ(::ioctl(fd.get(), TUNSETIFF, &request), -1);
    EXPECT_EQ(errno, EPERM);
  });
}

TEST(TunDevice, ReadsManyDatagramsAsOneWhereTheKernelSegmentsUdp) {
  in_own_network([] {
    TunDevice device = TunDevice::open({"gatehouse0", 1});
    if (!device.has_udp_segmentation()) GTEST_SKIP() << "this kernel has no USO (Linux 6.2)";
    configure(device);
    const UniqueFd socket = udp_socket(Family::v4);
    const int segment = 100;
    ASSERT_EQ(::setsockopt(socket.get(), IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment), 0);
    send_to(socket, "10.0.0.6:9", std::string(1000, 'x'));
    const auto packet = next_packet(device.queue(0));
    ASSERT_EQ(packet.size(), OffloadHeader::kSize + 20 + 8 + 1000);
    Header header;
    std::memcpy(&header, packet.data(), OffloadHeader::kSize);
    EXPECT_EQ(header.gso_type, kGsoUdp);
    EXPECT_EQ(header.gso_size, segment);
    EXPECT_EQ(header.flags, kNeedsChecksum);
  });
}

/// A UDP super-packet from 10.0.0.6 to 10.0.0.1:4444, without its checksums, which the kernel then does not look at.
std::vector<std::byte> super_packet(std::uint16_t payload, std::uint16_t segment) {
  std::vector<std::byte> out(OffloadHeader::kSize + 28 + payload, std::byte{'x'});
  Header header;
  header.flags = kNeedsChecksum;
  header.gso_type = segment != 0 ? kGsoUdp : std::uint8_t{0};
  header.gso_size = segment;
  header.hdr_len = 28;
  header.csum_start = 20;
  header.csum_offset = 6;
  std::memcpy(out.data(), &header, OffloadHeader::kSize);
  const auto length = static_cast<std::uint16_t>(28 + payload), datagram = static_cast<std::uint16_t>(8 + payload);
  std::uint8_t ip[28] = {0x45, 0, 0, 0, 0,  1, 0, 0, 64,   IPPROTO_UDP, 0,    0,
                         10,   0, 0, 6, 10, 0, 0, 1, 0x11, 0x5c,        0x11, 0x5c};
  ip[2] = static_cast<std::uint8_t>(length >> 8), ip[3] = static_cast<std::uint8_t>(length);
  ip[24] = static_cast<std::uint8_t>(datagram >> 8), ip[25] = static_cast<std::uint8_t>(datagram);
  std::uint32_t sum = 0;
  for (int i = 0; i < 20; i += 2) sum += static_cast<std::uint32_t>(ip[i] << 8 | ip[i + 1]);
  sum = ~((sum & 0xffff) + (sum >> 16));
  ip[10] = static_cast<std::uint8_t>(sum >> 8), ip[11] = static_cast<std::uint8_t>(sum);
  std::uint32_t pseudo = 0x0a00 + 0x0006 + 0x0a00 + 0x0001 + IPPROTO_UDP + datagram;
  pseudo = (pseudo & 0xffff) + (pseudo >> 16);
  ip[26] = static_cast<std::uint8_t>(pseudo >> 8), ip[27] = static_cast<std::uint8_t>(pseudo);
  std::memcpy(out.data() + OffloadHeader::kSize, ip, sizeof ip);
  return out;
}

UniqueFd local_receiver() {
  UniqueFd fd = udp_socket(Family::v4);
  sockaddr_storage any{};
  const socklen_t size = Endpoint::parse("10.0.0.1:4444")->to_sockaddr(any);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&any), size), 0);
  return fd;
}

TEST(TunDevice, WritesAGatheredSuperPacketThatTheKernelCuts) {
  in_own_network([] {
    TunDevice device = TunDevice::open({"gatehouse0", 1});
    if (!device.has_udp_segmentation()) GTEST_SKIP() << "this kernel has no USO (Linux 6.2)";
    configure(device);
    const UniqueFd receiver = local_receiver();
    const auto packet = super_packet(1000, 300);
    const Bytes all(packet);
    const std::array parts{all.first(38), all.subspan(38, 300), all.subspan(338)};
    const auto written = device.queue(0).write(parts);
    ASSERT_TRUE(written) << written.error().message();
    std::vector<ssize_t> sizes;
    char buffer[2048];
    for (ssize_t got; (got = ::recv(receiver.get(), buffer, sizeof buffer, 0)) >= 0;) sizes.push_back(got);
    EXPECT_THAT(sizes, testing::ElementsAre(300, 300, 300, 100));
  });
}

TEST(TunDevice, TellsRefusedHeadersFromADeviceThatIsDownOrGone) {
  in_own_network([] {
    TunDevice device = TunDevice::open({"gatehouse0", 1});
    configure(device);
    std::vector<std::byte> into(kLongestTunRead);
    EXPECT_EQ(last_bytes(device.queue(0)).size(), 0u);
    EXPECT_EQ(device.queue(0).read(into).error(), Errc::would_block);

    auto packet = super_packet(1000, 300);
    packet[1] = std::byte{77};  // no such gso_type
    const Bytes wrong(packet);
    EXPECT_EQ(device.queue(0).write({&wrong, 1}).error().value(), EINVAL);
    EXPECT_EQ(device.queue(0).write(std::vector<Bytes>(kMostTunParts + 1, wrong.first(1))).error(), Errc::invalid);

    const auto right = super_packet(100, 0);
    const Bytes good(right);
    EXPECT_TRUE(device.queue(0).write({&good, 1}));
    output_of("ip link set down dev gatehouse0");
    EXPECT_EQ(device.queue(0).write({&good, 1}).error().value(), EIO);
    output_of("ip link delete dev gatehouse0");
    EXPECT_EQ(device.queue(0).write({&good, 1}).error(), Errc::closed);
    EXPECT_EQ(device.queue(0).read(into).error(), Errc::closed);
  });
}

TEST(TunDevice, AdoptsADescriptorWithoutAnyPrivilege) {
  in_own_network([] {
    for (const int headers : {0, IFF_VNET_HDR}) {
      UniqueFd fd = raw_tun("given0", IFF_TUN | IFF_NO_PI | headers);
      const pid_t child = ::fork();
      if (child == 0) {
        drop_capabilities();
        std::vector<UniqueFd> fds;
        fds.push_back(std::move(fd));
        const TunDevice device = TunDevice::adopt(std::move(fds));
        const bool right = device.is_adopted() && device.was_there() && device.name() == "given0" &&
                           device.index() == ::if_nametoindex("given0") && device.queues() == 1 &&
                           device.has_headers() == (headers != 0) && device.has_tcp_segmentation() == (headers != 0);
        ::_exit(right ? 0 : 1);
      }
      int status = 0;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      EXPECT_EQ(status, 0) << headers;
    }
  });
}

TEST(TunDevice, AdoptsAllQueuesOfADeviceInTheirOrder) {
  in_own_network([] {
    TunDevice first = TunDevice::open({"gatehouse0", 2});
    configure(first);
    std::vector<UniqueFd> fds;
    for (std::size_t queue = 0; queue < 2; ++queue) fds.emplace_back(::dup(first.queue(queue).fd()));
    TunDevice device = TunDevice::adopt(std::move(fds));
    EXPECT_EQ(device.queues(), 2u);
    if (!device.steer()) GTEST_SKIP() << "BPF is not allowed here";
    const UniqueFd socket = udp_socket(Family::v4);
    for (const char* to : {"10.0.0.6:9", "10.0.0.7:9"}) send_to(socket, to);
    EXPECT_THAT(last_bytes(device.queue(0)), testing::ElementsAre(6u));
    EXPECT_THAT(last_bytes(device.queue(1)), testing::ElementsAre(7u));
  });
}

TEST(TunDevice, RefusesToAdoptWhatIsNoTunDevice) {
  in_own_network([] {
    EXPECT_THAT(adoption_refusal(UniqueFd(::eventfd(0, 0))), HasSubstr("is no tun device"));
    EXPECT_THAT(adoption_refusal(UniqueFd(::open("/dev/net/tun", O_RDWR))), HasSubstr("TUNSETIFF"));
    EXPECT_THAT(adoption_refusal(raw_tun("tap0", IFF_TAP | IFF_NO_PI)), HasSubstr("tap device, tap0"));
    EXPECT_THAT(adoption_refusal(raw_tun("pi0", IFF_TUN)), HasSubstr("IFF_NO_PI"));
    EXPECT_THROW((void)TunDevice::adopt({}), std::runtime_error);
  });
}

TEST(TunDevice, OpensOneThatTheAdministratorHasMadeForThisUser) {
  in_own_network([] {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    output_of("ip tuntap add mode tun multi_queue user 0 name given0");
    output_of("ip tuntap add mode tun user 0 name single0");
    ASSERT_TRUE(drop_capabilities());
    const TunDevice device = TunDevice::open({"given0", 2});
    EXPECT_TRUE(device.was_there());
    EXPECT_EQ(TunDevice::open({"single0", 1}).queues(), 1u);
    EXPECT_THAT(refusal_of({"single0", 2}),
                AllOf(HasSubstr("no tun device with several queues"), HasSubstr("delete it")));
  });
}

TEST(TunDevice, SaysWhichCapabilityIsMissing) {
  in_own_network([] {
    ASSERT_TRUE(drop_capabilities());
    EXPECT_THAT(refusal_of({"gatehouse0", 1}), AllOf(HasSubstr("gatehouse0"), HasSubstr("CAP_NET_ADMIN is missing")));
  });
}

TEST(TunDevice, SaysThatTheDeviceNodeIsMissing) {
  in_own_network([] {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", "/dev/net", "tmpfs", 0, nullptr) != 0)
      GTEST_SKIP() << "no mount namespace";
    EXPECT_THAT(refusal_of({"gatehouse0", 1}), AllOf(HasSubstr("/dev/net/tun"), HasSubstr("modprobe tun")));
  });
}

TEST(TunDevice, RefusesNamesThatNoInterfaceHas) {
  for (const char* name : {"", "sixteen-letters-", "a/b"})
    EXPECT_THAT(refusal_of({name, 1}), HasSubstr("no name of a network interface")) << name;
  in_own_network([] { EXPECT_THAT(refusal_of({"lo", 1}), HasSubstr("no tun device")); });
}

}  // namespace
}  // namespace gatehouse
