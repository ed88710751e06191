// gh.identity/1: whose credential is this? By the rows of `credentials` in the lane's policy.
#pragma once

#include "gateway/services/user_names.hpp"

#include <gatehouse/abi.h>

#include <memory>
#include <string>
#include <string_view>

namespace gatehouse {

/// One instance's face of the credentials: rows for this plugin beat rows for all. Thread-safe.
class PluginIdentities {
 public:
  PluginIdentities(std::shared_ptr<UserNames> users, std::string plugin);
  ~PluginIdentities() { let_go(); }
  PluginIdentities(const PluginIdentities&) = delete;
  PluginIdentities& operator=(const PluginIdentities&) = delete;
  [[nodiscard]] const gh_identity* table() const noexcept { return &table_; }
  /// No completion comes any more when this returns.
  void let_go() noexcept { requester_->close(); }

 private:
  /// A token is looked up by its SHA-256; a user without a row is `unix:NAME`. Writes to `identity` with GH_OK.
  gh_status owner(gh_lane* lane, std::uint32_t kind, std::string_view value, const gh_completion* later,
                  std::string& identity) const;

  const std::shared_ptr<UserNames> users_;
  const std::shared_ptr<Requester> requester_ = std::make_shared<Requester>();
  const std::string plugin_;
  gh_identity table_;
};

}  // namespace gatehouse
