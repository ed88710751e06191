// The policy as its rows are at the moment, to find out what effect an edit has. Main thread.
#pragma once

#include "policy/compile.hpp"
#include "policy/model.hpp"

#include <filesystem>
#include <optional>
#include <string>

namespace gatehouse {

/// A row's group: NULL for all clients.
using GroupId = std::optional<std::int64_t>;

class CurrentPolicy {
 public:
  /// @param database  where the rows are from; its domain lists are judged too
  /// @param name      canonical: the name that block_of() will be asked for, "" = none
  CurrentPolicy(policy::Model rows, const std::filesystem::path& database, const std::string& name = "");

  [[nodiscard]] const policy::Model& rows() const noexcept { return rows_; }

  /// The verdict for a client of that group; for a row without a group, of `everyone`. None: the group is disabled.
  [[nodiscard]] std::optional<policy::Verdict> judge(GroupId group, const policy::Flow& flow) const;
  /// The verdict by which a row or list blocks the name, if one does.
  [[nodiscard]] std::optional<policy::Verdict> block_of(GroupId group) const;
  /// The list that decided the verdict, or null.
  [[nodiscard]] const policy::DomainList* list_of(const policy::Verdict& verdict) const noexcept;

  /// A public address for flows that are only judged: nothing is ever sent to it.
  [[nodiscard]] static const IpAddress& public_address();

 private:
  policy::Model rows_;
  std::string name_;
  policy::Compiled compiled_;
};

}  // namespace gatehouse
