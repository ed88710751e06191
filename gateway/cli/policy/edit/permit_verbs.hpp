// `gatehouse policy permit|deny`: plain rows of port_permits without SQL, judged before they are written, as in
// name_verbs.hpp. Each writes for people, or with `json` one JSON object, and returns the exit code (invocation.hpp);
// throws std::exception with a sentence. Main thread.
#pragma once

#include "gateway/cli/policy/edit/row_edit.hpp"

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>

namespace gatehouse {

struct PermitOrder : RowOrder {
  std::string transport;    ///< udp, tcp, any
  std::string ports;        ///< "53,443,3478-3481", "all"
  std::string destination;  ///< a CIDR; "" = any (public) address
  /// None = 50 for a deny, so that it stands above the starter's permit; else 100.
  std::optional<std::int64_t> priority;
};

[[nodiscard]] int policy_permit(const std::filesystem::path& database, const PermitOrder& order, std::ostream& out,
                                bool json);
[[nodiscard]] int policy_deny(const std::filesystem::path& database, const PermitOrder& order, std::ostream& out,
                              bool json);

}  // namespace gatehouse
