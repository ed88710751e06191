#include "policy/verdict.hpp"

namespace gatehouse::policy {

std::string_view to_text(Action action) noexcept { return action == Action::allow ? "allow" : "deny"; }

std::string_view to_text(Reason reason) noexcept {
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
  return "unknown";
}

std::string_view to_text(Table table) noexcept {
  switch (table) {
    case Table::none: return "";
    case Table::domain_rules: return "domain_rules";
    case Table::domain_lists: return "domain_lists";
    case Table::port_permits: return "port_permits";
    case Table::traffic_rules: return "traffic_rules";
    case Table::settings: return "settings";
    case Table::admissions: return "admissions";
  }
  return "";
}

}  // namespace gatehouse::policy
