// `gatehouse db backup|verify`: the gateway's database files, whether it runs or not. Verbs as in invocation.hpp; main
// thread.
#pragma once

#include "gateway/cli/invocation.hpp"

#include <filesystem>

namespace gatehouse {

struct BackupArguments {
  std::filesystem::path file;  ///< to make
  bool policy = false;         ///< of policy.db and its list files, not of state.db
  bool secrets = false;        ///< of secrets.db
};

/// Copies a database.
[[nodiscard]] int db_backup_verb(const Invocation& invocation, const BackupArguments& arguments);
/// Reads all three databases and names what is wrong with them: then it is a "no".
[[nodiscard]] int db_verify_verb(const Invocation& invocation, const NoArguments&);

}  // namespace gatehouse
