// The network beyond the gateway: another namespace, joined to this process's own one by a veth pair.
//
//   this process ("gateway")                               far
//   [tun device]      to_far 192.0.2.1/24, 2001:db8::1/64 --- to_gateway 192.0.2.2/24, 2001:db8::2/64
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include "tests/unit/own_network.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <string>
#include <vector>

namespace gatehouse::packet_tunnel {

class FarNetwork {
 public:
  FarNetwork() : home_(::open("/proc/self/ns/net", O_RDONLY)) {
    EXPECT_EQ(::unshare(CLONE_NEWNET), 0);
    far_.reset(::open("/proc/self/ns/net", O_RDONLY));
    EXPECT_EQ(::setns(home_.get(), CLONE_NEWNET), 0);
    path_ = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(far_.get());
    output_of("ip link add to_far type veth peer name to_gateway netns " + path_);
    output_of("ip link set up dev to_far");
    run("ip link set up dev lo && ip link set up dev to_gateway");
    output_of("ip address add 192.0.2.1/24 dev to_far && ip address add 2001:db8::1/64 nodad dev to_far");
    run("ip address add 192.0.2.2/24 dev to_gateway && ip address add 2001:db8::2/64 nodad dev to_gateway");
    wait_for_address("2001:db8::1");
    wait_for_address("2001:db8::2", "nsenter --net=" + path_);
  }

  /// A shell command over there.
  std::string run(const std::string& command) const {
    return output_of("nsenter --net=" + path_ + " sh -c '" + command + "'");
  }

  /// A socket of over there; bound to `local` unless that is empty.
  UniqueFd socket(int family, int type, int protocol, const std::string& local) const {
    EXPECT_EQ(::setns(far_.get(), CLONE_NEWNET), 0);
    UniqueFd out(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
    if (!local.empty()) {
      sockaddr_storage address{};
      const socklen_t size = Endpoint::parse(local)->to_sockaddr(address);
      EXPECT_EQ(::bind(out.get(), reinterpret_cast<sockaddr*>(&address), size), 0) << local;
    }
    EXPECT_EQ(::setns(home_.get(), CLONE_NEWNET), 0);
    return out;
  }

 private:
  UniqueFd home_, far_;
  std::string path_;
};

/// Something has come to `fd`, within two seconds.
inline bool comes(int fd, int milliseconds = 2000) {
  pollfd waiting{fd, POLLIN, 0};
  return ::poll(&waiting, 1, milliseconds) == 1;
}

struct Arrived {
  std::string text;
  Endpoint from;
};

/// The next datagram; text and sender are empty if none comes.
inline Arrived next_datagram(const UniqueFd& socket, int milliseconds = 2000) {
  Arrived out;
  if (!comes(socket.get(), milliseconds)) return out;
  char text[65536];
  sockaddr_storage from{};
  socklen_t size = sizeof from;
  const ssize_t got = ::recvfrom(socket.get(), text, sizeof text, 0, reinterpret_cast<sockaddr*>(&from), &size);
  if (got >= 0) out.text.assign(text, static_cast<std::size_t>(got));
  if (got >= 0) out.from = Endpoint::from_sockaddr(from);
  return out;
}

}  // namespace gatehouse::packet_tunnel
