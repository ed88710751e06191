#include "plugins/geneve-relay/fast_path/interfaces.hpp"

#include <gatehouse/base/error.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include <boost/system/system_error.hpp>

#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>

namespace gatehouse::geneve_relay {
namespace {

struct FreeAddresses {
  void operator()(ifaddrs* list) const noexcept { ::freeifaddrs(list); }
};

std::unique_ptr<ifaddrs, FreeAddresses> read_addresses() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) throw boost::system::system_error(last_system_error(), "list network interfaces");
  return std::unique_ptr<ifaddrs, FreeAddresses>(list);
}

bool is_ethernet(const ifaddrs& one) noexcept {
  if (one.ifa_addr == nullptr || one.ifa_addr->sa_family != AF_PACKET) return false;
  sockaddr_ll link;
  std::memcpy(&link, one.ifa_addr, sizeof link);
  return link.sll_hatype == ARPHRD_ETHER && (one.ifa_flags & IFF_UP) != 0;
}

/// None of what is no IP address.
IpAddress address_of(const ifaddrs& one) noexcept {
  if (one.ifa_addr == nullptr) return {};
  const int family = one.ifa_addr->sa_family;
  if (family != AF_INET && family != AF_INET6) return {};
  sockaddr_storage address{};
  std::memcpy(&address, one.ifa_addr, family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
  return Endpoint::from_sockaddr(address).address;
}

bool is_wanted(const IpAddress& address, std::span<const IpAddress> wanted) noexcept {
  if (address.family() == Family::none) return false;
  return wanted.empty() || std::any_of(wanted.begin(), wanted.end(), [&](const IpAddress& one) {
           return one == address || (one.is_unspecified() && one.family() == address.family());
         });
}

}  // namespace

std::vector<std::string> ethernet_interfaces(std::span<const IpAddress> addresses) {
  const auto list = read_addresses();
  std::set<std::string> ethernet, addressed;
  for (const ifaddrs* one = list.get(); one != nullptr; one = one->ifa_next) {
    if (is_ethernet(*one)) ethernet.insert(one->ifa_name);
    if (is_wanted(address_of(*one), addresses)) addressed.insert(one->ifa_name);
  }
  std::vector<std::string> out;
  std::set_intersection(ethernet.begin(), ethernet.end(), addressed.begin(), addressed.end(), std::back_inserter(out));
  return out;
}

std::string driver_of(const std::string& interface) {
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ethtool_drvinfo information{};
  information.cmd = ETHTOOL_GDRVINFO;
  ifreq request{};
  if (!fd || interface.size() >= sizeof request.ifr_name) return {};
  std::memcpy(request.ifr_name, interface.data(), interface.size());
  request.ifr_data = reinterpret_cast<char*>(&information);
  if (::ioctl(fd.get(), SIOCETHTOOL, &request) != 0) return {};
  return {information.driver, ::strnlen(information.driver, sizeof information.driver)};
}

}  // namespace gatehouse::geneve_relay
