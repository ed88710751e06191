// `gatehouse run|check|status|reload|drain`: the gateway itself. Verbs as in invocation.hpp; main thread.
#pragma once

#include "gateway/cli/invocation.hpp"

namespace gatehouse {

/// The gateway, in the foreground, until a signal ends it.
[[nodiscard]] int run_verb(const Invocation& invocation, const NoArguments&);
/// Would `run` start? Reads the configuration and loads each enabled plugin, without any effect.
[[nodiscard]] int check_verb(const Invocation& invocation, const NoArguments&);

/// Asks the running gateway for its state: a "no" unless that is ok.
[[nodiscard]] int status_verb(const Invocation& invocation, const NoArguments&);
/// Has the running gateway read its configuration again.
[[nodiscard]] int reload_verb(const Invocation& invocation, const NoArguments&);
/// Has the running gateway refuse new clients, and stop when the last one is gone.
[[nodiscard]] int drain_verb(const Invocation& invocation, const NoArguments&);

}  // namespace gatehouse
