// The host's network interfaces, as far as a program in the kernel has to know them.
#pragma once

#include <gatehouse/base/address.hpp>

#include <span>
#include <string>
#include <vector>

namespace gatehouse::geneve_relay {

/// Names of the interfaces with Ethernet frames that are up and have an address, sorted. Given `addresses`, only those
/// that have one of them; an unspecified one stands for all of its family. Control path: system calls, allocates.
/// @throws boost::system::system_error  the kernel does not list them
[[nodiscard]] std::vector<std::string> ethernet_interfaces(std::span<const IpAddress> addresses);

/// "virtio_net", "veth"; empty where the kernel does not tell.
[[nodiscard]] std::string driver_of(const std::string& interface);

}  // namespace gatehouse::geneve_relay
