// `gatehouse policy permit|deny`: plain rows of port_permits without SQL, checked before they are written, as in
// name_verbs.hpp. Verbs as in invocation.hpp; main thread.
#pragma once

#include "gateway/cli/policy/edit/row_edit.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace gatehouse {

struct PermitArguments : RowArguments {
  std::string transport;    ///< udp, tcp, any
  std::string ports;        ///< "53,443,3478-3481", "all"
  std::string destination;  ///< a CIDR; "" = any (public) address
  /// None = 50 for a deny, so that it is judged before the starter policy's permit; else 100.
  std::optional<std::int64_t> priority;
};

[[nodiscard]] int policy_permit_verb(const Invocation& invocation, const PermitArguments& arguments);
[[nodiscard]] int policy_deny_verb(const Invocation& invocation, const PermitArguments& arguments);

}  // namespace gatehouse
