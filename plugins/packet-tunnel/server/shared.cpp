#include "plugins/packet-tunnel/server/shared.hpp"

#include "plugins/packet-tunnel/server/client_resolvers.hpp"
#include "plugins/packet-tunnel/server/conntrack.hpp"
#include "plugins/packet-tunnel/server/session.hpp"

#include <gatehouse/plugin/kept_fds.hpp>
#include <gatehouse/plugin/kept_sessions.hpp>
#include <gatehouse/plugin/policy_client.hpp>
#include <gatehouse/plugin/values.hpp>

#include <fcntl.h>

#include <pthread.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <stdexcept>

namespace gatehouse::packet_tunnel {
namespace {

constexpr std::size_t kArrivals = 256;              // that may be on their way to a lane
constexpr std::string_view kQueues = "tun-queues";  // kept for the next instance
constexpr std::string_view kOwner = "tunnel-owner";

HostNetworkSettings network_settings(const TunnelSettings& settings) {
  HostNetworkSettings out;
  out.ipv4_prefix = settings.ipv4_prefix;
  out.ipv6_prefix = settings.ipv6_prefix;
  out.ipv6 = settings.ipv6 == Ipv6::off        ? Ipv6Mode::off
             : settings.ipv6 == Ipv6::required ? Ipv6Mode::required
                                               : Ipv6Mode::automatic;
  out.mtu = static_cast<unsigned>(settings.mtu);
  out.nat = settings.nat;
  out.egress_interface = settings.egress_interface;
  if (settings.fwmark != 0) out.mark = settings.fwmark;
  out.connections_per_client = settings.nat_connections;
  return out;
}

UniqueFd duplicate(int fd) {
  UniqueFd out(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!out)
    throw std::runtime_error("device_fd = " + std::to_string(fd) + ": " + last_system_error().message() +
                             "; whoever starts the gateway has to open a tun device and leave the descriptor open");
  return out;
}

}  // namespace

TunDevice TunnelShared::open_device(const StartContext& context, const TunnelSettings& settings) {
  if (settings.device_fd) {
    if (context.lanes != 1)
      throw std::runtime_error("device_fd is one queue of a device, which one lane serves: set lanes = 1");
    std::vector<UniqueFd> fds;
    fds.push_back(duplicate(*settings.device_fd));
    return TunDevice::adopt(std::move(fds));
  }
  auto kept = take_fds(context.host, kQueues);
  if (kept.size() == context.lanes) return TunDevice::adopt(std::move(kept));
  kept.clear();
  return TunDevice::open({.name = settings.device, .queues = context.lanes});
}

TunnelShared::TunnelShared(const StartContext& context, const TunnelSettings& settings)
    : host_(context.host),
      device_(open_device(context, settings)),
      network_(device_, network_settings(settings), name_servers(settings)),
      used_(prefixes().first_index(), prefixes().last_index()),
      owner_(16) {
  if (!settings.device_fd) {
    if (const auto steered = device_.steer(); !steered)
      throw std::runtime_error("the kernel does not steer a tun device (" + steered.error().message() +
                               "): set lanes = 1");
  }
  if (settings.nat && !settings.device_fd) forget_strangers();
  for (const std::string& note : network_.notes()) host_.log().warn("the host's network", {{"note", note}});
  std::vector<Prefix> own{prefixes().v4()};
  if (prefixes().v6()) own.push_back(*prefixes().v6());
  if (const auto claimed = claim_prefixes(host_, own); !claimed)
    throw std::runtime_error("the gateway does not take the tunnel's prefixes as places: " + claimed.error().message());
  for (std::uint32_t i = 0; i < context.lanes; ++i)
    arrivals_.push_back(std::make_unique<LaneChannel<Newcomer>>(kArrivals));
  std::vector<int> fds;
  for (std::size_t i = 0; i < device_.queues(); ++i) fds.push_back(device_.queue(i).fd());
  static_cast<void>(keep_fds(host_, kQueues, fds));  // without it a reload makes the device anew
  host_.random(owner_);
  static_cast<void>(Values(host_).put(kOwner, owner_, ValueKind::plain));
  if (!settings.device_fd) {  // not before: a start that fails leaves no device
    if (const auto persists = device_.persist(true); !persists)
      host_.log().warn("the device will not survive a crash", {{"why", persists.error().message()}});
  }
  if (settings.nat) {
    keeper_ = std::jthread([this](const std::stop_token& stopped) { look_after_rules(stopped); });
    ::pthread_setname_np(keeper_.native_handle(), "gh-tunnel-rules");
  }
  host_.log().info("the tunnel's device is up", {{"device", device_.name()},
                                                 {"ipv4", prefixes().v4().to_string()},
                                                 {"ipv6", prefixes().v6() ? prefixes().v6()->to_string() : "none"},
                                                 {"udp_segmentation", device_.has_udp_segmentation() ? "yes" : "no"}});
}

/// What the kernel tracks of clients that nobody remembers, as an earlier process has left it, goes. An instance that
/// this one follows may be at work, so that sessions are looked at after connections.
void TunnelShared::forget_strangers() {
  const auto is_clients = [this](const IpAddress& source) {
    const auto& v6 = prefixes().v6();
    return (source.is_v4() ? prefixes().v4().contains(source) : v6 && v6->contains(source)) &&
           index_of(source) >= prefixes().first_index();
  };
  Conntrack conntrack;
  std::set<std::uint32_t> strangers;
  auto done = conntrack.forget_if([&](const IpAddress& source) {
    if (is_clients(source)) strangers.insert(index_of(source));
    return false;
  });
  for_each_kept(
      host_,
      [this](const KeptSession& session) {
        if (const auto blob = SessionBlob::read(session.blob_version, session.blob)) used_.add(blob->index);
      },
      [](const KeptLease&) {});
  std::erase_if(strangers, [this](std::uint32_t index) { return used_.contains(index); });
  if (done && !strangers.empty())
    done = conntrack.forget_if(
        [&](const IpAddress& source) { return is_clients(source) && strangers.contains(index_of(source)); });
  if (!done)
    host_.log().warn(
        "the kernel does not say what connections it knows: a new client may get packets of an earlier one",
        {{"why", done.error().message()}});
}

void TunnelShared::look_after_rules(const std::stop_token& stopped) {
  constexpr std::chrono::seconds kPause{15};
  std::mutex mutex;
  std::condition_variable_any clock;
  std::unique_lock lock(mutex);
  for (bool is_bad = false; !clock.wait_for(lock, stopped, kPause, [&] { return stopped.stop_requested(); });) {
    try {
      if (network_.restore_rules()) host_.log().warn("the tunnel's rules were gone, and are back");
      is_bad = false;
    } catch (const std::exception& error) {
      if (!std::exchange(is_bad, true))
        host_.log().error("the tunnel's rules cannot be seen to", {{"why", error.what()}});
    }
  }
}

bool TunnelShared::is_still_ours() const {
  const auto owner = Values(host_).get(kOwner);
  return !owner || *owner == owner_;
}

TunnelShared::~TunnelShared() {
  keeper_ = {};
  try {
    if (is_still_ours()) {
      static_cast<void>(device_.persist(false));
    } else {
      network_.keep();
    }
  } catch (const std::exception& error) {
    host_.log().warn("the host's network may not be as before", {{"why", error.what()}});
  }
}

}  // namespace gatehouse::packet_tunnel
