// Who may use which frontend at all: the rows of `admissions`, compiled. Built once, then immutable and thread-safe.
#pragma once

#include "policy/match/group_members.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::policy {

class AdmissionTable {
 public:
  struct Row {
    std::int64_t id = 0;
    std::optional<GroupIndex> group;  ///< none = all
    std::string plugin, listener;     ///< globs
    bool allows = true;
  };

  /// In the order of judgement.
  void add(Row row) { rows_.push_back(std::move(row)); }
  /// The first row that matches a client of that group; nullptr = none, and the client is admitted. A walk over the
  /// rows: once a client and generation, not per packet.
  [[nodiscard]] const Row* find(GroupIndex group, std::string_view plugin, std::string_view listener) const noexcept;

 private:
  std::vector<Row> rows_;
};

}  // namespace gatehouse::policy
