// `gatehouse probe NAME ARGUMENTS...`: runs the client that a plugin brings along; the gateway knows no protocol. A
// verb as in invocation.hpp; main thread.
#pragma once

#include "gateway/cli/invocation.hpp"

#include <string>
#include <vector>

namespace gatehouse {

struct ProbeArguments {
  std::string plugin;
  /// All that follows NAME: the probe's own arguments. Without any it is given where the plugin listens for this
  /// machine, if it does by itself (GH_ROLE_LOCAL).
  std::vector<std::string> words;
};

[[nodiscard]] int probe_verb(const Invocation& invocation, const ProbeArguments& arguments);

}  // namespace gatehouse
