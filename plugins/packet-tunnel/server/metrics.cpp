#include "plugins/packet-tunnel/server/metrics.hpp"

#include <algorithm>
#include <vector>

namespace gatehouse::packet_tunnel {
namespace {

constexpr std::array<Direction, 2> kDirections = {Direction::up, Direction::down};
constexpr std::array<std::uint8_t, 3> kProtocols = {kTcp, kUdp, kIcmp4};
constexpr std::array<std::uint8_t, 2> kVersions = {4, 6};

std::string_view name_of(Direction direction) noexcept { return direction == Direction::up ? "up" : "down"; }
std::string_view name_of(std::uint8_t protocol) noexcept {
  return protocol == kTcp ? "tcp" : protocol == kUdp ? "udp" : "icmp";
}

/// Calls visit(Kind) for each.
template <class Visit>
void for_each_kind(Visit&& visit) {
  for (const Direction direction : kDirections)
    for (const std::uint8_t protocol : kProtocols)
      for (const std::uint8_t version : kVersions) visit(Kind{direction, protocol, version});
}

static_assert(SessionMetrics::kCounts <= GH_SESSION_COUNTS);

/// In the order of SessionMetrics::counts().
std::vector<std::string> make_count_names() {
  std::vector<std::string> out;
  for_each_kind([&out](Kind kind) {
    std::string name(name_of(kind.protocol));
    ((name += kind.version == 6 ? "6_" : "4_") += name_of(kind.direction)) += '_';
    for (const char* const what : {"packets", "bytes", "application_bytes"}) out.push_back(name + what);
  });
  for (const Direction direction : kDirections)
    for (const std::string_view reject : kRejectNames)
      out.push_back((std::string("refused_") += name_of(direction)).append("_").append(reject));
  return out;
}

}  // namespace

std::span<const gh_bytes, SessionMetrics::kCounts> SessionMetrics::count_names() noexcept {
  static const std::vector<std::string> names = make_count_names();
  static const auto out = [] {
    std::array<gh_bytes, kCounts> views;
    std::ranges::transform(names, views.begin(), [](std::string_view name) { return to_border(name); });
    return views;
  }();
  return out;
}

SessionMetrics::Counts SessionMetrics::counts() const noexcept {
  Counts out;
  auto next = out.begin();
  for (const Carried& one : carried) {
    *next++ = one.packets;
    *next++ = one.bytes;
    *next++ = one.application_bytes;
  }
  for (const auto& way : rejected) next = std::ranges::copy(way, next).out;
  return out;
}

SessionMetrics SessionMetrics::from(const Counts& counts) noexcept {
  SessionMetrics out;
  auto next = counts.begin();
  for (Carried& one : out.carried) {
    one.packets = *next++;
    one.bytes = *next++;
    one.application_bytes = *next++;
  }
  for (std::size_t way = 0; way < out.rejected.size(); ++way)
    for (std::uint32_t& one : out.rejected[way]) out.all_rejected[way] += one = static_cast<std::uint32_t>(*next++);
  return out;
}

std::string SessionMetrics::to_string() const {
  std::string out;
  const auto add = [&out](std::string_view name) -> std::string& {
    if (!out.empty()) out += ' ';
    return out += name;
  };
  for_each_kind([&](Kind kind) {
    const Carried& one = carried[kind.index()];
    if (one.packets == 0) return;
    (add(name_of(kind.protocol)) += kind.version == 6 ? "6_" : "4_") += name_of(kind.direction);
    out += '=' + std::to_string(one.packets) + '/' + std::to_string(one.bytes) + '/' +
           std::to_string(one.application_bytes);
  });
  for (const Direction direction : kDirections) {
    for (std::size_t i = 0; i < kRejects; ++i) {
      const std::uint32_t count = rejected[static_cast<std::size_t>(direction)][i];
      if (count == 0) continue;
      (add(kRejectNames[i]) += '_') += name_of(direction);
      out += '=' + std::to_string(count);
    }
  }
  return out;
}

Counters::Counters(const LaneContext& context) {
  const Host& host = context.host;
  auto* const lane = context.lane;
  for_each_kind([&](Kind kind) {
    const std::string_view version = kind.version == 6 ? "6" : "4";
    const std::initializer_list<Log::Field> labels = {
        {"direction", name_of(kind.direction)}, {"protocol", name_of(kind.protocol)}, {"ip", version}};
    packets_[kind.index()] = host.counter(lane, "packets", "Packets that were carried.", labels);
    bytes_[kind.index()] = host.counter(lane, "bytes", "Bytes of these, IP headers included.", labels);
  });
  for (const Direction direction : kDirections)
    for (std::size_t i = 0; i < kRejects; ++i)
      rejected_[static_cast<std::size_t>(direction)][i] =
          host.counter(lane, "packets_rejected", "Packets that went no further, by reason.",
                       {{"direction", name_of(direction)}, {"reason", kRejectNames[i]}});
  sessions = host.gauge(lane, "sessions", "Sessions that this process has seen and that have not ended.");
  clients = host.gauge(lane, "clients", "Sessions whose client is connected.");
  flows = host.gauge(lane, "flows", "Flows that are tracked.");
  sessions_opened = host.counter(lane, "sessions_opened", "Sessions that were opened.");
  sessions_resumed = host.counter(lane, "sessions_resumed", "Clients that came back to their session.");
  sessions_recycled =
      host.counter(lane, "sessions_recycled", "Sessions without a client whose address went to a newer one.");
  clients_recycled = host.counter(lane, "clients_recycled", "Clients that made place for newer ones.");
  flows_recycled = host.counter(lane, "flows_recycled", "Flows that made place for newer ones.");
  constexpr std::string_view kRefused = "Clients that were not let in, by cause.";
  refused_limit = host.counter(lane, "clients_refused", kRefused, {{"cause", "concurrent_sessions"}});
  refused_admission = host.counter(lane, "clients_refused", kRefused, {{"cause", "admission"}});
  refused_full = host.counter(lane, "clients_refused", kRefused, {{"cause", "descriptors"}});
  refused_address = host.counter(lane, "clients_refused", kRefused, {{"cause", "address"}});
  refused_store = host.counter(lane, "clients_refused", kRefused, {{"cause", "store"}});
  refused_draining = host.counter(lane, "clients_refused", kRefused, {{"cause", "draining"}});
  refused_malformed = host.counter(lane, "clients_refused", kRefused, {{"cause", "opening"}});
  device_reads = host.counter(lane, "device_reads", "Packets and super-packets read of the device.");
  device_writes = host.counter(lane, "device_writes", "Packets and super-packets written to the device.");
  answers = host.counter(lane, "denied_answers", "Resets and ICMP errors that clients were told of a denial by.");
  blocked_answers = host.counter(lane, "blocked_answers", "DNS queries answered here because policy blocks the name.");
  marked = host.counter(lane, "packets_marked", "Packets that tell of congestion by ECN in place of a loss.");
  accept_pauses = host.counter(lane, "accept_pauses", "Pauses in accepting clients, for want of descriptors.");
}

}  // namespace gatehouse::packet_tunnel
