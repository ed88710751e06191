#include "gateway/policy/unbound_limits.hpp"

#include <map>

namespace gatehouse {
namespace {

/// By row, the first column of it that clients without an identity do not share.
using Rows = std::map<std::int64_t, std::string_view>;

bool takes_anybody_from_loopback(const ListenAddress& listener) {
  if (listener.kind == ListenAddress::Kind::unix_stream || !listener.identity.empty()) return false;
  if (listener.proxy_protocol || !listener.trusted_proxies.empty()) return false;  // they say who it is
  return !listener.auth.any() && listener.endpoint.address.unmapped().is_loopback();
}

/// Bursts need a rate, and how long something may be idle holds without meters.
Rows shared_limits(const policy::Limits& limits) {
  using policy::Limit, policy::ScopeLimits;
  Rows out;
  const auto note = [&](const Limit& limit, std::string_view column) {
    if (limit.or_none() != 0) out.emplace(limit.row, column);
  };
  for (const policy::TrafficColumn& column : policy::kTrafficColumns) {
    if (column.name.ends_with("_idle_seconds") || column.name.starts_with("burst_")) continue;
    if (column.name.starts_with("unthrottled_") || column.limit == &ScopeLimits::concurrent_sessions) continue;
    if (column.limit == &ScopeLimits::token_failures_per_minute) continue;  // a source's by itself
    note(limits.identity.*column.limit, column.name);
  }
  note(limits.concurrent_sessions(), "concurrent_sessions");
  return out;
}

}  // namespace

std::vector<std::string> unbound_limits(const policy::Snapshot& snapshot, const PluginConfig& plugin) {
  std::map<std::int64_t, std::string> told;
  if (!plugin.enabled || !snapshot.has_policy()) return {};
  for (const auto& [role, listeners] : plugin.listeners) {
    for (const ListenAddress& listener : listeners) {
      if (!takes_anybody_from_loopback(listener)) continue;
      const policy::ClientFacts client{plugin.name, listener.text, {}, listener.endpoint.address};
      for (const auto& [row, column] : shared_limits(snapshot.limits(snapshot.group_of(client))))
        told.emplace(row, "traffic_rules " + std::to_string(row) + ": " + std::string(column) +
                              " is shared by an identity's or an address's clients, and those of " + plugin.name +
                              " at " + listener.text +
                              " have neither: give that listener an identity or auth, or limit each session");
    }
  }
  std::vector<std::string> out;
  for (auto& [row, sentence] : told) out.push_back(std::move(sentence));
  return out;
}

}  // namespace gatehouse
