// Keeps state.db from growing: deletes rows that are older than one wants to know, a few at a time. One thread's.
#pragma once

#include "db/sqlite.hpp"
#include "db/store/store.hpp"

#include <cstdint>
#include <string>

namespace gatehouse::db {

/// The day since 1970 on which the month of `now` began, UTC: quotas are restored from the rows since then.
[[nodiscard]] std::int64_t first_of_month(std::int64_t now) noexcept;

class RetentionWork {
 public:
  explicit RetentionWork(const Retention& retention) : retention_(retention) {}

  /// Is there anything to do? Some lookups in indexes. @throws SqliteError
  [[nodiscard]] bool is_due(Database& state, std::int64_t now) const;
  /// Some of it, inside the caller's transaction: some ms.
  /// @return false: nothing went, for a trigger keeps the rows @throws SqliteError
  [[nodiscard]] bool do_some(Database& state, std::int64_t now) const;
  /// See Store::excess(). @throws SqliteError
  [[nodiscard]] std::string excess(Database& state) const;

 private:
  [[nodiscard]] std::int64_t ended_before(std::int64_t now) const noexcept;
  [[nodiscard]] std::int64_t used_before(std::int64_t now) const noexcept;
  [[nodiscard]] std::uint64_t used_bytes(Database& state) const;
  [[nodiscard]] bool is_too_large(Database& state) const;
  [[nodiscard]] bool has_much_free(Database& state) const;
  [[nodiscard]] static std::int64_t delete_largest_shares(Database& state);

  Retention retention_;
};

}  // namespace gatehouse::db
