// The order of judgement, written once. judge() walks it as it is, explain() with a witness that records what
// happens, so that the two cannot differ. Pure; thread-safe.
//
//   0 canonicalise    what address is this really?
//   1 hard denies     the gateway itself, this link, many hosts at once, metadata services
//   2 bogons          denied unless a permit names them
//   3 names           can only block
//   4 port permits    first match
//   5 default action
#pragma once

#include "policy/finding.hpp"
#include "policy/match/special_ranges.hpp"
#include "policy/snapshot.hpp"

namespace gatehouse::policy {

/// A witness that keeps nothing.
struct NoWitness {
  void judged_as(const Canonical&) noexcept {}
  void finds(Step, Finding, std::int64_t = 0, const SpecialRange* = nullptr, std::string_view = {}) noexcept {}
  static constexpr bool kListens = false;
};

/// One walk over the steps. Each step returns true when it has set `verdict`.
template <class Witness>
class OrderWalk {
 public:
  OrderWalk(const Snapshot& snapshot, const Standing& client, const Flow& flow, Witness& witness)
      : parts_(snapshot.parts()),
        group_(snapshot.group(client.group)),
        flow_(flow),
        witness_(witness),
        index_(client.group),
        claimant_(client.claimant),
        allow_local_(client.allow_local) {
    verdict_.generation = snapshot.generation();
  }

  Verdict run() {
    if (!parts_.has_policy) {
      deny(Step::canonicalise, Finding::no_policy, Reason::no_policy);
    } else {
      canonicalise() || hard_denies() || bogons() || names() || port_permits() || default_action();
    }
    return verdict_;
  }

 private:
  [[nodiscard]] bool resolver() const noexcept { return (flow_.flags & kFlowResolver) != 0; }
  [[nodiscard]] bool peer() const noexcept { return (flow_.flags & kFlowPeer) != 0; }
  [[nodiscard]] bool answer() const noexcept { return (flow_.flags & kFlowAnswer) != 0; }

  bool canonicalise() {
    const Canonical canonical = canonical_address(flow_.destination, parts_.nat64);
    witness_.judged_as(canonical);
    if (canonical.refused) return deny(Step::canonicalise, Finding::form_refused, Reason::unwrapped, canonical.form);
    if (canonical.address.family() == Family::none)
      return deny(Step::canonicalise, Finding::no_address, Reason::hard_deny);
    address_ = canonical.address;
    wrapped_ = canonical.form != nullptr;
    bits_ = AddressBits(address_);
    return pass(Step::canonicalise, wrapped_ ? Finding::unwrapped : Finding::plain_address, 0, canonical.form);
  }

  bool hard_denies() {
    constexpr Step kStep = Step::hard_denies;
    if (answer()) return pass(kStep, Finding::skipped_answer);
    if (resolver()) return pass(kStep, Finding::skipped_resolver);
    place_ = parts_.ranges.find(bits_);
    const RangeFacts& facts = parts_.facts[place_];
    range_ = facts.special;
    if (peer()) return peer_denies();
    const bool loopback = range_ && range_->kind == RangeKind::loopback;
    if (range_ && !range_->is_bogon() && !loopback) return deny(kStep, Finding::hard_range, Reason::hard_deny, range_);
    if (const Claimant other = other_claimant(); other != Claimant::nobody)
      return deny(kStep, Finding::claimed, Reason::hard_deny, nullptr, parts_.own.name_of(other));
    if (facts.broadcast) return deny(kStep, Finding::broadcast, Reason::hard_deny);
    local_ = loopback || facts.own || (wrapped_ && written_facts().own);
    if (!local_) return pass(kStep, Finding::nothing_hard);
    if (parts_.own.is_listener(address_, flow_.port, flow_.transport))
      return deny(kStep, Finding::own_listener, Reason::hard_deny);
    if (!allow_local_)
      return deny(kStep, loopback ? Finding::hard_range : Finding::own_address, Reason::hard_deny, range_);
    return pass(kStep, Finding::own_address_lifted);
  }

  /// Of the destination in the form in which it was written.
  [[nodiscard]] const RangeFacts& written_facts() const noexcept {
    return parts_.facts[parts_.ranges.find(AddressBits(flow_.destination))];
  }

  /// Another plugin than the client's, which claims the destination, also in the form in which it was written.
  [[nodiscard]] Claimant other_claimant() const noexcept {
    const Claimant by = parts_.facts[place_].claimed_by;
    if (by != Claimant::nobody && by != claimant_) return by;
    if (!wrapped_) return Claimant::nobody;
    const Claimant written = written_facts().claimed_by;
    return written != claimant_ ? written : Claimant::nobody;
  }

  bool peer_denies() {
    const bool denied = range_ && (range_->kind == RangeKind::unspecified || range_->kind == RangeKind::metadata ||
                                   range_->kind == RangeKind::multicast || range_->kind == RangeKind::broadcast);
    if (denied) return deny(Step::hard_denies, Finding::hard_range, Reason::hard_deny, range_);
    if (parts_.facts[place_].broadcast) return deny(Step::hard_denies, Finding::broadcast, Reason::hard_deny);
    if (const Claimant other = other_claimant(); other != Claimant::nobody)
      return deny(Step::hard_denies, Finding::claimed, Reason::hard_deny, nullptr, parts_.own.name_of(other));
    return pass(Step::hard_denies, Finding::nothing_hard);
  }

  bool bogons() {
    constexpr Step kStep = Step::bogons;
    if (answer()) return pass(kStep, Finding::skipped_answer);
    if (resolver()) return pass(kStep, Finding::skipped_resolver);
    if (peer()) return pass(kStep, Finding::skipped_peer);
    if (local_) return pass(kStep, Finding::bogon_skipped_local);
    if (!range_) return pass(kStep, Finding::public_address);
    if (const PermitTable::Row* const permit = parts_.permits.opener(target()))
      return pass(kStep, Finding::bogon_opened, permit->row, range_);
    return deny(kStep, Finding::bogon, Reason::bogon, range_);
  }

  bool names() {
    constexpr Step kStep = Step::names;
    const bool rules = group_.names.decides() || parts_.names.decides();
    if ((flow_.flags & kFlowBadName) != 0) return bad_name(rules);
    if (flow_.domain.empty()) return pass(kStep, Finding::no_name);
    if (!rules && !Witness::kListens) return false;
    const NameSuffixes name(flow_.domain, parts_.seed);
    if (!name.valid()) return rules ? bad_name(true) : pass(kStep, Finding::not_a_query_ignored);
    NameMatch best;
    search(group_.names, false, name, best);
    search(parts_.names, true, name, best);
    if (best.decision.action == DomainAction::none) return pass(kStep, Finding::no_domain_rule);
    const std::int64_t row = best.decision.row;
    const std::string_view entry = best.of_list ? name.text(best.suffix) : std::string_view();
    if (best.decision.action == DomainAction::allow)
      return pass(kStep, best.of_list ? Finding::list_allows : Finding::name_allowed, row, nullptr, entry);
    return decide(kStep, best.of_list ? Finding::list_blocks : Finding::name_blocked, Action::deny, Reason::domain,
                  best.of_list ? Table::domain_lists : Table::domain_rules, row, entry);
  }

  /// The row or list that speaks for a name, and for which suffix of it.
  struct NameMatch {
    DomainDecision decision;
    std::size_t suffix = 0;
    bool global = false, of_list = false;
    [[nodiscard]] bool beats(const NameMatch& other) const noexcept {
      if (!other.decision) return true;
      if (suffix != other.suffix) return suffix > other.suffix;
      if (global != other.global) return !global;
      if (decision.action != other.decision.action) return decision.action == DomainAction::allow;
      if (decision.exact != other.decision.exact) return decision.exact;
      if (of_list != other.of_list) return !of_list;
      return decision.row < other.decision.row;
    }
  };

  void search(const NameRules& rules, bool global, const NameSuffixes& name, NameMatch& best) {
    monitors(rules.rows, name);
    for (std::size_t i = name.count(); i-- > 0;)
      if (const DomainDecision row = rules.rows.find(name, i)) {
        if (const NameMatch match{row, i, global, false}; match.beats(best)) best = match;
        break;
      }
    for (const ListRule& list : rules.lists) {
      if (list.action == DomainAction::monitor && !Witness::kListens) continue;
      const auto hit = list.find(name);
      if (!hit) continue;
      if (list.action == DomainAction::monitor) {
        witness_.finds(Step::names, Finding::list_monitored, list.row, nullptr, name.text(hit->suffix));
        continue;
      }
      const NameMatch match{{list.action, hit->exact, list.row}, hit->suffix, global, true};
      if (match.beats(best)) best = match;
    }
  }

  void monitors(const DomainTable& rows, const NameSuffixes& name) {
    if constexpr (Witness::kListens)
      for (std::size_t i = name.count(); i-- > 0;)
        if (const DomainDecision row = rows.monitor(name, i))
          witness_.finds(Step::names, Finding::name_monitored, row.row);
  }

  bool bad_name(bool rules) {
    if (rules || (resolver() && !answer())) return deny(Step::names, Finding::not_a_query, Reason::dns_malformed);
    return pass(Step::names, Finding::not_a_query_ignored);
  }

  bool port_permits() {
    constexpr Step kStep = Step::port_permits;
    if (answer()) return pass(kStep, Finding::skipped_answer);
    if (resolver()) return pass(kStep, Finding::skipped_resolver);
    if (peer()) return pass(kStep, Finding::skipped_peer);
    const PermitTable::Row* const permit = parts_.permits.first(
        target(), !range_ && !local_,
        [&](const PermitTable::Row& monitor) { witness_.finds(kStep, Finding::permit_monitors, monitor.row); });
    if (permit) {
      const bool allows = permit->action == PermitAction::allow;
      return decide(kStep, allows ? Finding::permit_allows : Finding::permit_denies,
                    allows ? Action::allow : Action::deny, Reason::port_permit, Table::port_permits, permit->row);
    }
    return pass(kStep, Finding::no_permit);
  }

  [[nodiscard]] PermitTable::Target target() const noexcept {
    return {index_, place_, bits_, flow_.port, flow_.transport};
  }

  bool default_action() {
    constexpr Step kStep = Step::default_action;
    if (answer()) return decide(kStep, Finding::answer_passes, Action::allow, Reason::none);
    if (resolver()) return decide(kStep, Finding::resolver_passes, Action::allow, Reason::resolver);
    if (peer()) return decide(kStep, Finding::peer_passes, Action::allow, Reason::peer);
    if (local_) return decide(kStep, Finding::local_default, Action::allow, Reason::local);
    if (!parts_.default_row) return deny(kStep, Finding::default_missing, Reason::default_action);
    return decide(kStep, Finding::default_row, parts_.default_action, Reason::default_action, Table::settings,
                  *parts_.default_row);
  }

  bool pass(Step step, Finding finding, std::int64_t row = 0, const SpecialRange* range = nullptr,
            std::string_view entry = {}) {
    witness_.finds(step, finding, row, range, entry);
    return false;
  }
  bool deny(Step step, Finding finding, Reason reason, const SpecialRange* range = nullptr,
            std::string_view entry = {}) {
    witness_.finds(step, finding, 0, range, entry);
    verdict_.action = Action::deny;
    verdict_.reason = reason;
    return true;
  }
  bool decide(Step step, Finding finding, Action action, Reason reason, Table table = Table::none, std::int64_t row = 0,
              std::string_view entry = {}) {
    witness_.finds(step, finding, row, nullptr, entry);
    verdict_.action = action;
    verdict_.reason = reason;
    verdict_.table = table;
    verdict_.row = row;
    return true;
  }

  const SnapshotParts& parts_;
  const GroupPolicy& group_;
  const Flow& flow_;
  Witness& witness_;
  Verdict verdict_;
  IpAddress address_;
  AddressBits bits_;
  const SpecialRange* range_ = nullptr;
  std::uint32_t place_ = 0;  // of the address in parts_.ranges
  const GroupIndex index_;
  const Claimant claimant_;
  const bool allow_local_;
  bool wrapped_ = false;
  bool local_ = false;
};

}  // namespace gatehouse::policy
