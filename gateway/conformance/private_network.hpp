// A network of the check's own, so that what a plugin does to addresses, devices and rules concerns nobody.
#pragma once

#include <string>

namespace gatehouse::conformance {

/// Puts this thread, and all that it begins, into a network namespace with nothing but a loopback that is up;
/// without being root, into a user namespace first. To be called while the process has one thread.
/// @return "" or why not
[[nodiscard]] std::string enter_private_network();

}  // namespace gatehouse::conformance
