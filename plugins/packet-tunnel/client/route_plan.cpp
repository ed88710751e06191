#include "plugins/packet-tunnel/client/route_plan.hpp"

#include <algorithm>

namespace gatehouse::packet_tunnel {
namespace {

Prefix everything(Family family) {
  return family == Family::v4 ? Prefix(IpAddress::v4(0), 0) : Prefix(*IpAddress::parse("::"), 0);
}

/// Of one family.
class Planner {
 public:
  Planner(const ClientSettings& settings, Family family, unsigned link, std::uint32_t number, bool is_reachable)
      : settings_(settings), family_(family), link_(link), number_(number), is_reachable_(is_reachable) {}

  void add_to(RoutePlan& plan) const {
    const bool takes_all = settings_.only.empty();
    const auto is_ours = [this](const auto& one) { return family_of(one) == family_; };
    if (!takes_all && std::ranges::none_of(settings_.only, is_ours) && std::ranges::none_of(settings_.dns, is_ours))
      return;
    add_routes(plan, takes_all);
    add_rules(plan, takes_all);
  }

 private:
  static Family family_of(const Prefix& prefix) { return prefix.address().family(); }
  static Family family_of(const IpAddress& address) { return address.family(); }

  void add_routes(RoutePlan& plan, bool takes_all) const {
    if (takes_all) plan.routes.push_back(inside(everything(family_)));
    for (const Prefix& prefix : settings_.only)
      if (family_of(prefix) == family_) plan.routes.push_back(inside(prefix));
    for (const Prefix& prefix : settings_.exclude)
      if (family_of(prefix) == family_) plan.routes.push_back({.to = prefix, .kind = RTN_THROW, .table = number_});
    for (const IpAddress& address : asked()) plan.routes.push_back(inside(Prefix(address, address.bits())));
  }

  void add_rules(RoutePlan& plan, bool takes_all) const {
    std::uint32_t priority = kFirstRule;
    const auto next = [&] { return RoutingRule{.family = family_, .priority = priority++, .table = number_}; };
    if (settings_.exclude_mark != 0) {
      RoutingRule outside = next();
      outside.table = RT_TABLE_MAIN;
      outside.mark = settings_.exclude_mark;
      plan.rules.push_back(outside);
    }
    if (!asked().empty()) {  // also where a network of the host's has that address
      RoutingRule dns = next();
      dns.to = Prefix(asked().front(), asked().front().bits());
      plan.rules.push_back(dns);
    }
    if (takes_all) {
      RoutingRule near = next();
      near.table = RT_TABLE_MAIN;
      near.suppress_length = 0;
      plan.rules.push_back(near);
    }
    RoutingRule inside = next();
    inside.mark = number_;
    inside.invert = true;
    plan.rules.push_back(inside);
  }

  [[nodiscard]] Route inside(const Prefix& to) const {
    if (!is_reachable_) return {.to = to, .kind = RTN_UNREACHABLE, .table = number_};
    return {.to = to, .link = link_, .table = number_};
  }
  /// Where programs send queries, of this family: the first one only, as in PacketRules.
  [[nodiscard]] std::vector<IpAddress> asked() const {
    if (!settings_.changes_dns) return {};
    const auto at = std::ranges::find_if(settings_.dns, [this](const IpAddress& a) { return a.family() == family_; });
    if (at == settings_.dns.end()) return {};
    return {*at};
  }

  const ClientSettings& settings_;
  Family family_;
  unsigned link_;
  std::uint32_t number_;
  bool is_reachable_;
};

}  // namespace

RoutePlan plan_routes(const ClientSettings& settings, unsigned link, std::uint32_t number, bool has_ipv6) {
  RoutePlan out;
  for (const Family family : {Family::v4, Family::v6}) {
    const bool has_address = std::ranges::any_of(
        settings.addresses, [family](const DeviceAddress& one) { return one.address.family() == family; });
    const bool is_reachable = has_address && (family == Family::v4 || has_ipv6);
    Planner(settings, family, link, number, is_reachable).add_to(out);
  }
  return out;
}

bool is_in_use(std::uint32_t number, const std::vector<RoutingRule>& rules, const std::vector<Route>& routes) {
  return std::ranges::any_of(rules,
                             [&](const RoutingRule& rule) { return rule.table == number || rule.mark == number; }) ||
         std::ranges::any_of(routes, [&](const Route& route) { return route.table == number; });
}

}  // namespace gatehouse::packet_tunnel
