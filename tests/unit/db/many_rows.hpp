// More rows than a policy may have, in a small file.
#pragma once

#include <string>

namespace gatehouse {

/// SQL: a column that came later has its default in all rows that were there. Their text alone would be few enough.
inline std::string many_rows() {
  return "DROP TABLE domain_rules; CREATE TABLE domain_rules (id INTEGER PRIMARY KEY, group_id, match, action, enabled,"
         " expires_at); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250000) INSERT INTO"
         " domain_rules(id) SELECT i FROM n; ALTER TABLE domain_rules ADD COLUMN domain DEFAULT '" +
         std::string(2050, 'x') + "'";
}

}  // namespace gatehouse
