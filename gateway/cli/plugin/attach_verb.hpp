// `gatehouse attach NAME`: what an SSH forced command or a ProxyCommand runs. A verb as in invocation.hpp; main thread.
#pragma once

#include "gateway/cli/invocation.hpp"

#include <gatehouse/net/client_options.hpp>

#include <filesystem>
#include <string>

namespace gatehouse {

struct AttachArguments {
  std::string plugin;
  std::filesystem::path socket;  ///< "" = the plugin's first unix: listener
  ClientOptions stream;          ///< its `address` in place of either, and how the listener there is opened
};

/// Joins standard input and output with the plugin's listener. A "no" when nobody listens there, when it refuses, or
/// when the connection breaks.
[[nodiscard]] int attach_verb(const Invocation& invocation, const AttachArguments& arguments);

}  // namespace gatehouse
