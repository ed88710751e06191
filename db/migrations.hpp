// The SQL that is built in: db/migrations/*/*.sql in order, and db/policy/starter_policy.sql. Constants.
#pragma once

#include <span>
#include <string_view>

namespace gatehouse::db {

/// Migration i leads from version i to version i + 1 (PRAGMA user_version).
[[nodiscard]] std::span<const std::string_view> policy_migrations() noexcept;
[[nodiscard]] std::span<const std::string_view> state_migrations() noexcept;
[[nodiscard]] std::span<const std::string_view> secrets_migrations() noexcept;

/// The rows of a fresh policy.db.
[[nodiscard]] std::string_view starter_policy() noexcept;

}  // namespace gatehouse::db
