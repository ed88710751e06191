#include "plugins/geneve-relay/fast_path/next_hops.hpp"

#include <gatehouse/base/error.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include <fcntl.h>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <sstream>

namespace gatehouse::geneve_relay {
namespace {

// linux/ipv6_route.h
constexpr std::uint32_t kDefaultRoute = 0x00010000, kAdvertised = 0x00040000;

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string setting_of(const std::string& interface, const std::string& name) {
  return "/proc/sys/net/ipv6/conf/" + interface + "/" + name;
}

bool accepts_as_router(const std::string& interface) {
  return read_text(setting_of(interface, "accept_ra")).starts_with("2");
}

Error write_one(const std::string& path) noexcept {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd || ::write(fd.get(), "1", 1) != 1) return last_system_error();
  return {};
}

}  // namespace

std::string advertised_default(std::string_view routes, bool (*accepts)(const std::string&)) {
  // destination length source length next-hop metric references uses flags interface
  std::istringstream lines{std::string(routes)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word, flags, interface;
    for (int skipped = 0; skipped < 8; ++skipped) words >> word;
    if (!(words >> flags >> interface)) continue;
    const std::uint64_t value = std::strtoull(flags.c_str(), nullptr, 16);
    if ((value & kDefaultRoute) != 0 && (value & kAdvertised) != 0 && !accepts(interface)) return interface;
  }
  return {};
}

std::string allow_next_hops(Family family) {
  const bool is_v6 = family == Family::v6;
  const std::string path = is_v6 ? setting_of("lo", "forwarding") : "/proc/sys/net/ipv4/conf/lo/forwarding";
  const std::string setting = is_v6 ? "net.ipv6.conf.lo.forwarding" : "net.ipv4.conf.lo.forwarding";
  const std::string text = read_text(path);
  if (text.empty()) return is_v6 ? "this host has no IPv6" : "there is no " + path;
  if (text.starts_with("1")) return {};

  if (const auto interface = is_v6 ? advertised_default(read_text("/proc/net/ipv6_route"), accepts_as_router) : "";
      !interface.empty())
    return "IPv6 stays in user space: " + setting + " is 0, and setting it would make the kernel forget the default " +
           "route that a router has advertised on " + interface + "; sysctl -w net.ipv6.conf." + interface +
           ".accept_ra=2 keeps it: then restart";
  if (const Error error = write_one(path))
    return std::string(is_v6 ? "IPv6" : "IPv4") + " stays in user space: the kernel tells next hops only where " +
           setting + " is 1, which cannot be set here (" + error.message() + "): sysctl -w " + setting +
           "=1 on the host, --sysctl " + setting + "=1 for a container";
  return {};
}

}  // namespace gatehouse::geneve_relay
