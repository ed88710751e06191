// The least that a packet tunnel at both ends of a stream can do with super-packets, as a yardstick for the real one.
//
// It cuts what the device gives into packets of the MTU with whole checksums, and puts together what comes of the
// stream, on the wire of the packet tunnel: no sessions, no policy, no addresses rewritten, no bounds on anything. One
// client. Two threads, a direction each.
//
// usage: tunnel_floor server ADDRESS PORT DEVICE
//        tunnel_floor client ADDRESS PORT DEVICE [http]   (http: the opening of the real server comes first)
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using Byte = std::uint8_t;
constexpr std::size_t kBatch = 256 * 1024;      // bytes of one write to the stream
constexpr std::size_t kRead = 512 * 1024;       // bytes of one read of it
constexpr std::size_t kLongest = 80 * 1024;     // of a super-packet and its headers
constexpr std::size_t kHeader = 10;             // virtio_net_hdr, as the device has it
constexpr unsigned kUso4 = 0x20, kUso6 = 0x40;  // of linux/if_tun.h since 6.2
constexpr Byte kTcp = 6, kUdp = 17, kAck = 0x10, kPsh = 8, kFin = 1, kCwr = 0x80;

/// virtio_net_hdr of linux/virtio_net.h, which C++ cannot read: one of its fields is called class.
struct OffloadHeader {
  std::uint8_t flags = 0, kind = 0;
  std::uint16_t header_size = 0, segment_size = 0, checksum_start = 0, checksum_offset = 0;
};
static_assert(sizeof(OffloadHeader) == kHeader);
constexpr Byte kNeedsChecksum = 1, kNoSuperPacket = 0, kTcp4 = 1, kTcp6 = 4, kUdpSegments = 5;

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

std::uint16_t load16(const Byte* at) { return static_cast<std::uint16_t>(at[0] << 8 | at[1]); }
std::uint32_t load32(const Byte* at) { return std::uint32_t{load16(at)} << 16 | load16(at + 2); }
void store16(Byte* at, std::size_t value) {
  at[0] = static_cast<Byte>(value >> 8);
  at[1] = static_cast<Byte>(value);
}
void store32(Byte* at, std::uint32_t value) {
  store16(at, value >> 16);
  store16(at + 2, value & 0xffff);
}

/// The sum of native 16-bit words, unfolded (RFC 1071).
[[gnu::target("avx2"), gnu::optimize("O3")]] std::uint64_t sum(const Byte* at, std::size_t size) {
  std::uint64_t out = 0;
  const std::size_t words = size / 4;
  for (std::size_t i = 0; i < words; ++i) {
    std::uint32_t word;
    std::memcpy(&word, at + 4 * i, 4);
    out += word;
  }
  at += words * 4;
  size &= 3;
  if ((size & 2) != 0) {
    std::uint16_t word;
    std::memcpy(&word, at, 2);
    out += word;
    at += 2;
  }
  if ((size & 1) != 0) out += *at;
  return out;
}

std::uint16_t fold(std::uint64_t all) {
  all = (all & 0xffffffff) + (all >> 32);
  all = (all & 0xffffffff) + (all >> 32);
  for (int i = 0; i < 3; ++i) all = (all & 0xffff) + (all >> 16);
  return static_cast<std::uint16_t>(all);
}

std::uint64_t pseudo(const Byte* ip, bool is_v6, Byte protocol, std::size_t size) {
  return (is_v6 ? sum(ip + 8, 32) : sum(ip + 12, 8)) + htons(protocol) + htons(static_cast<std::uint16_t>(size));
}
void store_native(Byte* at, std::uint16_t value) { std::memcpy(at, &value, 2); }

// ---- from the device to the stream

class Output {
 public:
  explicit Output(int fd) : fd_(fd), bytes_((1u << 20) + kBatch) {}
  Byte* end() { return bytes_.data() + size_; }
  void grow(std::size_t size) { size_ += size; }
  [[nodiscard]] std::size_t size() const { return size_; }
  void flush() {
    for (std::size_t at = 0; at < size_;) {
      const ssize_t sent = ::write(fd_, bytes_.data() + at, size_ - at);
      if (sent <= 0) std::exit(0);
      at += static_cast<std::size_t>(sent);
    }
    size_ = 0;
  }

 private:
  int fd_;
  std::vector<Byte> bytes_;
  std::size_t size_ = 0;
};

void cut(const OffloadHeader& header, Byte* in, std::size_t size, Output& out) {
  const bool is_v6 = in[0] >> 4 == 6;
  if (header.kind == kNoSuperPacket) {
    if ((header.flags & kNeedsChecksum) != 0) {
      const auto checksum =
          static_cast<std::uint16_t>(~fold(sum(in + header.checksum_start, size - header.checksum_start)));
      store_native(in + header.checksum_start + header.checksum_offset, checksum != 0 ? checksum : 0xffff);
    }
    store16(out.end(), size);
    std::memcpy(out.end() + 2, in, size);
    return out.grow(2 + size);
  }
  const std::size_t transport = header.checksum_start, segment = header.segment_size;
  const bool is_udp = header.checksum_offset == 6;
  const std::size_t headers = is_udp ? transport + 8 : transport + (in[transport + 12] >> 4) * 4u;
  store_native(in + transport + header.checksum_offset, 0);
  if (!is_v6) store_native(in + 10, 0);
  const Byte flags = is_udp ? Byte{0} : in[transport + 13];
  const std::uint32_t sequence = is_udp ? 0 : load32(in + transport + 4);
  const std::uint16_t id = load16(in + 4);
  std::uint16_t number = 0;
  for (std::size_t at = headers; at < size; at += segment, ++number) {
    const std::size_t payload = std::min(segment, size - at), whole = headers + payload;
    Byte* const packet = out.end() + 2;
    store16(out.end(), whole);
    std::memcpy(packet, in, headers);
    std::memcpy(packet + headers, in + at, payload);
    if (is_v6) {
      store16(packet + 4, whole - 40);
    } else {
      store16(packet + 2, whole);
      store16(packet + 4, static_cast<std::uint16_t>(id + number));
      store_native(packet + 10, static_cast<std::uint16_t>(~fold(sum(packet, transport))));
    }
    if (is_udp) {
      store16(packet + transport + 4, 8 + payload);
    } else {
      store32(packet + transport + 4, sequence + static_cast<std::uint32_t>(at - headers));
      unsigned own = flags;
      if (at + payload < size) own &= ~unsigned{kFin | kPsh};
      if (number != 0) own &= ~unsigned{kCwr};
      packet[transport + 13] = static_cast<Byte>(own);
    }
    const std::size_t below = whole - transport;
    const auto checksum = static_cast<std::uint16_t>(
        ~fold(pseudo(in, is_v6, is_udp ? kUdp : kTcp, below) + sum(packet + transport, below)));
    store_native(packet + transport + header.checksum_offset, is_udp && checksum == 0 ? 0xffff : checksum);
    out.grow(2 + whole);
  }
}

void carry_to_stream(int device, int stream) {
  Output out(stream);
  std::vector<Byte> in(kLongest);
  pollfd ready{device, POLLIN, 0};
  for (;;) {
    const ssize_t got = ::read(device, in.data(), in.size());
    if (got < 0 && errno != EAGAIN) die("read of the device");
    if (got > static_cast<ssize_t>(kHeader)) {
      OffloadHeader header;
      std::memcpy(&header, in.data(), kHeader);
      cut(header, in.data() + kHeader, static_cast<std::size_t>(got) - kHeader, out);
    }
    if (out.size() >= kBatch || (got < 0 && out.size() != 0)) out.flush();
    if (got < 0) ::poll(&ready, 1, -1);
  }
}

// ---- from the stream to the device

/// Packets of one flow that become one.
struct Group {
  std::array<Byte, 37> key{};
  bool is_used = false, is_v6 = false, is_udp = false, is_closed = false;
  std::size_t transport = 0, headers = 0, segment = 0, size = 0, packets = 0;
  std::uint32_t next = 0;
  Byte* first = nullptr;
  std::size_t first_size = 0;
  std::vector<iovec> parts;
  std::array<Byte, kHeader + 128> head{};
};

class Merger {
 public:
  explicit Merger(int device) : device_(device) {
    for (Group& group : groups_) group.parts.reserve(80);
  }
  void take(Byte* packet, std::size_t size);
  void flush() {
    for (Group& group : groups_) write(group);
  }

 private:
  void put(const std::vector<iovec>& parts) {
    // What the device does not take is lost, as while it is not up yet.
    static_cast<void>(::writev(device_, parts.data(), static_cast<int>(parts.size())));
  }
  void put_alone(Byte* packet, std::size_t size) {
    static std::array<Byte, kHeader> none{};
    put({{none.data(), kHeader}, {packet, size}});
  }
  void write(Group& group);
  Group* find(const std::array<Byte, 37>& key) {
    const auto at = std::find_if(groups_.begin(), groups_.end(),
                                 [&](const Group& group) { return group.is_used && group.key == key; });
    return at == groups_.end() ? nullptr : &*at;
  }

  int device_;
  std::array<Group, 16> groups_;
  std::size_t next_victim_ = 0;
};

void Merger::write(Group& group) {
  if (!group.is_used) return;
  group.is_used = false;
  if (group.packets == 1) return put_alone(group.first, group.first_size);
  OffloadHeader header;
  header.flags = kNeedsChecksum;
  header.kind = group.is_udp ? kUdpSegments : group.is_v6 ? kTcp6 : kTcp4;
  header.header_size = static_cast<std::uint16_t>(group.headers);
  header.segment_size = static_cast<std::uint16_t>(group.segment);
  header.checksum_start = static_cast<std::uint16_t>(group.transport);
  header.checksum_offset = group.is_udp ? 6 : 16;
  std::memcpy(group.head.data(), &header, kHeader);
  Byte* const ip = group.head.data() + kHeader;
  if (group.is_v6) {
    store16(ip + 4, group.size - 40);
  } else {
    store16(ip + 2, group.size);
    store_native(ip + 10, 0);
    store_native(ip + 10, static_cast<std::uint16_t>(~fold(sum(ip, group.transport))));
  }
  const std::size_t below = group.size - group.transport;
  if (group.is_udp) store16(ip + group.transport + 4, below);
  store_native(ip + group.transport + header.checksum_offset,
               fold(pseudo(ip, group.is_v6, group.is_udp ? kUdp : kTcp, below)));
  group.parts[0] = {group.head.data(), kHeader + group.headers};
  put(group.parts);
}

void Merger::take(Byte* packet, std::size_t size) {
  const bool is_v6 = size != 0 && packet[0] >> 4 == 6;
  const std::size_t transport = is_v6 ? 40 : 20;
  const bool is_plain = size >= transport + 8 &&
                        (is_v6 ? load16(packet + 4) == size - 40
                               : packet[0] == 0x45 && load16(packet + 2) == size && (load16(packet + 6) & 0x3fff) == 0);
  const Byte protocol = is_v6 ? packet[6] : packet[9];
  const bool is_udp = protocol == kUdp;
  std::size_t headers = 0;
  if (is_plain && is_udp) headers = transport + 8;
  if (is_plain && protocol == kTcp && size >= transport + 20) headers = transport + (packet[transport + 12] >> 4) * 4u;
  if (headers == 0 || headers > size) return put_alone(packet, size);

  std::array<Byte, 37> key{};
  const std::size_t addresses = is_v6 ? 32 : 8;
  std::memcpy(key.data(), packet + (is_v6 ? 8 : 12), addresses);
  std::memcpy(key.data() + 32, packet + transport, 4);
  key[36] = protocol;
  Group* group = find(key);
  const Byte flags = is_udp ? kAck : packet[transport + 13];
  const std::size_t payload = size - headers, below = size - transport;
  const bool is_mergeable = payload > 0 && (flags == kAck || flags == (kAck | kPsh)) &&
                            fold(pseudo(packet, is_v6, protocol, below) + sum(packet + transport, below)) == 0xffff;
  if (group != nullptr) {
    const Byte* const other = group->first;
    bool fits = is_mergeable && !group->is_closed && headers == group->headers && payload <= group->segment &&
                group->size + payload <= 65535 && group->packets < 64 &&
                (is_v6 ? load32(packet) == load32(other) && packet[7] == other[7]
                       : packet[1] == other[1] && packet[8] == other[8] && packet[6] == other[6]);
    if (fits && !is_udp)
      fits = load32(packet + transport + 4) == group->next &&
             std::memcmp(packet + transport + 8, other + transport + 8, 4) == 0 &&
             std::memcmp(packet + transport + 14, other + transport + 14, 2) == 0 &&
             std::memcmp(packet + transport + 20, other + transport + 20, headers - transport - 20) == 0;
    if (fits) {
      group->parts.push_back({packet + headers, payload});
      group->size += payload;
      ++group->packets;
      group->next += static_cast<std::uint32_t>(payload);
      if ((flags & kPsh) != 0) group->head[kHeader + transport + 13] |= kPsh;
      group->is_closed = (flags & kPsh) != 0 || payload < group->segment;
      return;
    }
    write(*group);
  }
  if (!is_mergeable) return put_alone(packet, size);
  if (group == nullptr) {
    const auto free = std::find_if(groups_.begin(), groups_.end(), [](const Group& one) { return !one.is_used; });
    group = free != groups_.end() ? &*free : &groups_[next_victim_++ % groups_.size()];
    write(*group);
  }
  group->key = key;
  group->is_used = true;
  group->is_v6 = is_v6;
  group->is_udp = is_udp;
  group->is_closed = !is_udp && (flags & kPsh) != 0;
  group->transport = transport;
  group->headers = headers;
  group->segment = payload;
  group->size = size;
  group->packets = 1;
  group->next = is_udp ? 0 : load32(packet + transport + 4) + static_cast<std::uint32_t>(payload);
  group->first = packet;
  group->first_size = size;
  std::memcpy(group->head.data() + kHeader, packet, headers);
  group->parts.assign({{}, {packet + headers, payload}});
}

void carry_to_device(int stream, int device) {
  std::vector<Byte> in(kRead + kLongest);
  Merger merger(device);
  std::size_t have = 0;
  for (;;) {
    const ssize_t got = ::read(stream, in.data() + have, in.size() - have);
    if (got <= 0) std::exit(0);
    have += static_cast<std::size_t>(got);
    std::size_t at = 0;
    while (have - at >= 2 && have - at >= 2u + load16(&in[at])) {
      const std::size_t size = load16(&in[at]);
      merger.take(&in[at + 2], size);
      at += 2 + size;
    }
    merger.flush();
    std::memmove(in.data(), in.data() + at, have - at);
    have -= at;
  }
}

// ---- set-up

int open_device(const char* name) {
  const int fd = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) die("/dev/net/tun");
  ifreq request{};
  std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  if (::ioctl(fd, TUNSETIFF, &request) != 0) die("TUNSETIFF");
  const unsigned tso = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
  if (::ioctl(fd, TUNSETOFFLOAD, tso | kUso4 | kUso6) != 0 && ::ioctl(fd, TUNSETOFFLOAD, tso) != 0)
    die("TUNSETOFFLOAD");
  return fd;
}

int open_stream(bool is_server, const char* address, const char* port) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<std::uint16_t>(std::atoi(port)));
  ::inet_pton(AF_INET, address, &at.sin_addr);
  const auto* const any = reinterpret_cast<const sockaddr*>(&at);
  const int one = 1;
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (is_server) {
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (::bind(fd, any, sizeof at) != 0 || ::listen(fd, 1) != 0) die("listen");
    fd = ::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC);
  } else if (::connect(fd, any, sizeof at) != 0) {
    die("connect");
  }
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

void ask_by_http(int stream) {
  constexpr std::string_view kRequest =
      "GET /packet-tunnel HTTP/1.1\r\nHost: floor\r\nConnection: upgrade\r\nUpgrade: packet-tunnel\r\n"
      "Session-ID: 0123456789012345678901234567890123456789\r\n\r\n";
  if (::write(stream, kRequest.data(), kRequest.size()) < 0) die("opening");
  std::string answer;
  for (char c; answer.find("\r\n\r\n") == answer.npos; answer += c)
    if (::read(stream, &c, 1) != 1) die("opening");
  if (answer.find(" 101 ") == answer.npos) {
    std::fputs(answer.c_str(), stderr);
    std::exit(1);
  }
}

}  // namespace

int main(int count, char** words) {
  if (count < 5) {
    std::fputs("usage: tunnel_floor server|client ADDRESS PORT DEVICE [http]\n", stderr);
    return 2;
  }
  const int device = open_device(words[4]);
  const int stream = open_stream(std::string_view(words[1]) == "server", words[2], words[3]);
  if (count > 5) ask_by_http(stream);
  std::thread(carry_to_stream, device, stream).detach();
  carry_to_device(stream, device);
}
