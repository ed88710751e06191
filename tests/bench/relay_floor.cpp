// The least that a relay of UDP on one core can do, as a yardstick for the real one.
//
// It reads and sends as the real one does, in batches, coalesced where the kernel can, and from the address that was
// asked: so the system's part is the same. Of its own it has next to nothing: no handshake, no policy, no limits, no
// counters, and no look into a coalesced buffer. The first two sources of a VNI are its clients. IPv4 only. A relay
// that does all that is held against it, in alternating runs.
//
// usage: relay_floor PORT   (on 127.0.0.1; VNIs below 4,096)

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

constexpr std::size_t kMessages = 64, kRoom = 65536, kVnis = 4096;
constexpr std::size_t kHeader = 8, kMostBytes = 65507, kMostSegments = 64;
constexpr int kSocketBuffer = 7 * 1024 * 1024;  // the real relay's

struct alignas(cmsghdr) Control {
  char bytes[128];
};

struct Client {
  sockaddr_in remote{};
  in_addr local{};
};
using Clients = std::array<Client, 2>;  // of one VNI

struct Received {
  std::uint8_t* bytes;
  std::size_t size, segment;
  const sockaddr_in* from;
  in_addr local;
};

bool is_same(const sockaddr_in& a, const sockaddr_in& b) {
  return a.sin_port == b.sin_port && a.sin_addr.s_addr == b.sin_addr.s_addr;
}

class Incoming {
 public:
  explicit Incoming(int fd) : fd_(fd), buffer_(kMessages * kRoom) {
    for (std::size_t i = 0; i < kMessages; ++i) {
      parts_[i] = {&buffer_[i * kRoom], kRoom};
      messages_[i].msg_hdr = {&names_[i], 0, &parts_[i], 1, controls_[i].bytes, 0, 0};
    }
  }

  /// How many have come; waits for one.
  std::size_t receive() {
    for (mmsghdr& message : messages_) {
      message.msg_hdr.msg_namelen = sizeof(sockaddr_in);
      message.msg_hdr.msg_controllen = sizeof(Control);
    }
    const int got = recvmmsg(fd_, messages_.data(), kMessages, MSG_WAITFORONE, nullptr);
    return got < 0 ? 0 : static_cast<std::size_t>(got);
  }

  Received at(std::size_t i) {
    Received out{&buffer_[i * kRoom], messages_[i].msg_len, messages_[i].msg_len, &names_[i], {}};
    msghdr& header = messages_[i].msg_hdr;
    for (cmsghdr* one = CMSG_FIRSTHDR(&header); one != nullptr; one = CMSG_NXTHDR(&header, one)) {
      if (one->cmsg_level == IPPROTO_IP && one->cmsg_type == IP_PKTINFO) {
        in_pktinfo info;
        std::memcpy(&info, CMSG_DATA(one), sizeof info);
        out.local = info.ipi_spec_dst;
      } else if (one->cmsg_level == IPPROTO_UDP && one->cmsg_type == UDP_GRO) {
        int segment = 0;
        std::memcpy(&segment, CMSG_DATA(one), sizeof segment);
        out.segment = static_cast<std::size_t>(segment);
      }
    }
    return out;
  }

 private:
  int fd_;
  std::vector<std::uint8_t> buffer_;
  std::array<mmsghdr, kMessages> messages_{};
  std::array<iovec, kMessages> parts_;
  std::array<sockaddr_in, kMessages> names_;
  std::array<Control, kMessages> controls_;
};

class Outgoing {
 public:
  explicit Outgoing(int fd) : fd_(fd) {}

  /// What follows another of one client and size goes with it.
  void queue(const Received& what, const Client& to) {
    const std::size_t segments = what.segment == 0 ? 1 : (what.size + what.segment - 1) / what.segment;
    if (count_ == 0 || &to != runs_[count_ - 1].to || !takes(runs_[count_ - 1], what, segments)) begin(what, to);
    Run& run = runs_[count_ - 1];
    parts_[count_ - 1][messages_[count_ - 1].msg_hdr.msg_iovlen++] = {what.bytes, what.size};
    run.bytes += what.size;
    run.segments += segments;
  }

  void flush() {
    for (std::size_t i = 0; i < count_; ++i)
      if (runs_[i].segments > 1)
        add(messages_[i].msg_hdr, IPPROTO_UDP, UDP_SEGMENT, static_cast<std::uint16_t>(runs_[i].segment));
    for (std::size_t done = 0; done < count_;) {
      const int sent = sendmmsg(fd_, &messages_[done], static_cast<unsigned>(count_ - done), 0);
      done += sent > 0 ? static_cast<std::size_t>(sent) : 1;
    }
    count_ = 0;
  }

 private:
  struct Run {
    const Client* to;
    std::size_t segment, bytes, segments;
  };

  static bool takes(const Run& run, const Received& what, std::size_t segments) {
    return what.segment == run.segment && run.bytes == run.segment * run.segments &&
           run.segments + segments <= kMostSegments && run.bytes + what.size <= kMostBytes;
  }

  void begin(const Received& what, const Client& to) {
    runs_[count_] = {&to, what.segment, 0, 0};
    msghdr& header = messages_[count_].msg_hdr;
    header = {const_cast<sockaddr_in*>(&to.remote),
              sizeof to.remote,
              parts_[count_].data(),
              0,
              controls_[count_].bytes,
              0,
              0};
    in_pktinfo info{};
    info.ipi_spec_dst = to.local;
    add(header, IPPROTO_IP, IP_PKTINFO, info);
    ++count_;
  }

  template <class T>
  static void add(msghdr& header, int level, int type, const T& content) {
    auto* const one = reinterpret_cast<cmsghdr*>(static_cast<char*>(header.msg_control) + header.msg_controllen);
    one->cmsg_level = level;
    one->cmsg_type = type;
    one->cmsg_len = CMSG_LEN(sizeof content);
    std::memcpy(CMSG_DATA(one), &content, sizeof content);
    header.msg_controllen += CMSG_SPACE(sizeof content);
  }

  int fd_;
  std::size_t count_ = 0;
  std::array<Run, kMessages> runs_;
  std::array<mmsghdr, kMessages> messages_{};
  std::array<std::array<iovec, kMostSegments>, kMessages> parts_;
  std::array<Control, kMessages> controls_;
};

/// Whom it is for, once both clients have been heard of.
const Client* other_of(Clients& clients, const Received& what) {
  for (std::size_t i = 0; i < clients.size(); ++i) {
    if (clients[i].remote.sin_port == 0) clients[i] = {*what.from, what.local};
    if (is_same(clients[i].remote, *what.from)) return clients[1 - i].remote.sin_port == 0 ? nullptr : &clients[1 - i];
  }
  return nullptr;
}

int listen_on(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;
  setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
  setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on);
  for (const int option : {SO_RCVBUF, SO_SNDBUF, SO_RCVBUFFORCE, SO_SNDBUFFORCE})
    setsockopt(fd, SOL_SOCKET, option, &kSocketBuffer, sizeof kSocketBuffer);
  const sockaddr_in self{
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  if (bind(fd, reinterpret_cast<const sockaddr*>(&self), sizeof self) == 0) return fd;
  std::perror("bind");
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: relay_floor PORT\n"), 2;
  const int fd = listen_on(static_cast<std::uint16_t>(std::atoi(argv[1])));
  static Incoming in(fd);
  static Outgoing out(fd);
  static std::array<Clients, kVnis> endpoints;
  for (;;) {
    const std::size_t count = in.receive();
    for (std::size_t i = 0; i < count; ++i) {
      const Received what = in.at(i);
      if (what.size < kHeader) continue;
      const std::size_t vni = (what.bytes[4] << 16 | what.bytes[5] << 8 | what.bytes[6]) % kVnis;
      if (const Client* const to = other_of(endpoints[vni], what)) out.queue(what, *to);
    }
    out.flush();
  }
}
