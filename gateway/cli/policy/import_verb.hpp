// `gatehouse policy import`: takes a published block list into the policy. Main thread.
#pragma once

#include "db/lists/import.hpp"

#include <filesystem>
#include <iosfwd>
#include <string>

namespace gatehouse {

struct ImportArguments {
  std::string name, file;            ///< file "-" = standard input
  std::string format = "auto";       ///< auto, hosts, domains ...
  std::string match, action, group;  ///< "" = not given
  bool force = false;
};

/// Writes the counts for people, or with `json` one JSON object; how far it is on `err` while that is a terminal.
/// @return 0 imported, 1 refused (the former list stays), 2 wrong use or no such file
[[nodiscard]] int policy_import(const std::filesystem::path& database, const ImportArguments& arguments,
                                std::ostream& out, std::ostream& err, bool json);

}  // namespace gatehouse
