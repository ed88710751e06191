// Asks a running gateway over its control socket. Blocks; for the command line.
#pragma once

#include "gateway/control/control_server.hpp"

#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace gatehouse {

/// Nobody answers at the control socket, or may be asked; what() is a sentence.
class NoGateway : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// False where there is no such socket, or nobody listens on it; true also where this user may not find out.
[[nodiscard]] bool somebody_listens(const std::filesystem::path& socket);

/// Sends `/v1/<verb>`, as GET, or with a body or for Access::write as POST.
/// @throws NoGateway  it is not running, or this user may not open the socket, or it did not answer in time
[[nodiscard]] ControlReply control_request(const std::filesystem::path& socket, const std::string& verb, Access access,
                                           const std::string& json = "",
                                           std::chrono::milliseconds time = std::chrono::seconds(30));

}  // namespace gatehouse
