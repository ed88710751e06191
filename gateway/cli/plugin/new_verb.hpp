// `gatehouse plugin new NAME --kind KIND`: the project of a new plugin. A verb as in invocation.hpp; main thread.
#pragma once

#include "gateway/cli/invocation.hpp"

#include <filesystem>
#include <string>

namespace gatehouse {

struct NewPluginArguments {
  std::string name;
  std::string kind;
  std::filesystem::path directory;  ///< "" = NAME, in the present one
};

[[nodiscard]] int plugin_new_verb(const Invocation& invocation, const NewPluginArguments& arguments);

}  // namespace gatehouse
