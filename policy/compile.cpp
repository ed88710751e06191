#include "policy/compile.hpp"

#include "policy/limiter.hpp"
#include "policy/match/ascii_domain.hpp"
#include "policy/match/glob.hpp"
#include "policy/match/special_ranges.hpp"

#include <gatehouse/base/domain.hpp>

#include <algorithm>
#include <map>
#include <tuple>

namespace gatehouse::policy {
namespace {

std::string quoted(std::string_view text) { return '`' + std::string(text) + '`'; }

/// Why `text` is no CIDR, and what to write.
std::string cidr_sentence(std::string_view text) {
  const auto slash = text.find('/');
  if (const auto address = IpAddress::parse(text.substr(0, slash)); address && slash != text.npos)
    for (unsigned length = 0; length <= address->bits(); ++length)
      if (text.substr(slash + 1) == std::to_string(length))
        return quoted(text) + " has bits set beyond its length: write " + Prefix(*address, length).to_string();
  return quoted(text) + " is not an address or a CIDR: write it as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32";
}

/// Is every address of `prefix` unwrapped before rows are looked at, so that the row could never match?
bool is_wrapped(const Prefix& prefix) {
  for (const char* form : {"::/96", "64:ff9b::/96", "2002::/16"})
    if (Prefix::parse(form)->contains(prefix))
      return prefix.address() != IpAddress::parse("::").value() && prefix.address() != IpAddress::parse("::1").value();
  return false;
}

std::string domain_sentence(std::string_view text) {
  if (text.starts_with("*.") || text.starts_with('.'))
    return quoted(text) + ": write " + quoted(text.substr(text.find('.') + 1)) +
           ", and match = suffix covers it and all names below it";
  const auto name = canonical_domain(text);
  if (name.error() == Errc::unsupported)
    return quoted(text) + " has letters that no domain name may have: write it as ads.example";
  if (name.error() == Errc::oversize)
    return quoted(text) + " is too long for a domain name: 253 characters, 63 a label";
  return quoted(text) + " is not a domain name: write it as ads.example";
}

/// The row's fields that decide its place in the order of judgement.
struct Ranked {
  std::int64_t priority = 0;
  Permit permit;
  std::optional<std::int64_t> group_id;
};

class Compiler {
 public:
  Compiler(const Model& model, const Lists& lists, std::int64_t now) : model_(model), lists_(lists), now_(now) {
    parts_.seed = lists.seed;
    parts_.names.rows = DomainTable(lists.seed);
  }

  Compiled run(const Surroundings& surroundings, std::uint64_t generation) {
    parts_.own = OwnPlaces(surroundings);
    groups();
    members();
    credentials();
    domain_rules();
    domain_lists();
    port_permits(surroundings);
    traffic_rules();
    settings();
    Compiled out;
    out.snapshot = std::make_shared<const Snapshot>(std::move(parts_), generation);
    std::stable_sort(problems_.begin(), problems_.end(), [](const Problem& a, const Problem& b) {
      return std::tie(a.table, a.row) < std::tie(b.table, b.row);
    });
    out.degraded = std::any_of(problems_.begin(), problems_.end(), [](const Problem& p) { return p.is_deny; });
    out.problems = std::move(problems_);
    out.next_expiry = next_expiry_;
    return out;
  }

 private:
  void problem(std::string_view table, std::int64_t row, std::string sentence, bool is_deny = false) {
    problems_.push_back({std::string(table), row, std::move(sentence), is_deny});
  }

  bool counts(const Life& life) {
    if (!life.counts_at(now_)) return false;
    if (life.expires_at) next_expiry_ = std::min(next_expiry_.value_or(*life.expires_at), *life.expires_at);
    return true;
  }

  /// The policy of an enabled group, or nullptr; a group that does not exist is a problem of that row.
  GroupPolicy* group(std::int64_t id, std::string_view table, std::int64_t row, bool is_deny) {
    const auto found = index_.find(id);
    if (found != index_.end()) return found->second ? &parts_.groups[*found->second] : nullptr;
    problem(table, row, "there is no group with id " + std::to_string(id), is_deny);
    return nullptr;
  }

  void groups() {
    std::vector<const Group*> order;
    for (const Group& row : model_.groups) {
      index_[row.id] = std::nullopt;
      if (row.enabled && row.id != 0) order.push_back(&row);
    }
    std::sort(order.begin(), order.end(), [](const Group* a, const Group* b) {
      return std::tie(a->priority, a->id) < std::tie(b->priority, b->id);
    });
    for (const Group* row : order) add_group(row->id, row->name);
    add_group(0, "everyone");
  }

  void add_group(std::int64_t id, const std::string& name) {
    index_[id] = parts_.groups.size();
    GroupPolicy& group = parts_.groups.emplace_back();
    group.id = id;
    group.name = name;
    group.names.rows = DomainTable(parts_.seed);
  }

  void members() {
    for (const GroupMember& row : model_.group_members) {
      if (!counts(row.life)) continue;
      const GroupPolicy* const of = group(row.group_id, "group_members", row.id, false);
      if (!of || of->id == 0) continue;
      MemberPattern pattern;
      pattern.group = static_cast<GroupIndex>(*index_[row.group_id]);
      if (!read_member(row, pattern)) continue;
      if (pattern.kind == MemberPattern::Kind::identity && is_literal(row.pattern)) {
        const auto [place, added] = parts_.literal_members.emplace(row.pattern, pattern.group);
        if (!added) place->second = std::min(place->second, pattern.group);
      } else {
        parts_.members.push_back(std::move(pattern));
      }
    }
    std::stable_sort(parts_.members.begin(), parts_.members.end(),
                     [](const MemberPattern& a, const MemberPattern& b) { return a.group < b.group; });
  }

  bool read_member(const GroupMember& row, MemberPattern& out) {
    using Kind = MemberPattern::Kind;
    out.glob = row.pattern;
    if (row.kind == "identity") return out.kind = Kind::identity, true;
    if (row.kind == "listener") return out.kind = Kind::listener, true;
    if (row.kind == "plugin") return out.kind = Kind::plugin, true;
    if (row.kind != "source") {
      problem("group_members", row.id, quoted(row.kind) + " is no kind: write identity, source, listener or plugin");
      return false;
    }
    const auto prefix = Prefix::parse(row.pattern);
    if (!prefix) return problem("group_members", row.id, cidr_sentence(row.pattern)), false;
    out.kind = Kind::source;
    out.source = PrefixBits(*prefix);
    return true;
  }

  void credentials() {
    for (const Credential& row : model_.credentials)
      if (counts(row.life))
        if (std::string why = parts_.credentials.add(row); !why.empty()) problem("credentials", row.id, std::move(why));
  }

  void domain_rules() {
    for (const DomainRule& row : model_.domain_rules) {
      if (!counts(row.life)) continue;
      const bool is_deny = row.action != "allow" && row.action != "monitor";
      NameRules* const names = names_of(row.group_id, "domain_rules", row.id, is_deny);
      if (!names) continue;
      const auto name = ascii_domain(row.domain);
      if (!name || row.domain.starts_with("*.")) {
        problem("domain_rules", row.id, domain_sentence(row.domain), is_deny);
      } else if (row.match != "suffix" && row.match != "exact") {
        problem("domain_rules", row.id, quoted(row.match) + " is no match: write suffix or exact", is_deny);
      } else if (is_deny && row.action != "block") {
        problem("domain_rules", row.id, quoted(row.action) + " is no action: write block, allow or monitor", true);
      } else {
        const DomainAction action = row.action == "block"   ? DomainAction::block
                                    : row.action == "allow" ? DomainAction::allow
                                                            : DomainAction::monitor;
        names->rows.add(*name, {action, row.match == "exact", row.id});
        parts_.has_monitors = parts_.has_monitors || action == DomainAction::monitor;
      }
    }
  }

  /// Where the rules on names of a group, or of all, stand; nullptr for a group that is not in force.
  NameRules* names_of(std::optional<std::int64_t> group_id, std::string_view table, std::int64_t row, bool is_deny) {
    if (!group_id) return &parts_.names;
    GroupPolicy* const of = group(*group_id, table, row, is_deny);
    return of ? &of->names : nullptr;
  }

  void domain_lists() {
    for (const DomainList& row : model_.domain_lists) {
      if (!counts(row.life)) continue;
      const bool is_deny = row.action == "block";
      NameRules* const names = names_of(row.group_id, "domain_lists", row.id, is_deny);
      if (!names) continue;
      if (row.file.empty()) {
        problem("domain_lists", row.id,
                "the list has no names yet: `gatehouse policy import " + row.name + " FILE` fills it", is_deny);
        continue;
      }
      const auto file = lists_.by_file.find(row.file);
      if (file == lists_.by_file.end() || !file->second.names) {
        problem("domain_lists", row.id,
                file == lists_.by_file.end() || file->second.failure.empty()
                    ? "the file " + quoted(row.file) + " is not in lists/: import the list again"
                    : file->second.failure,
                is_deny);
        continue;
      }
      const DomainAction action = is_deny                 ? DomainAction::block
                                  : row.action == "allow" ? DomainAction::allow
                                                          : DomainAction::monitor;
      names->lists.push_back({file->second.names, action, row.match == "exact", row.id, file->second.mismatches});
      names->lists_decide = names->lists_decide || action != DomainAction::monitor;
      parts_.has_monitors = parts_.has_monitors || action == DomainAction::monitor;
    }
  }

  void port_permits(const Surroundings& surroundings) {
    std::vector<Ranked> order;
    for (const PortPermit& row : model_.port_permits) {
      if (!counts(row.life)) continue;
      const bool is_deny = row.action != "allow" && row.action != "monitor";
      if (row.group_id && !group(*row.group_id, "port_permits", row.id, is_deny)) continue;
      Permit permit;
      if (std::string why; !read_permit(row, permit, why))
        problem("port_permits", row.id, std::move(why), is_deny);
      else
        order.push_back({row.priority, permit, row.group_id});
    }
    std::sort(order.begin(), order.end(), [](const Ranked& a, const Ranked& b) {
      return std::tie(a.priority, a.permit.row) < std::tie(b.priority, b.permit.row);
    });
    cut_ranges(order, surroundings);
    std::shared_ptr<const PermitIndex> shared;  // by all groups without a permit of their own
    for (GroupPolicy& of : parts_.groups) {
      std::vector<Permit> permits;
      bool own = false;
      for (const Ranked& row : order) {
        if (row.group_id && *row.group_id != of.id) continue;
        permits.push_back(row.permit);
        own = own || row.group_id.has_value();
      }
      of.permits = !own && shared ? shared : std::make_shared<const PermitIndex>(std::move(permits), parts_.ranges);
      if (!own) shared = of.permits;
    }
  }

  /// Cuts the addresses wherever a row, a special range or a place of the gateway begins or ends.
  void cut_ranges(const std::vector<Ranked>& permits, const Surroundings& surroundings) {
    std::vector<PrefixBits> borders;
    for (const SpecialRange& range : special_ranges()) borders.push_back(range.prefix);
    for (const Ranked& row : permits)
      if (row.permit.reach == Permit::Reach::prefix) borders.push_back(row.permit.destination);
    for (const Prefix& prefix : surroundings.tunnel_prefixes) borders.emplace_back(prefix);
    for (const auto* addresses : {&surroundings.own_addresses, &surroundings.broadcast_addresses})
      for (const IpAddress& address : *addresses)
        borders.emplace_back(AddressBits(address.unmapped()), address.unmapped().bits());
    parts_.ranges = AddressRanges(borders);
    for (std::uint32_t range = 0; range < parts_.ranges.size(); ++range) {
      const AddressBits lowest = parts_.ranges.lowest(range);
      const IpAddress address = lowest.to_address();
      parts_.facts.push_back({special_range(lowest), parts_.own.in_tunnel(lowest), parts_.own.is_broadcast(address),
                              parts_.own.is_own(address)});
    }
  }

  bool read_permit(const PortPermit& row, Permit& out, std::string& why) {
    out.row = row.id;
    if (row.action != "allow" && row.action != "deny" && row.action != "monitor")
      return why = quoted(row.action) + " is no action: write allow, deny or monitor", false;
    out.action = row.action == "allow"  ? PermitAction::allow
                 : row.action == "deny" ? PermitAction::deny
                                        : PermitAction::monitor;
    if (row.transport != "tcp" && row.transport != "udp" && row.transport != "any")
      return why = quoted(row.transport) + " is no transport: write tcp, udp or any", false;
    out.transport = row.transport == "tcp" ? kTcp : row.transport == "udp" ? kUdp : 0;
    const auto ports = parse_ports(row.ports.value_or("all"));
    if (!ports)
      return why = quoted(*row.ports) +
                   " is no list of ports: write numbers from 1 to 65535, as in 53,443,3478-3481, or all",
             false;
    out.ports = *ports;
    parts_.has_monitors = parts_.has_monitors || out.action == PermitAction::monitor;
    return read_destination(row, out, why);
  }

  bool read_destination(const PortPermit& row, Permit& out, std::string& why) {
    if (!row.destination) {
      out.reach = out.action == PermitAction::allow ? Permit::Reach::public_only : Permit::Reach::everything;
      return true;
    }
    const auto prefix = Prefix::parse(*row.destination);
    if (!prefix) return why = cidr_sentence(*row.destination), false;
    if (is_wrapped(*prefix))
      return why = quoted(*row.destination) +
                   " is an IPv6 form of IPv4 addresses, which are judged as IPv4: write the IPv4 CIDR",
             false;
    out.reach = Permit::Reach::prefix;
    out.destination = PrefixBits(*prefix);
    out.opens_bogon = out.action == PermitAction::allow && bogon_around(out.destination) != nullptr;
    return true;
  }

  void traffic_rules() {
    const auto apply = [](const TrafficRule& row, ScopeLimits& to) {
      for (const TrafficColumn& column : kTrafficColumns)
        if (const Amount& amount = row.*column.row) to.*column.limit = {static_cast<std::uint64_t>(*amount), row.id};
      if (row.quota_period) to.quota_period = *row.quota_period;
    };
    std::vector<const TrafficRule*> rows;
    for (const TrafficRule& row : model_.traffic_rules)
      if (counts(row.life)) rows.push_back(&row);
    for (const bool inherited : {true, false})
      for (const TrafficRule* row : rows) {
        if ((row->group_id == 0) != inherited) continue;
        if (!readable(*row)) continue;
        const auto scope = row->scope == "session" ? &Limits::session : &Limits::identity;
        if (inherited) {
          for (GroupPolicy& of : parts_.groups) apply(*row, of.limits.*scope);
        } else if (GroupPolicy* const of = group(row->group_id, "traffic_rules", row->id, false)) {
          apply(*row, of->limits.*scope);
        }
      }
  }

  bool readable(const TrafficRule& row) {
    if (row.scope != "session" && row.scope != "identity")
      return problem("traffic_rules", row.id, quoted(row.scope) + " is no scope: write session or identity"), false;
    for (const TrafficColumn& column : kTrafficColumns)
      if ((row.*column.row).value_or(0) < 0)
        return problem("traffic_rules", row.id, std::string(column.name) + " is negative: write 0 for no limit"), false;
    at_most(row, "destinations_per_minute", row.destinations_per_minute, DistinctWindow::kMostThings);
    at_most(row, "quota_bytes", row.quota_bytes, QuotaMeter::kMostBytes);
    return true;
  }

  /// A number that meters cannot hold is in force as the largest that they can.
  void at_most(const TrafficRule& row, std::string_view column, const Amount& amount, std::uint64_t most) {
    if (static_cast<std::uint64_t>(amount.value_or(0)) <= most) return;
    problem("traffic_rules", row.id,
            std::string(column) + " can be " + std::to_string(most) +
                " at most, which holds in its place: write that, " +
                "less, or 0 for no limit; the row's other columns are in force");
  }

  void settings() {
    for (const Setting& row : model_.settings) {
      if (row.name != "default_action") {
        problem("settings", row.id, quoted(row.name) + " is no setting: there is default_action");
      } else if (row.value != "allow" && row.value != "deny") {
        problem("settings", row.id, quoted(row.value) + " is no default_action: write deny or allow", true);
      } else {
        parts_.default_action = row.value == "allow" ? Action::allow : Action::deny;
        parts_.default_row = row.id;
      }
    }
  }

  const Model& model_;
  const Lists& lists_;
  const std::int64_t now_;
  SnapshotParts parts_;
  std::map<std::int64_t, std::optional<std::size_t>> index_;  // group id -> place in parts_.groups, none = disabled
  std::vector<Problem> problems_;
  std::optional<std::int64_t> next_expiry_;
};

}  // namespace

Compiled compile(const Model& model, const Surroundings& surroundings, std::uint64_t generation, std::int64_t now,
                 const Lists& lists) {
  return Compiler(model, lists, now).run(surroundings, generation);
}

}  // namespace gatehouse::policy
