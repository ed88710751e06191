// `gatehouse attach NAME`: what an SSH forced command runs. A verb as in invocation.hpp; main thread.
#pragma once

#include "gateway/cli/invocation.hpp"

#include <filesystem>
#include <string>

namespace gatehouse {

struct AttachArguments {
  std::string plugin;
  std::filesystem::path socket;  ///< "" = the plugin's first unix: listener
};

/// Joins standard input and output with the plugin's socket. A "no" when nobody listens there or the connection breaks.
[[nodiscard]] int attach_verb(const Invocation& invocation, const AttachArguments& arguments);

}  // namespace gatehouse
