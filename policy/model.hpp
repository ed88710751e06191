// The policy as people wrote it: one plain struct a row of policy.db. Text stays text here; compile() judges it.
// Values; no thread rule.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace gatehouse::policy {

/// When a row counts: not while `enabled` is false, nor from `expires_at` (Unix seconds, UTC) on.
struct Life {
  bool enabled = true;
  std::optional<std::int64_t> expires_at;
  [[nodiscard]] bool counts_at(std::int64_t now) const noexcept {
    return enabled && (!expires_at || *expires_at > now);
  }
  bool operator==(const Life&) const = default;
};

struct Group {
  std::int64_t id = 0;
  std::string name;
  std::int64_t priority = 100;
  bool enabled = true;
  bool operator==(const Group&) const = default;
};

struct GroupMember {
  std::int64_t id = 0;
  std::int64_t group_id = 0;
  std::string kind;     ///< identity, source, listener, plugin
  std::string pattern;  ///< a glob, or for source a CIDR
  Life life;
  bool operator==(const GroupMember&) const = default;
};

struct Credential {
  std::int64_t id = 0;
  std::string kind;   ///< token, cert, unix, relay_key
  std::string value;  ///< a token as SHA-256 in hex; "*" = any relay key
  std::string identity;
  std::optional<std::string> plugin;  ///< none = every plugin
  Life life;
  bool operator==(const Credential&) const = default;
};

struct Admission {
  std::int64_t id = 0;
  std::optional<std::int64_t> group_id;  ///< none = all
  std::string plugin = "*";              ///< a glob
  std::string listener = "*";            ///< a glob over listeners as configured
  std::string action = "allow";          ///< allow, deny
  std::int64_t priority = 100;
  Life life;
  bool operator==(const Admission&) const = default;
};

struct DomainRule {
  std::int64_t id = 0;
  std::optional<std::int64_t> group_id;  ///< none = all
  std::string domain;
  std::string match = "suffix";  ///< suffix, exact
  std::string action = "block";  ///< block, allow, monitor
  Life life;
  bool operator==(const DomainRule&) const = default;
};

struct DomainList {
  std::int64_t id = 0;
  std::string name;
  std::optional<std::int64_t> group_id;  ///< none = all
  std::string match = "suffix";          ///< suffix, exact
  std::string action = "block";          ///< block, allow, monitor
  std::string file;                      ///< the compiled list, in `lists/` beside policy.db; "" = none yet
  Life life;
  bool operator==(const DomainList&) const = default;
};

struct PortPermit {
  std::int64_t id = 0;
  std::optional<std::int64_t> group_id;    ///< none = all
  std::string transport = "any";           ///< tcp, udp, icmp, any
  std::optional<std::string> ports;        ///< "53,443,3478-3481"; none or "all" = every port
  std::optional<std::string> destination;  ///< a CIDR; none = any public address
  std::string action = "allow";            ///< allow, deny, monitor
  std::int64_t priority = 100;
  Life life;
  bool operator==(const PortPermit&) const = default;
};

/// A limit as written: none = inherit from `everyone`, 0 = no limit.
using Amount = std::optional<std::int64_t>;

struct TrafficRule {
  std::int64_t id = 0;
  std::int64_t group_id = 0;
  std::string scope;                                ///< session, identity
  Amount rate_up, rate_down, burst_up, burst_down;  ///< bytes a second, bytes; up = from the client
  Amount unthrottled_up, unthrottled_down;          ///< bytes before the rates begin
  Amount quota_bytes;
  std::optional<std::string> quota_period;  ///< day, month
  Amount concurrent_flows, new_flows_per_second, destinations_per_minute, concurrent_sessions;
  Amount token_failures_per_minute;  ///< of one source; none for `everyone` means 20
  Amount udp_idle_seconds, tcp_idle_seconds, session_idle_seconds;
  Life life;
  bool operator==(const TrafficRule&) const = default;
};

struct Setting {
  std::int64_t id = 0;
  std::string name;
  std::string value;
  bool operator==(const Setting&) const = default;
};

struct Model {
  std::vector<Group> groups;
  std::vector<GroupMember> group_members;
  std::vector<Credential> credentials;
  std::vector<Admission> admissions;
  std::vector<DomainRule> domain_rules;
  std::vector<DomainList> domain_lists;
  std::vector<PortPermit> port_permits;
  std::vector<TrafficRule> traffic_rules;
  std::vector<Setting> settings;
  std::int64_t revision = 0;  ///< meta.revision at the time of reading
  bool operator==(const Model&) const = default;
};

}  // namespace gatehouse::policy
