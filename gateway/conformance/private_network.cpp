#include "gateway/conformance/private_network.hpp"

#include <gatehouse/base/error.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

namespace gatehouse::conformance {
namespace {

/// Keeps our user and group what they are: files that the plugin makes are ours.
bool map_ids(uid_t user, gid_t group) {
  std::ofstream("/proc/self/setgroups") << "deny";
  std::ofstream users("/proc/self/uid_map"), groups("/proc/self/gid_map");
  users << user << ' ' << user << " 1";
  groups << group << ' ' << group << " 1";
  return static_cast<bool>(users.flush()) && static_cast<bool>(groups.flush());
}

bool raise_loopback() {
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  if (!fd || ::ioctl(fd.get(), SIOCGIFFLAGS, &request) != 0) return false;
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  return ::ioctl(fd.get(), SIOCSIFFLAGS, &request) == 0;
}

}  // namespace

std::string enter_private_network() {
  const uid_t user = ::geteuid();
  const gid_t group = ::getegid();
  if (::unshare(CLONE_NEWNET) != 0) {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
      return "no network namespace can be made here (" + last_system_error().message() + ")";
    if (!map_ids(user, group)) return "a user namespace without a user (" + last_system_error().message() + ")";
  }
  return raise_loopback() ? ""
                          : "the loopback of the network namespace stays down (" + last_system_error().message() + ")";
}

}  // namespace gatehouse::conformance
