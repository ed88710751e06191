// What the client was asked for, as values: command_line.hpp makes them. Immutable once the client runs.
#pragma once

#include <gatehouse/base/prefix.hpp>
#include <gatehouse/net/client_options.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace gatehouse::packet_tunnel {

inline constexpr std::size_t kLeastMtu = 1280;  ///< below this IPv6 cannot be (RFC 8200, section 5)

/// An address of the tun device and how long its prefix is: host bits are what it is about.
struct DeviceAddress {
  IpAddress address;
  unsigned length = 0;

  /// "172.16.0.1/24"; without a length it is the address alone. @return Errc::malformed for anything else
  [[nodiscard]] static Result<DeviceAddress> parse(std::string_view text) noexcept;
  [[nodiscard]] std::string to_string() const;
  bool operator==(const DeviceAddress&) const = default;
};

struct ClientSettings {
  std::vector<std::string> servers;  ///< as ClientOptions::address, in the order in which they are tried
  ClientOptions opening;             ///< the same for all of them; its address is empty
  std::string transport_command;     ///< --exec-transport: in place of servers
  bool large_frames = true;          ///< super-packets stay whole, where the server and the device take them

  std::string device = "gatehouse-tun0";
  std::optional<int> device_fd;          ///< of a device that somebody else has made and configured
  std::vector<DeviceAddress> addresses;  ///< of the device: at most one of a family
  std::optional<std::size_t> mtu;        ///< bytes; never more than the server's

  bool changes_dns = true;         ///< the system asks `dns`
  std::vector<IpAddress> dns;      ///< where programs send queries; the gateway's resolvers answer
  bool changes_routes = true;      ///< packets of this host go into the tunnel
  std::vector<Prefix> only;        ///< nothing but what goes there; empty = everything
  std::vector<Prefix> exclude;     ///< what goes there stays outside
  std::uint32_t exclude_mark = 0;  ///< packets with this mark stay outside; 0 = none
  bool blocks_when_down = false;   ///< nothing leaves but through the tunnel, until --unblock

  std::filesystem::path session_file;                         ///< "" = a new session at each start
  std::filesystem::path state_dir = "/run/gatehouse-tunnel";  ///< what was configured, for the next start
  std::filesystem::path resolv_conf = "/etc/resolv.conf";     ///< where systemd-resolved does not run
  std::chrono::seconds keep_alive{0};                         ///< of the connection; 0 = none when idle
  bool verbose = false;
};

}  // namespace gatehouse::packet_tunnel
