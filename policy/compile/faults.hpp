// Everything that can be wrong with a row, each with the one sentence that people read of it: what is wrong and what to
// write instead. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace gatehouse::policy {

enum class Fault : std::uint8_t {
  no_group,
  member_kind,
  member_without_kind,
  cidr_unreadable,
  cidr_host_bits,
  cidr_wrapped,
  credential_kind,
  token_value,
  relay_key_value,
  any_certificate,
  any_user,
  no_value,
  identity_untyped,
  identity_too_long,
  no_plugin,
  credential_given_twice,
  domain_wildcard,
  domain_letters,
  domain_too_long,
  domain_unreadable,
  domain_address,
  domain_pattern,
  domain_character,
  domain_match,
  domain_action,
  list_empty,
  list_gone,
  list_unreadable,
  permit_action,
  permit_transport,
  permit_ports,
  permit_icmp_ports,
  too_many_monitors,
  admission_action,
  traffic_scope,
  traffic_negative,
  traffic_period,
  traffic_too_large,
  setting_name,
  default_action_value,
  dns_ports_value,
  judge_answers_value,
};
inline constexpr std::size_t kFaults = static_cast<std::size_t>(Fault::judge_answers_value) + 1;

/// The sentence, with {} for each word of the row's own.
[[nodiscard]] std::string_view sentence_of(Fault fault) noexcept;

/// The same with `words` in the places of {}, in their order; words without a place are left out.
[[nodiscard]] std::string sentence_of(Fault fault, std::initializer_list<std::string_view> words);

}  // namespace gatehouse::policy
