// `gatehouse token new|list|revoke`: secrets by which clients are known, as rows of `credentials`. The database has
// their SHA-256 alone. Each writes for people, or with `json` one JSON object, and returns the exit code
// (invocation.hpp); throws std::exception with a sentence. Main thread.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>

namespace gatehouse {

struct TokenOrder {
  std::string name;    ///< the identity is token:NAME
  std::string plugin;  ///< "" = every plugin
  std::string lasts;   ///< "30d"; "" = without an end
  std::string comment;
};

/// Makes a token and prints it, this once. A name may have several, so that one can be replaced without a gap.
[[nodiscard]] int token_new(const std::filesystem::path& database, const TokenOrder& order, std::ostream& out,
                            bool json);

[[nodiscard]] int token_list(const std::filesystem::path& database, std::ostream& out, bool json);

/// Deletes the tokens of that name, or the one with that id. 1 when there is none.
[[nodiscard]] int token_revoke(const std::filesystem::path& database, const std::string& name_or_id, std::ostream& out,
                               std::ostream& err, bool json);

}  // namespace gatehouse
