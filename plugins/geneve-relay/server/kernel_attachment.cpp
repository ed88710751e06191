#include "plugins/geneve-relay/server/kernel_attachment.hpp"

#include "plugins/geneve-relay/fast_path/interfaces.hpp"

#include <gatehouse/plugin/kept_fds.hpp>

#include <boost/system/system_error.hpp>

#include <algorithm>
#include <vector>

namespace gatehouse::geneve_relay {
namespace {

constexpr std::string_view kLinks = "xdp-links";

}  // namespace

void end_former_attachment(const Host& host) { end_links(take_fds(host, kLinks)); }

void KernelAttachment::follow(std::span<const Endpoint> listeners, const Host& host) {
  if (path_ == nullptr) return;
  std::vector<std::uint16_t> ports;
  std::vector<IpAddress> addresses;
  for (const Endpoint& listener : listeners) {
    if (std::ranges::find(ports, listener.port) == ports.end()) ports.push_back(listener.port);
    addresses.push_back(listener.address);
  }
  std::string now;
  if (!path_->set_ports(ports)) now = "the listeners have more than 8 ports; ";
  try {
    if (!addresses.empty())
      for (const std::string& interface : ethernet_interfaces(addresses)) path_->attach(interface);
    now += path_->describe();
  } catch (const boost::system::system_error& error) {
    now += error.what();
  }
  static_cast<void>(keep_fds(host, kLinks, path_->links()));  // without it the next instance waits for this one's end
  if (std::exchange(told_, now) != now) host.log().info("packets are relayed by the kernel", {{"where", now}});
}

void KernelAttachment::make_room(std::size_t most_endpoints, const Log& log) {
  if (path_ == nullptr) return;
  try {
    path_->make_room(most_endpoints);
  } catch (const FastPathError& error) {
    log.warn("the kernel relays no more endpoints than before, user space does", {{"why", error.what()}});
  }
}

}  // namespace gatehouse::geneve_relay
