// gh.identity/1: whose credential is this? By the rows of `credentials` in the newest policy.
#pragma once

#include "gateway/policy/snapshot_board.hpp"

#include <gatehouse/abi.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace gatehouse {

/// The name of the user with that decimal uid; nothing when it is no user's of this system. Thread-safe; may read
/// files.
[[nodiscard]] std::optional<std::string> user_of(std::string_view uid);

/// One instance's face of the credentials: rows for this plugin beat rows for all. Thread-safe.
class PluginIdentities {
 public:
  PluginIdentities(std::shared_ptr<SnapshotBoard> board, std::string plugin);
  PluginIdentities(const PluginIdentities&) = delete;
  PluginIdentities& operator=(const PluginIdentities&) = delete;
  [[nodiscard]] const gh_identity* table() const noexcept { return &table_; }

 private:
  /// A token is looked up by its SHA-256; a user without a row is `unix:NAME`.
  [[nodiscard]] std::optional<std::string> owner(std::uint32_t kind, std::string_view value) const;

  std::shared_ptr<SnapshotBoard> board_;
  std::string plugin_;
  gh_identity table_;
};

}  // namespace gatehouse
