#include "policy/explain.hpp"

#include "policy/order.hpp"

namespace gatehouse::policy {
namespace {

std::string_view step_name(Step step) noexcept {
  switch (step) {
    case Step::admission: return "admission";
    case Step::canonicalise: return "canonicalise";
    case Step::hard_denies: return "hard denies";
    case Step::bogons: return "bogons";
    case Step::names: return "names";
    case Step::port_permits: return "port permits";
    case Step::default_action: return "default action";
  }
  return "";
}

/// A finding that is the same for every flow.
std::string_view fixed_sentence(Finding finding) noexcept {
  switch (finding) {
    case Finding::admitted_by_default: return "no row keeps such clients from this frontend";
    case Finding::admitted: return "the first row that matches admits such clients to this frontend";
    case Finding::not_admitted: return "the first row that matches keeps such clients from this frontend";
    case Finding::no_policy: return "no policy could be read: everything is denied";
    case Finding::no_address: return "there is no destination address";
    case Finding::skipped_resolver: return "the gateway's own resolver: not asked";
    case Finding::skipped_peer: return "a relay leg that its peer asked for: not asked";
    case Finding::claimed: return "another plugin claims the destination as its own";
    case Finding::broadcast: return "the destination is the broadcast address of one of the gateway's networks";
    case Finding::own_listener: return "the gateway itself listens there";
    case Finding::own_address: return "the destination is one of the gateway's own addresses";
    case Finding::own_address_lifted: return "the gateway's own address: allow_local_destinations lifts the denial";
    case Finding::nothing_hard: return "none applies";
    case Finding::public_address: return "a public address";
    case Finding::bogon_skipped_local: return "not asked: allow_local_destinations";
    case Finding::no_name: return "no name is known";
    case Finding::no_domain_rule: return "no rule matches the name";
    case Finding::name_allowed: return "the name is allowed; the next steps decide";
    case Finding::name_blocked: return "the name is blocked";
    case Finding::name_monitored: return "this row monitors the name; it decides nothing";
    case Finding::list_allows: return "the list allows the name; the next steps decide";
    case Finding::list_blocks: return "the list blocks the name";
    case Finding::list_monitored: return "this list monitors the name; it decides nothing";
    case Finding::not_a_query: return "a DNS query was due and no name can be read from it";
    case Finding::not_a_query_ignored: return "no name can be read, and no rule judges names here";
    case Finding::permit_allows: return "the first permit that matches allows it";
    case Finding::permit_denies: return "the first permit that matches denies it";
    case Finding::permit_monitors: return "this row monitors the flow; it decides nothing";
    case Finding::no_permit: return "no permit matches";
    case Finding::default_row: return "the default action";
    case Finding::default_missing: return "no default_action is set: deny";
    case Finding::local_default: return "allow_local_destinations opens the gateway's own addresses";
    case Finding::resolver_passes: return "the gateway's own resolver";
    case Finding::peer_passes: return "a relay leg that its peer asked for";
    case Finding::skipped_answer: return "an answer: not asked";
    case Finding::answer_passes: return "an answer that leads to no blocked name";
    case Finding::plain_address:
    case Finding::unwrapped:
    case Finding::form_refused:
    case Finding::hard_range:
    case Finding::bogon_opened:
    case Finding::bogon: break;
  }
  return "";
}

Table table_of(Finding finding) noexcept {
  switch (finding) {
    case Finding::admitted:
    case Finding::not_admitted: return Table::admissions;
    case Finding::name_allowed:
    case Finding::name_blocked:
    case Finding::name_monitored: return Table::domain_rules;
    case Finding::list_allows:
    case Finding::list_blocks:
    case Finding::list_monitored: return Table::domain_lists;
    case Finding::bogon_opened:
    case Finding::permit_allows:
    case Finding::permit_denies:
    case Finding::permit_monitors: return Table::port_permits;
    case Finding::default_row: return Table::settings;
    default: return Table::none;
  }
}

std::string_view outcome_of(Finding finding) noexcept {
  switch (finding) {
    case Finding::skipped_resolver:
    case Finding::skipped_peer:
    case Finding::skipped_answer:
    case Finding::bogon_skipped_local: return "skip";
    case Finding::name_monitored:
    case Finding::list_monitored:
    case Finding::permit_monitors: return "note";
    default: return "pass";
  }
}

/// Writes each finding down. The outcome of the last one is the verdict's.
class Scribe {
 public:
  static constexpr bool kListens = true;
  explicit Scribe(std::vector<ExplainedStep>& steps) : steps_(steps) {}

  void judged_as(const Canonical& canonical) { judged_ = canonical.address; }

  void finds(Step step, Finding finding, std::int64_t row = 0, const SpecialRange* range = nullptr,
             std::string_view entry = {}) {
    std::string text = sentence(finding, range);
    if (!entry.empty()) text += ": `" + std::string(entry) + '`';
    steps_.push_back({step_name(step), outcome_of(finding), std::move(text), table_of(finding), row});
  }

 private:
  [[nodiscard]] std::string sentence(Finding finding, const SpecialRange* range) const {
    const std::string in = range ? range->to_string() : "";
    switch (finding) {
      case Finding::plain_address: return "judged as " + judged_.to_string();
      case Finding::unwrapped: return "inside " + in + ": judged as " + judged_.to_string();
      case Finding::form_refused: return "inside " + in + ": where it leads cannot be told";
      case Finding::hard_range: return "inside " + in + ": never reachable through the gateway";
      case Finding::bogon_opened: return "inside " + in + ": this permit opens it";
      case Finding::bogon: return "inside " + in + ", and no permit inside that range allows it";
      default: return std::string(fixed_sentence(finding));
    }
  }

  std::vector<ExplainedStep>& steps_;
  IpAddress judged_;
};

/// Before anything else: the row that refuses the client, or none. Without a policy that is another step's to say.
std::optional<std::int64_t> find_admission(const Snapshot& snapshot, const ClientFacts& client, Scribe& scribe) {
  if (!snapshot.has_policy()) return {};
  const AdmissionTable::Row* const row =
      snapshot.parts().admissions.find(snapshot.group_of(client), client.plugin, client.listener);
  const Finding finding = row == nullptr ? Finding::admitted_by_default
                          : row->allows  ? Finding::admitted
                                         : Finding::not_admitted;
  scribe.finds(Step::admission, finding, row == nullptr ? 0 : row->id);
  return finding == Finding::not_admitted ? std::optional(row->id) : std::nullopt;
}

}  // namespace

Explanation explain(const Snapshot& snapshot, const ClientFacts& client, bool allow_local, const Flow& flow) {
  Explanation out;
  const GroupPolicy& group = snapshot.group(snapshot.group_of(client));
  out.group = group.name;
  Scribe scribe(out.steps);
  if (const auto row = find_admission(snapshot, client, scribe)) {
    out.verdict = {Action::deny, Reason::admission, Table::admissions, *row, snapshot.generation()};
  } else {
    out.verdict = OrderWalk<Scribe>(snapshot, snapshot.standing_of(client, allow_local), flow, scribe).run();
  }
  out.steps.back().outcome = to_text(out.verdict.action);
  return out;
}

std::string_view order_text() noexcept {
  return R"(Lower priority numbers are judged earlier, ties by id. A monitor row never ends a step.
   admission       who may use the frontend at all: the group's and the global rows in one order, first match decides,
                   none admits; before any flow is judged
0. canonicalise    IPv4 inside IPv6 (nat64_prefixes, ::ffff:0:0/96, ::/96, 64:ff9b::/96, 6to4) is judged as IPv4; Teredo
                   and 64:ff9b:1::/48 are denied; names are lower-case, A-labels, without a final dot
1. hard denies     whatever the kernel delivers to this host (unless the plugin has allow_local_destinations), the
                   gateway's own listeners, prefixes that another plugin claims, unspecified, link-local, cloud
                   metadata, multicast, broadcast, reserved
2. bogons          private, shared, documentation, benchmark and reserved ranges are denied, unless an allow permit
                   that matches, and whose CIDR lies wholly inside one such range, covers the address
3. names           longest match over the group's and the global rows and lists; at equal length the group's beats the
                   global, then allow beats block, exact beats suffix, a row beats a list; a block denies, an allow
                   goes on. An exception inside a list takes names out of that list alone.
                   Where names are judged, a datagram that should be a DNS query (settings.dns_ports) and is not is
                   denied; and the names that an answer leads to (CNAME, SVCB, HTTPS) are judged by this step, too,
                   unless settings.judge_answers is 0: a block turns the answer into that to a blocked question
4. port permits    the group's and the global rows in one order, first match decides
5. default action  settings.default_action; on own addresses under allow_local_destinations: allow
The gateway's own resolver: only steps 0 and 3. A relay leg: step 0, and of step 1 only multicast, broadcast,
unspecified, metadata and prefixes that another plugin claims.
)";
}

}  // namespace gatehouse::policy
