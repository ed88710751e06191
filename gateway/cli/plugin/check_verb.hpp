// `gatehouse plugin check FILE.so`. A verb as in invocation.hpp; main thread, which must be the only one.
#pragma once

#include "gateway/cli/invocation.hpp"

#include <filesystem>
#include <string>

namespace gatehouse {

struct PluginCheckArguments {
  std::filesystem::path file;
  std::string options = "{}";  ///< a JSON object, over the schema's defaults
};

/// Does that file keep the rules of the plugin border? A "no" when it has a fault. @throws Refusal  there is no such
/// file
[[nodiscard]] int plugin_check_verb(const Invocation& invocation, const PluginCheckArguments& arguments);

}  // namespace gatehouse
