#include "plugins/geneve-relay/server/kernel_attachment.hpp"

#include "plugins/geneve-relay/fast_path/interfaces.hpp"

#include <boost/system/system_error.hpp>

#include <algorithm>
#include <vector>

namespace gatehouse::geneve_relay {

void KernelAttachment::follow(std::span<const Endpoint> listeners, const Log& log) {
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
  if (std::exchange(told_, now) != now) log.info("packets are relayed by the kernel", {{"where", now}});
}

}  // namespace gatehouse::geneve_relay
