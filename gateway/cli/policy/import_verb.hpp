// `gatehouse policy import`: takes a published block list into the policy. A verb as in invocation.hpp; main thread.
#pragma once

#include "gateway/cli/invocation.hpp"

#include <string>

namespace gatehouse {

struct ImportArguments {
  std::string name, file;            ///< file "-" = standard input
  std::string format = "auto";       ///< auto, hosts, domains ...
  std::string match, action, group;  ///< "" = not given
  bool allow_wide = false, allow_shrink = false;
  bool force = false;  ///< both
};

/// Reports the counts; shows its progress on standard error while that is a terminal. "Partly" when what was imported
/// blocks more or less than the list says. A "no" when the list is refused: then the former one stays.
[[nodiscard]] int policy_import_verb(const Invocation& invocation, const ImportArguments& arguments);

}  // namespace gatehouse
