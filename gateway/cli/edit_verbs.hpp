// `gatehouse policy block|unblock|permit|deny`: plain rows without SQL. What is written is judged first by the compiler
// that the gateway has, so that a row that goes in is in force. Each writes for people, or with `json` one JSON object,
// and returns the exit code (invocation.hpp); throws std::exception with a sentence. Main thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>

namespace gatehouse {

/// What every such row has.
struct RowOrder {
  std::string group;    ///< a group's name, or its id; "" = all clients
  std::string lasts;    ///< "2h"; "" = without an end
  std::string comment;  ///< "" = leave it as it is
};

struct NameOrder : RowOrder {
  std::string name;
  bool exact = false;  ///< the name alone, not those below it
};

struct PermitOrder : RowOrder {
  std::string transport;    ///< udp, tcp, any
  std::string ports;        ///< "53,443,3478-3481", "all"
  std::string destination;  ///< a CIDR; "" = any (public) address
  std::optional<std::int64_t>
      priority;  ///< none = 50 for a deny, so that it stands above the starter's permit; else 100
};

/// Blocks a name. A row that does so already is renewed, or left alone; that is a yes too.
[[nodiscard]] int policy_block(const std::filesystem::path& database, const NameOrder& order, std::ostream& out,
                               bool json);

/// Deletes the rows that block exactly that name. 1 when something else still blocks it; then says what, and what would
/// help.
[[nodiscard]] int policy_unblock(const std::filesystem::path& database, const NameOrder& order, std::ostream& out,
                                 bool json);

[[nodiscard]] int policy_permit(const std::filesystem::path& database, const PermitOrder& order, std::ostream& out,
                                bool json);
[[nodiscard]] int policy_deny(const std::filesystem::path& database, const PermitOrder& order, std::ostream& out,
                              bool json);

}  // namespace gatehouse
