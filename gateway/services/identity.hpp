// gh.identity/1: whose credential is this? By the rows of `credentials` in the lane's policy.
#pragma once

#include "gateway/services/listener_names.hpp"
#include "gateway/services/log.hpp"
#include "gateway/services/token_failures.hpp"
#include "gateway/services/user_names.hpp"

#include <gatehouse/abi.h>

#include <memory>
#include <string>
#include <string_view>

namespace gatehouse {

/// One instance's face of the credentials: rows for this plugin beat rows for all. Thread-safe.
class PluginIdentities {
 public:
  /// What it needs where tokens of nobody's are counted: all of it, or nothing.
  struct TokenGuard {
    std::shared_ptr<TokenFailures> failures;
    std::shared_ptr<const ListenerNames> listeners;
    std::shared_ptr<Journal> journal;
  };
  PluginIdentities(std::shared_ptr<UserNames> users, std::string plugin, TokenGuard guard = {});
  ~PluginIdentities() { let_go(); }
  PluginIdentities(const PluginIdentities&) = delete;
  PluginIdentities& operator=(const PluginIdentities&) = delete;
  [[nodiscard]] const gh_identity* table() const noexcept { return &table_; }
  /// No completion comes any more when this returns.
  void let_go() noexcept { requester_->close(); }

 private:
  /// A token is looked up by its SHA-256, so that the time which that takes tells nobody how much of it was right. A
  /// user without a row is `unix:NAME`. Writes to `identity` with GH_OK.
  gh_status owner(gh_lane* lane, std::uint32_t kind, std::string_view value, const gh_completion* later,
                  std::string& identity) const;
  /// The same of a token, unless its source has to wait: then GH_E_LIMIT and `wait`.
  gh_status token_owner(gh_lane* lane, std::string_view token, const gh_client_facts& client, std::string& identity,
                        Nanoseconds& wait) const;

  const std::shared_ptr<UserNames> users_;
  const std::shared_ptr<Requester> requester_ = std::make_shared<Requester>();
  const std::string plugin_;
  const TokenGuard guard_;
  gh_identity table_;
};

}  // namespace gatehouse
