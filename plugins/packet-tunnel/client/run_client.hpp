// gatehouse-tunnel as a function.
#pragma once

namespace gatehouse::packet_tunnel {

/// Reads the command line and serves. Blocks signals in this thread. @return an exit code
[[nodiscard]] int run_client(int argc, const char* const* argv);

}  // namespace gatehouse::packet_tunnel
