// The rules of judgement once more, read straight off the rows, for comparison: slow, simple, without any table of the
// real one. Reads valid rows only.
#pragma once

#include "policy/compile.hpp"

#include <gatehouse/base/domain.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

namespace gatehouse::policy::naive {

inline bool in(const IpAddress& address, const char* prefix) { return Prefix::parse(prefix).value().contains(address); }

inline const std::vector<const char*>& bogons() {
  static const std::vector<const char*> kBogons = {
      "10.0.0.0/8",     "100.64.0.0/10", "172.16.0.0/12",   "192.0.0.0/24",   "192.0.2.0/24", "192.88.99.0/24",
      "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "2001::/23",    "2001:db8::/32",
      "3fff::/20",      "::/3",          "4000::/2",        "8000::/1"};
  return kBogons;
}

/// The IPv4 address behind a NAT64 prefix, byte by byte as RFC 6052, 2.2 draws it.
inline IpAddress behind(const Prefix& nat64, const IpAddress& a) {
  std::array<std::byte, 4> out{};
  for (std::size_t i = 0, at = nat64.length() / 8; i < out.size(); ++i, ++at) {
    if (at == 8) ++at;
    out[i] = a.storage()[at];
  }
  return IpAddress::v4(Bytes(out));
}

inline std::optional<IpAddress> unwrapped(const IpAddress& a, const Surroundings& around) {  // none: refused
  for (const Prefix& nat64 : around.nat64)
    if (nat64.contains(a)) return behind(nat64, a);
  const auto& b = a.storage();
  const auto at = [&](std::size_t i) { return IpAddress::v4(Bytes(b).subspan(i, 4)); };
  if (!a.is_v6()) return a;
  if (in(a, "2001::/32") || in(a, "64:ff9b:1::/48")) return {};
  if (a.unmapped() != a) return a.unmapped();
  if (in(a, "64:ff9b::/96")) return at(12);
  if (in(a, "2002::/16")) return at(2);
  if (in(a, "::/96") && !a.is_unspecified() && !a.is_loopback()) return at(12);
  return a;
}

inline bool has_port(const std::optional<std::string>& list, unsigned port) {
  if (!list || *list == "all") return true;
  std::istringstream in(*list);
  for (std::string item; std::getline(in, item, ',');) {
    const auto dash = item.find('-');
    const unsigned long first = std::stoul(item);
    const unsigned long last = dash == item.npos ? first : std::stoul(item.substr(dash + 1));
    if (port >= first && port <= last) return true;
  }
  return false;
}

/// The names of the list files, as people see them.
struct ListText {
  std::vector<std::string> listed;                  // as the row's match says
  std::vector<std::string> exact{}, children{};     // for the name alone, for those below it
  std::vector<std::string> exceptions{};            // with all below
  bool nearest_wins = false;                        // the longest decides, and not any exception
  std::vector<std::string> important{};             // with all below, whatever exceptions say
  std::vector<std::string> important_exceptions{};  // with all below, whatever is important
};
using ListTexts = std::map<std::string, ListText>;

struct Evaluator {
  const Model& model;
  const Surroundings& around;
  std::int64_t now;
  const ListTexts& lists;

  std::int64_t group_of(const ClientFacts& client) const {
    std::vector<Group> order = model.groups;
    std::sort(order.begin(), order.end(),
              [](auto& a, auto& b) { return std::tie(a.priority, a.id) < std::tie(b.priority, b.id); });
    for (const Group& group : order)
      for (const GroupMember& m : model.group_members)
        if (group.enabled && group.id != 0 && m.group_id == group.id && m.life.counts_at(now) && is(m, client))
          return group.id;
    return 0;
  }

  bool is(const GroupMember& m, const ClientFacts& c) const {
    if (m.kind == "source") return Prefix::parse(m.pattern)->contains(unwrapped(c.source, around).value_or(c.source));
    const auto text = m.kind == "identity" ? c.identity : m.kind == "listener" ? c.listener : c.plugin;
    if (m.pattern.back() == '*')
      return !text.empty() && text.starts_with(std::string_view(m.pattern).substr(0, m.pattern.size() - 1));
    return text == m.pattern;
  }

  bool never(const IpAddress& a, bool peer) const {
    for (const char* p : {"0.0.0.0/8", "::/128", "224.0.0.0/4", "ff00::/8", "255.255.255.255/32", "169.254.169.254/32",
                          "169.254.170.2/32", "fd00:ec2::254/128", "168.63.129.16/32", "100.100.100.200/32"})
      if (in(a, p)) return true;
    for (const Prefix& broadcast : around.broadcast)
      if (broadcast.contains(a)) return true;
    return !peer && (in(a, "169.254.0.0/16") || in(a, "fe80::/10") || in(a, "240.0.0.0/4"));
  }

  bool matches(const PortPermit& p, std::int64_t group, const IpAddress& a, bool is_public, const Flow& f) const {
    if (!p.life.counts_at(now) || (p.group_id && *p.group_id != group) || !has_port(p.ports, f.port)) return false;
    if ((p.transport == "tcp" && f.transport != 6) || (p.transport == "udp" && f.transport != 17)) return false;
    if (p.transport == "icmp" && f.transport != 1 && f.transport != 58) return false;
    return p.destination ? Prefix::parse(*p.destination)->contains(a) : is_public || p.action != "allow";
  }

  Verdict judge(std::int64_t group, std::string_view plugin, bool allow_local, const Flow& f) const {
    const auto deny = [](Reason r) { return Verdict{Action::deny, r}; };
    const bool resolver = f.flags & kFlowResolver, peer = f.flags & kFlowPeer;
    const auto inner = unwrapped(f.destination, around);
    if (!inner) return deny(Reason::unwrapped);
    const IpAddress a = *inner;
    bool local = false, bogon = false;
    if (!resolver) {
      if (never(a, peer)) return deny(Reason::hard_deny);
      for (const ClaimedPrefix& claim : around.claims)
        if (claim.plugin != plugin && (claim.prefix.contains(a) || claim.prefix.contains(f.destination)))
          return deny(Reason::hard_deny);
      if (!peer) {
        for (const Prefix& own : around.own) local = local || own.contains(a) || own.contains(f.destination);
        local = local || a.is_loopback();
        for (const OwnListener& l : around.listeners)
          if (local && l.transport == f.transport && l.endpoint.port == f.port &&
              (l.endpoint.address.is_unspecified() || l.endpoint.address == a))
            return deny(Reason::hard_deny);
        if (local && !allow_local) return deny(Reason::hard_deny);
        for (const char* p : bogons()) bogon = bogon || in(a, p);
        if (bogon && !local && !opened(group, a, f)) return deny(Reason::bogon);
      }
    }
    if (const auto by_name = judge_name(group, f)) return *by_name;
    if (resolver) return {Action::allow, Reason::resolver};
    if (peer) return {Action::allow, Reason::peer};
    std::vector<PortPermit> order = model.port_permits;
    std::sort(order.begin(), order.end(),
              [](auto& x, auto& y) { return std::tie(x.priority, x.id) < std::tie(y.priority, y.id); });
    for (const PortPermit& p : order)
      if (p.action != "monitor" && matches(p, group, a, !bogon && !local, f))
        return {p.action == "allow" ? Action::allow : Action::deny, Reason::port_permit, Table::port_permits, p.id};
    if (local) return {Action::allow, Reason::local};
    for (const Setting& s : model.settings)
      if (s.name == "default_action")
        return {s.value == "allow" ? Action::allow : Action::deny, Reason::default_action, Table::settings, s.id};
    return deny(Reason::default_action);
  }

  bool opened(std::int64_t group, const IpAddress& a, const Flow& f) const {
    for (const PortPermit& p : model.port_permits)
      if (p.action == "allow" && p.destination && matches(p, group, a, false, f))
        for (const char* range : bogons())
          if (Prefix::parse(range)->contains(Prefix::parse(*p.destination).value())) return true;
    return false;
  }

  std::optional<Verdict> judge_name(std::int64_t group, const Flow& f) const {
    // Smaller is better: length, own before global, allow, exact, rows before lists, id.
    using Rank = std::tuple<long, bool, bool, bool, bool, std::int64_t>;
    std::optional<Rank> best;
    bool any = false;
    const auto meet = [&](const auto& r, std::string_view name, bool exact, bool of_list) {
      if (exact ? f.domain != name : !is_below(f.domain, name)) return;
      const Rank rank(-static_cast<long>(name.size()), !r.group_id, r.action != "allow", !exact, of_list, r.id);
      if (!best || rank < *best) best = rank;
    };
    const auto silent = [&](const auto& r) {
      return !r.life.counts_at(now) || r.action == "monitor" || (r.group_id && *r.group_id != group);
    };
    for (const DomainRule& r : model.domain_rules) {
      if (silent(r)) continue;
      any = true;
      meet(r, r.domain, r.match == "exact", false);
    }
    for (const DomainList& r : model.domain_lists) {
      if (silent(r)) continue;
      any = true;
      const ListText& text = lists.at(r.file);
      const auto longest = [&](const std::vector<std::string>& names) {
        std::size_t out = 0;
        for (const std::string& name : names)
          if (is_below(f.domain, name)) out = std::max(out, name.size());
        return out;
      };
      const std::size_t excepted = longest(text.exceptions), important = longest(text.important);
      std::size_t most = f.domain.size();  // names longer than that say nothing
      if (!text.nearest_wins && excepted > important) most = important;
      if (longest(text.important_exceptions) > 0) most = 0;
      const auto each = [&](const std::vector<std::string>& names, const auto& visit) {
        for (const std::string& name : names)
          if (name.size() <= most && (!text.nearest_wins || name.size() > excepted)) visit(name);
      };
      const bool open_below = r.match == "suffix";
      const auto is_in = [](const std::vector<std::string>& names, const std::string& name) {
        return std::count(names.begin(), names.end(), name) > 0;
      };
      const auto itself = [&](const std::string& name) {
        const bool reaches_below =
            is_in(text.children, name) || is_in(text.important, name) || (open_below && is_in(text.listed, name));
        if (f.domain == name) meet(r, name, !reaches_below, true);
      };
      each(text.exact, itself);
      each(text.listed, itself);
      each(text.important, [&](const std::string& name) { meet(r, name, false, true); });
      if (open_below) each(text.listed, [&](const std::string& name) { meet(r, name, false, true); });
      each(text.children, [&](const std::string& name) {
        if (f.domain != name) meet(r, name, false, true);
      });
    }
    if (any && !(f.flags & kFlowBadName) && f.domain.find("..") != f.domain.npos)
      return Verdict{Action::deny, Reason::dns_malformed};
    if (f.flags & kFlowBadName)
      return any || (f.flags & kFlowResolver) ? std::optional(Verdict{Action::deny, Reason::dns_malformed})
                                              : std::nullopt;
    if (f.domain.empty() || !best || !std::get<2>(*best)) return {};
    return Verdict{Action::deny, Reason::domain, std::get<4>(*best) ? Table::domain_lists : Table::domain_rules,
                   std::get<5>(*best)};
  }
};

}  // namespace gatehouse::policy::naive
