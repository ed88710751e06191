// The words that gatehouse-tunnel takes.
#pragma once

#include "plugins/packet-tunnel/client/settings.hpp"

#include <iosfwd>
#include <variant>

namespace gatehouse::packet_tunnel {

inline constexpr int kExitYes = 0;    ///< fine
inline constexpr int kExitNo = 1;     ///< refused, or broken down
inline constexpr int kExitWrong = 2;  ///< wrong use

/// `--unblock`: the kill switch of a device goes, and nothing else is done.
struct UnblockRequest {
  std::string device;
  std::filesystem::path state_dir;
};

/// Reads the command line. Help, the version and complaints are written to `out` and `err`.
/// @return what is to be done, or an exit code: there is nothing (more) to do
[[nodiscard]] std::variant<ClientSettings, UnblockRequest, int> read_command_line(int argc, const char* const* argv,
                                                                                  std::ostream& out, std::ostream& err);

}  // namespace gatehouse::packet_tunnel
