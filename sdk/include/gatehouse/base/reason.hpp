// Why policy decided what it did, and in which table the deciding row stands: once for the engine, the border
// (GH_REASON_* and GH_TABLE_* of abi.h) and plugins. Numbers and names are stable: other people's dashboards have them.
// Values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace gatehouse {

/// What decided, as metrics and logs say it.
enum class Reason : std::uint16_t {
  none = 0,       ///< no row and no rule says so
  hard_deny = 1,  ///< own address, loopback, link-local, metadata, multicast, broadcast, another plugin's place, ...
  bogon = 2,      ///< private, shared, documentation, benchmark or reserved range
  unwrapped = 3,  ///< Teredo or 64:ff9b:1::/48
  domain = 4,     ///< a domain rule or list
  dns_malformed = 5,   ///< a DNS datagram that no name can be read from
  port_permit = 6,     ///< a port permit
  default_action = 7,  ///< settings.default_action
  resolver = 8,        ///< allowed: the gateway's own resolver
  peer = 9,            ///< allowed: a relay leg
  no_policy = 10,      ///< no policy could be read: everything is denied
  // Limits of traffic_rules:
  concurrent_flows = 11,     ///< so many flows at a time
  new_flow_rate = 12,        ///< flows that begin in a second
  destinations = 13,         ///< addresses in a minute
  rate = 14,                 ///< bytes in a second
  quota = 15,                ///< bytes of a day or month
  concurrent_sessions = 16,  ///< clients of an identity or a source at a time
  local = 17,                ///< allowed: allow_local_destinations
  admission = 18,            ///< the client may not use this frontend
};
inline constexpr std::size_t kReasons = 19;  ///< all of them

/// The table of policy.db that a row stands in.
enum class RuleTable : std::uint32_t {
  none = 0,           ///< no row decided
  domain_rules = 1,   ///< names, each in a row
  domain_lists = 2,   ///< lists of names; the row is the list's
  port_permits = 3,   ///< addresses, protocols and ports
  traffic_rules = 4,  ///< limits of a group
  settings = 5,       ///< default_action and the like
  admissions = 6,     ///< who may use which frontend
};

/// The name in metrics, logs and the flow log; "other" for a number of a later version.
[[nodiscard]] constexpr std::string_view to_text(Reason reason) noexcept {
  switch (reason) {
    case Reason::none: return "none";
    case Reason::hard_deny: return "hard_deny";
    case Reason::bogon: return "bogon";
    case Reason::unwrapped: return "unwrapped";
    case Reason::domain: return "domain";
    case Reason::dns_malformed: return "dns_malformed";
    case Reason::port_permit: return "port_permit";
    case Reason::default_action: return "default";
    case Reason::resolver: return "resolver";
    case Reason::peer: return "peer";
    case Reason::no_policy: return "no_policy";
    case Reason::concurrent_flows: return "concurrent_flows";
    case Reason::new_flow_rate: return "new_flow_rate";
    case Reason::destinations: return "destinations";
    case Reason::rate: return "rate";
    case Reason::quota: return "quota";
    case Reason::concurrent_sessions: return "concurrent_sessions";
    case Reason::local: return "local";
    case Reason::admission: return "admission";
  }
  return "other";
}

/// The table's name; "" for none and for a number of a later version.
[[nodiscard]] constexpr std::string_view to_text(RuleTable table) noexcept {
  switch (table) {
    case RuleTable::none: return "";
    case RuleTable::domain_rules: return "domain_rules";
    case RuleTable::domain_lists: return "domain_lists";
    case RuleTable::port_permits: return "port_permits";
    case RuleTable::traffic_rules: return "traffic_rules";
    case RuleTable::settings: return "settings";
    case RuleTable::admissions: return "admissions";
  }
  return "";
}

}  // namespace gatehouse
