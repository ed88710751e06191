// `gatehouse policy explain`: one question to the policy, answered step by step. Main thread.
#pragma once

#include "policy/surroundings.hpp"

#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>

namespace gatehouse {

struct PolicyQuestion {
  std::filesystem::path database;
  std::filesystem::path last_good;  ///< what a gateway judges by when `database` cannot be read; "" = none
  std::filesystem::path lists;      ///< where list files are that are not beside the database; "" = nowhere
  std::filesystem::path socket;     ///< control socket of a gateway with that database; "" = ask none
  std::string plugin, listener, source, identity;  ///< of the client; "" = unknown
  std::string transport;                           ///< tcp, udp, or a protocol number
  std::string destination;                         ///< "198.51.100.4:53", "[2001:db8::1]:53"; without a port: 0
  std::string domain;                              ///< in any script; "" = none is known
  std::string at;                                  ///< when: see parse_time(); "" = now
  bool allow_local = false;                        ///< the plugin's allow_local_destinations
  bool resolver = false, peer = false;
  /// What a running gateway knows of itself; none = this machine's addresses.
  std::optional<policy::Surroundings> surroundings;
};

/// Each step on the way to the verdict, the row that decides, the limits that hold and what is left of them in the
/// running gateway, and the rows that are not in force and might have mattered; for people, or with `json` as one JSON
/// object. Throws std::exception with a sentence.
/// @return 0 = allow, 1 = deny
[[nodiscard]] int policy_explain(const PolicyQuestion& question, std::ostream& out, bool json);

}  // namespace gatehouse
