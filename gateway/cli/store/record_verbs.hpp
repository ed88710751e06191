// `gatehouse sessions`, `leases`, `usage` and `db`: what the gateway remembers. Each returns the exit code
// (invocation.hpp); throws BrokenConfig, NoGateway or another std::exception with a sentence. Main thread.
#pragma once

#include "gateway/cli/invocation.hpp"

#include <cstddef>
#include <filesystem>
#include <string>

namespace gatehouse {

/// What is to be shown, of the running gateway, or when none runs, of state.db; then a line on standard error says so.
struct StoreQuestion {
  std::size_t most = 1000;      ///< rows; 0 = as many as can be shown at once
  bool ended = false;           ///< sessions that have ended, too
  std::string since;            ///< "2026-11-21", or "" = the first of this month
  std::string by = "identity";  ///< identity, group, plugin or day
};
[[nodiscard]] int sessions_verb(const Invocation& invocation, const StoreQuestion& question);
[[nodiscard]] int leases_verb(const Invocation& invocation, const StoreQuestion& question);
[[nodiscard]] int usage_verb(const Invocation& invocation, const StoreQuestion& question);

struct BackupOrder {
  std::filesystem::path file;  ///< to make
  bool policy = false;         ///< of policy.db and its list files, not of state.db
  bool secrets = false;        ///< of secrets.db
};
/// Copies a database, whether a gateway runs or not.
[[nodiscard]] int db_backup_verb(const Invocation& invocation, const BackupOrder& order);
/// Reads all three databases and names what is wrong with them: then it is a "no".
[[nodiscard]] int db_verify_verb(const Invocation& invocation);

}  // namespace gatehouse
