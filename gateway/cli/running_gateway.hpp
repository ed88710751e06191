// What verbs that ask the running gateway share. Main thread.
#pragma once

#include "gateway/cli/invocation.hpp"
#include "gateway/control/control_client.hpp"

#include <string>

namespace gatehouse {

/// Asks at --socket, or where the configuration has it. @throws NoGateway, BrokenConfig
[[nodiscard]] ControlReply ask(const Invocation& invocation, const std::string& verb, Access access,
                               const std::string& json = "");

/// Prints the reply; an error is a sentence, and with it the problems that it names. Returns the exit code.
[[nodiscard]] int answer(const Invocation& invocation, const ControlReply& reply);

}  // namespace gatehouse
