// A session as people see it, in `gatehouse sessions`: without its key and blob. A value.
#pragma once

#include "db/store/store.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace gatehouse {

/// A session that has not ended, as it may be shown: without its key and blob.
struct LiveSession {
  db::SessionRecord record;
  std::string public_id;
  std::vector<std::string> leases;       ///< their resources
  std::array<std::uint64_t, 2> state{};  ///< the plugin's, see gh_session_cells
  std::vector<std::uint64_t> counts;     ///< likewise; those at the end that are 0 are left out
};

/// What may be shown of a session: 8 hex digits of its key's SHA-256, or the number of one without a key.
[[nodiscard]] std::string public_id(const db::SessionRecord& session);

}  // namespace gatehouse
