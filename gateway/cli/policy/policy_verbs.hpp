// `gatehouse policy init|show|problems|order`: work on the database file, whether a gateway runs or not. Each writes
// for people, or with `json` one JSON object, and returns the exit code (invocation.hpp); throws std::exception with a
// sentence. Main thread.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>

namespace gatehouse {

/// Makes policy.db, and its folder, with the starter policy; migrates an older one after a copy. Refuses
/// where the file is gone and a last good copy is there: the starter policy allows what its rows denied.
[[nodiscard]] int policy_init(const std::filesystem::path& database, std::ostream& out, bool json);

/// Every row, table by table, or those of `table` alone ("" = all).
[[nodiscard]] int policy_show(const std::filesystem::path& database, const std::string& table, std::ostream& out,
                              bool json);

/// The rows that are not in force, or most likely not what is meant, each with a sentence. 1 when there are any.
[[nodiscard]] int policy_problems(const std::filesystem::path& database, std::ostream& out, bool json);

/// The order of judgement.
[[nodiscard]] int policy_order(std::ostream& out, bool json);

}  // namespace gatehouse
