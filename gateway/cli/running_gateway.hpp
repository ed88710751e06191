// Requests to the running gateway, over its control socket, and how their replies are printed. Main thread.
#pragma once

#include "gateway/cli/invocation.hpp"
#include "gateway/control/control_client.hpp"

#include <string>

namespace gatehouse {

/// Sends `verb` with the body `json` to --socket, or to the socket that the configuration names.
/// @throws NoGateway, BrokenConfig
[[nodiscard]] ControlReply ask_gateway(const Invocation& invocation, const std::string& verb, Access access,
                                       const std::string& json = "");

/// Is there a gateway to ask? False where nobody listens on that socket. @throws BrokenConfig
[[nodiscard]] bool gateway_listens(const Invocation& invocation);

/// Prints the reply; of an error its sentence and the problems that it lists. Returns the exit code.
[[nodiscard]] int print_reply(const Invocation& invocation, const ControlReply& reply);

}  // namespace gatehouse
