// `gatehouse token new|list|revoke`: secrets by which clients are known, as rows of `credentials`. The database has
// their SHA-256 alone. Verbs as in invocation.hpp; main thread.
#pragma once

#include "gateway/cli/invocation.hpp"

#include <string>

namespace gatehouse {

struct TokenArguments {
  std::string name;      ///< the identity is token:NAME
  std::string plugin;    ///< "" = every plugin
  std::string duration;  ///< "30d"; "" = without an end
  std::string comment;
};
/// Makes a token and prints it, this once. A name may have several, so that one can be replaced without a gap.
[[nodiscard]] int token_new_verb(const Invocation& invocation, const TokenArguments& arguments);

[[nodiscard]] int token_list_verb(const Invocation& invocation, const NoArguments&);

struct RevokeArguments {
  std::string name_or_id;
  bool cut = false;  ///< end the sessions of those identities, too
};
/// Deletes the tokens of that name, or the one with that id. A "no" when there is none. To cut, it waits until the
/// running gateway knows of it, so that nobody comes back with it; @throws NoGateway where there is none, and nothing
/// is changed.
[[nodiscard]] int token_revoke_verb(const Invocation& invocation, const RevokeArguments& arguments);

}  // namespace gatehouse
