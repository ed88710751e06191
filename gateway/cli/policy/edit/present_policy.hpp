// The policy as its rows are at the moment, for asking what an edit came to. Main thread.
#pragma once

#include "policy/compile.hpp"
#include "policy/model.hpp"

#include <filesystem>
#include <optional>
#include <string>

namespace gatehouse {

/// A row's group: NULL for all clients.
using GroupId = std::optional<std::int64_t>;

class PresentPolicy {
 public:
  /// @param database  where the rows are from; its domain lists are judged too
  /// @param name      canonical: the name that block_of() will be asked for, "" = none
  PresentPolicy(policy::Model rows, const std::filesystem::path& database, const std::string& name = "");

  [[nodiscard]] const policy::Model& rows() const noexcept { return rows_; }

  /// A verdict for a client of that group; of `everyone` for a row that holds for all. Nothing: the group is disabled.
  [[nodiscard]] std::optional<policy::Verdict> ask(GroupId group, const policy::Flow& flow) const;
  /// The row or list that blocks the name, if one does.
  [[nodiscard]] std::optional<policy::Verdict> block_of(GroupId group) const;
  /// The list whose row that is.
  [[nodiscard]] const policy::DomainList* list_of(const policy::Verdict& verdict) const noexcept;

  /// A public address that is only judged, never sent to.
  [[nodiscard]] static const IpAddress& somewhere_public();

 private:
  policy::Model rows_;
  std::string name_;
  policy::Compiled compiled_;
};

}  // namespace gatehouse
