// `gatehouse policy init|show|problems|order|explain`: work on the database file, whether a gateway runs or not. Each
// writes for people, or with `json` one JSON object, and returns the exit code: 0 yes or fine, 1 no or denied or not
// healthy, 2 wrong use. One sentence on `err` says why. Main thread.
#pragma once

#include "policy/surroundings.hpp"

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>

namespace gatehouse {

/// Makes policy.db, and its folder, with the starter policy; migrates an older one after a copy.
[[nodiscard]] int policy_init(const std::filesystem::path& database, std::ostream& out, std::ostream& err, bool json);

/// Every row, table by table, or those of `table` alone ("" = all).
[[nodiscard]] int policy_show(const std::filesystem::path& database, const std::string& table, std::ostream& out,
                              std::ostream& err, bool json);

/// The rows that are not in force, each with a sentence. 1 when there are any.
[[nodiscard]] int policy_problems(const std::filesystem::path& database, std::ostream& out, std::ostream& err,
                                  bool json);

/// The order of judgement.
[[nodiscard]] int policy_order(std::ostream& out, bool json);

struct PolicyQuestion {
  std::filesystem::path database;
  std::string plugin, listener, source, identity;  ///< of the client; "" = unknown
  std::string transport;                           ///< tcp, udp, or a protocol number
  std::string destination;                         ///< "198.51.100.4:53", "[2001:db8::1]:53"; without a port: 0
  std::string domain;                              ///< "" = none is known
  std::string at;                                  ///< when: see parse_time(); "" = now
  bool allow_local = false;                        ///< the plugin's allow_local_destinations
  bool resolver = false, peer = false, bad_name = false;
  /// What a running gateway knows of itself; none = this machine's addresses.
  std::optional<policy::Surroundings> surroundings;
};

/// Unix seconds for "2026-11-21T14:30:00Z", "2026-11-21 14:30", "2026-11-21" (all UTC) or a number of seconds.
[[nodiscard]] std::optional<std::int64_t> parse_time(const std::string& text);

/// Each step on the way to the verdict, the row that decides, and the limits that hold. 0 = allow, 1 = deny.
[[nodiscard]] int policy_explain(const PolicyQuestion& question, std::ostream& out, std::ostream& err, bool json);

}  // namespace gatehouse
