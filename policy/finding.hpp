// The words of a judgement: its steps, and what each can find. Values.
#pragma once

#include <cstdint>

namespace gatehouse::policy {

enum class Step : std::uint8_t { admission, canonicalise, hard_denies, bogons, names, port_permits, default_action };

/// What a step found; explain() has a sentence for each.
enum class Finding : std::uint8_t {
  admitted_by_default,
  admitted,
  not_admitted,
  no_policy,
  plain_address,
  unwrapped,
  form_refused,
  no_address,
  skipped_resolver,
  skipped_peer,
  hard_range,
  claimed,
  broadcast,
  own_listener,
  own_address,
  own_address_lifted,
  nothing_hard,
  public_address,
  bogon_skipped_local,
  bogon_opened,
  bogon,
  no_name,
  no_domain_rule,
  name_allowed,
  name_blocked,
  name_monitored,
  list_allows,
  list_blocks,
  list_monitored,
  not_a_query,
  not_a_query_ignored,
  permit_allows,
  permit_denies,
  permit_monitors,
  no_permit,
  default_row,
  default_missing,
  local_default,
  resolver_passes,
  peer_passes,
  skipped_answer,
  answer_passes,
};

}  // namespace gatehouse::policy
