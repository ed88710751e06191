#include "plugins/packet-tunnel/client/host_setup.hpp"

#include "plugins/packet-tunnel/client/dns_setup.hpp"
#include "plugins/packet-tunnel/client/outside_look_up.hpp"
#include "plugins/packet-tunnel/client/route_plan.hpp"
#include "plugins/packet-tunnel/common/sysctl.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <stdexcept>

namespace gatehouse::packet_tunnel {
namespace {

constexpr unsigned kQueueLength = 2000;       // packets: of 64 bytes at 130,000 a second they come in 15 ms
constexpr std::uint32_t kMostNumbers = 1000;  // that are looked at
constexpr int kLooks = 500;
constexpr timespec kBetweenLooks{0, 1000 * 1000};  // 1 ms
constexpr char kSourceMark[] = "net/ipv4/conf/all/src_valid_mark";

Nft& made(std::optional<Nft>& nft) {
  if (!nft) nft.emplace();
  return *nft;
}

/// The name of the lock on a number, which the clients of a network namespace share.
std::string lock_of(std::uint32_t number) {
  struct stat network {};
  static_cast<void>(::stat("/proc/self/ns/net", &network));
  return "number-" + std::to_string(network.st_ino) + '-' + std::to_string(number);
}

/// The name of the lock on a resolv.conf.
std::string lock_of(const std::filesystem::path& resolv_conf) {
  std::string out = "resolver" + resolv_conf.string();
  std::ranges::replace(out, '/', '-');
  return out;
}

bool has_strict_path_filter(const std::vector<Link>& links) {
  const auto is_strict = [](const std::string& name) {
    return read_sysctl("net/ipv4/conf/" + name + "/rp_filter") == "1";
  };
  return is_strict("all") || std::ranges::any_of(links, is_strict, &Link::name);
}

}  // namespace

HostSetup::HostSetup(const ClientSettings& settings, Console& console)
    : settings_(settings), console_(console), state_(settings.state_dir, settings.device) {
  changes_ = state_.load();
  undo_earlier();
  const bool blocks = settings_.blocks_when_down || changes_.is_blocked;
  marks_ = settings_.changes_routes || blocks;
  if (marks_) hold_number();
  if (!blocks) return;
  changes_.is_blocked = true;
  state_.save(changes_);
  put_kill_switch(made(nft_), settings_, changes_.number);  // an earlier one may know another mark
  const std::string end = "`gatehouse-tunnel --unblock --device " + settings_.device + '`';
  console_.say(settings_.blocks_when_down
                   ? "nothing leaves this host but through the tunnel, until an ordinary stop or " + end
                   : "an earlier run has blocked everything outside the tunnel, and so it stays; " + end +
                         " ends that");
}

HostSetup::~HostSetup() { undo(false); }

/// Two clients that begin at one time see neither's rules yet, so a number is held from before its first use.
void HostSetup::hold_number() {
  for (std::uint32_t number = kFirstNumber; number < kFirstNumber + kMostNumbers; ++number) {
    number_lock_ = state_.try_lock(lock_of(number));
    // Looked at behind the lock: who had it may have been killed, and has left its rules.
    if (!number_lock_ || is_in_use(number, netlink_.rules(), netlink_.routes())) continue;
    changes_.number = number;
    return;
  }
  throw std::runtime_error(
      "no number is free for a table of routes: see `ip rule` and `ip route show table all` for those in use");
}

/// The file is one client's at a time: another one would put back what this one has put there.
void HostSetup::hold_resolv_conf() {
  if (resolv_conf_lock_) return;
  resolv_conf_lock_ = state_.lock(lock_of(settings_.resolv_conf));
  if (!resolv_conf_lock_)
    throw std::runtime_error("another gatehouse-tunnel has replaced " + settings_.resolv_conf.string() +
                             "; end that one, or leave the resolver to it with --no-dns");
}

/// Of a process that was killed; its kill switch stays, since it is there for that.
void HostSetup::undo_earlier() {
  // What another client has taken meanwhile is not ours to undo: ours had gone before it could take it.
  UniqueFd number;
  if (changes_.number != 0) number = state_.try_lock(lock_of(changes_.number));
  if (!number) {
    changes_.number = 0;
    changes_.rules.clear();
  }
  if (settings_.changes_dns && !has_resolved()) hold_resolv_conf();
  UniqueFd other_file;
  const bool is_held = resolv_conf_lock_ && changes_.resolv_conf == settings_.resolv_conf;
  if (!changes_.resolv_conf.empty() && !is_held) {
    other_file = state_.try_lock(lock_of(changes_.resolv_conf));
    if (!other_file) changes_.resolv_conf.clear();
  }
  const bool has_file = resolv_conf_lock_ && ResolvConfReplacement(settings_.resolv_conf).is_replaced();
  const bool is_marking = changes_.marks_connections || !changes_.source_mark_before.empty();
  if (changes_.number == 0 && changes_.resolv_conf.empty() && !has_file && !is_marking) return;
  undo(false);
  is_undone_ = false;
}

TunDevice HostSetup::make_device() {
  is_foreign_ = settings_.device_fd.has_value();
  if (is_foreign_) return adopt_device();
  const auto before = netlink_.find_link(settings_.device);
  is_foreign_ = before && before->up;
  if (!is_foreign_) refuse_taken_addresses();
  TunDevice device = TunDevice::open({.name = settings_.device});
  link_ = device.index();
  if (is_foreign_) return device;
  netlink_.set_queue_length(link_, kQueueLength);
  netlink_.set_up(link_, true);
  for (const DeviceAddress& one : settings_.addresses) {
    if (one.address.is_v6() && !read_sysctl("net/ipv6/conf/" + settings_.device + "/mtu")) {
      console_.say("this host has no IPv6: " + one.to_string() + " is left out");
      continue;
    }
    netlink_.put_address({link_, one.address, one.length});
    wait_until_taken(one.address);
  }
  return device;
}

/// The kernel takes packets for a new IPv6 address when one of its workers has had its turn: answers that come before
/// are lost.
void HostSetup::wait_until_taken(const IpAddress& own) {
  for (int looks = kLooks; looks > 0; --looks) {
    const auto route = netlink_.route_to(own);
    if (route && route->kind == RTN_LOCAL) return;
    ::nanosleep(&kBetweenLooks, nullptr);
  }
}

TunDevice HostSetup::adopt_device() {
  std::vector<UniqueFd> fds;
  fds.emplace_back(::fcntl(*settings_.device_fd, F_DUPFD_CLOEXEC, 3));
  if (!fds.front())
    throw std::runtime_error("--device-fd: descriptor " + std::to_string(*settings_.device_fd) + " is not open");
  TunDevice device = TunDevice::adopt(std::move(fds));
  link_ = device.index();
  return device;
}

std::vector<DeviceAddress> HostSetup::addresses() {
  if (!is_foreign_) return settings_.addresses;
  std::vector<DeviceAddress> out;
  for (const LinkAddress& one : netlink_.addresses(link_))
    if (!one.address.is_link_local()) out.push_back({one.address, one.length});
  return out;
}

void HostSetup::refuse_taken_addresses() {
  const std::vector<Link> links = netlink_.links();
  for (const LinkAddress& taken : netlink_.addresses()) {
    for (const DeviceAddress& ours : settings_.addresses) {
      const Prefix mine(ours.address, ours.length);
      if (taken.address.family() != ours.address.family()) continue;
      if (!mine.contains(taken.address) && !taken.prefix().contains(ours.address)) continue;
      const auto at = std::ranges::find(links, taken.link, &Link::index);
      const std::string where = at == links.end() ? "another interface" : at->name;
      if (where == settings_.device) continue;
      throw std::runtime_error(ours.to_string() + " for the device overlaps " + taken.address.to_string() + '/' +
                               std::to_string(taken.length) + " of " + where + "; choose another with --address");
    }
  }
}

std::size_t HostSetup::connected(std::size_t mtu, bool has_ipv6, const KnownServers& known) {
  const std::size_t most = std::min(mtu, settings_.mtu.value_or(mtu));
  if (!is_foreign_) netlink_.set_mtu(link_, static_cast<unsigned>(most));
  changes_.known = known;
  if (settings_.changes_routes && routed_with_ipv6_ != has_ipv6) put_routes(has_ipv6);
  if (settings_.changes_dns && !has_dns_) put_dns();
  if (settings_.blocks_when_down) state_.save(changes_);  // the names
  return most;
}

void HostSetup::put_routes(bool has_ipv6) {
  const RoutePlan plan = plan_routes(settings_, link_, changes_.number, has_ipv6);
  changes_.rules = plan.rules;
  state_.save(changes_);
  if (routed_with_ipv6_)
    for (const Route& route : netlink_.routes())
      if (route.table == changes_.number && route.to.address().is_v6()) netlink_.delete_route(route);
  const bool v6_is_off = !read_sysctl("net/ipv6/conf/all/disable_ipv6");
  for (const Route& route : plan.routes)
    if (!(v6_is_off && route.to.address().is_v6())) netlink_.put_route(route);
  soften_path_filters();
  for (const RoutingRule& rule : plan.rules)
    if (!(v6_is_off && rule.family == Family::v6)) netlink_.put_rule(rule);
  routed_with_ipv6_ = has_ipv6;
}

void HostSetup::soften_path_filters() {
  if (changes_.marks_connections || !has_strict_path_filter(netlink_.links())) return;
  const std::string before = read_sysctl(kSourceMark).value_or("1");
  changes_.marks_connections = true;
  changes_.source_mark_before = before == "1" ? "" : before;
  state_.save(changes_);
  put_connection_marks(made(nft_), settings_.device, changes_.number);
  if (before != "1") write_sysctl(kSourceMark, "1");
}

void HostSetup::put_dns() {
  has_dns_ = true;
  if (has_resolved()) return point_resolved_to(settings_.device, settings_.dns);
  hold_resolv_conf();
  changes_.resolv_conf = settings_.resolv_conf;
  state_.save(changes_);
  ResolvConfReplacement(settings_.resolv_conf).replace(settings_.dns);
}

Opener::Way HostSetup::way() const {
  Opener::Way out{mark(), {}};
  if (!changes_.is_blocked && !(has_dns_ && routed_with_ipv6_)) return out;
  const ResolvConfReplacement file(settings_.resolv_conf);
  out.nameservers = outside_nameservers(file.is_replaced() ? file.before() : settings_.resolv_conf, settings_.dns);
  return out;
}

bool HostSetup::is_on_its_way(const IpAddress& local, const IpAddress& server) {
  const std::vector<LinkAddress> addresses = netlink_.addresses();
  const auto at = std::ranges::find(addresses, local, &LinkAddress::address);
  if (at == addresses.end()) return false;
  const auto route = netlink_.route_to(server, mark());
  return !route || route->kind == RTN_LOCAL || route->link == 0 || route->link == at->link;
}

/// One step that fails keeps none of the others back.
template <class Step>
void HostSetup::try_to(const char* what, Step&& step) noexcept {
  try {
    step();
  } catch (const std::exception& problem) {
    console_.say(std::string("left behind, ") + what + ": " + problem.what());
  }
}

void HostSetup::undo(bool unblocks) noexcept {
  if (is_undone_) return;
  is_undone_ = true;
  if (resolv_conf_lock_)  // else it may be another client's
    try_to("the resolver", [&] { ResolvConfReplacement(settings_.resolv_conf).restore(); });
  if (!changes_.resolv_conf.empty())
    try_to("the resolver", [&] { ResolvConfReplacement(changes_.resolv_conf).restore(); });
  for (const RoutingRule& rule : changes_.rules) try_to("a rule", [&] { netlink_.delete_rule(rule); });
  try_to("routes", [&] {
    for (const Route& route : netlink_.routes())
      if (changes_.number != 0 && route.table == changes_.number) netlink_.delete_route(route);
  });
  if (changes_.marks_connections)
    try_to("marks of connections", [&] { remove_connection_marks(made(nft_), settings_.device); });
  if (!changes_.source_mark_before.empty())
    try_to("src_valid_mark", [&] { write_sysctl(kSourceMark, changes_.source_mark_before); });
  if (unblocks && settings_.blocks_when_down)
    try_to("the kill switch", [&] {
      remove_kill_switch(made(nft_), settings_.device);
      changes_.is_blocked = false;
    });
  HostChanges left;
  left.is_blocked = changes_.is_blocked;
  left.known = changes_.known;
  changes_ = left;
  if (!left.is_blocked) return state_.remove();
  try_to("the list of changes", [&] { state_.save(left); });
}

}  // namespace gatehouse::packet_tunnel
