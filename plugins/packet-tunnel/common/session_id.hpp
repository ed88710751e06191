// The secret by which a client comes back to its session.
#pragma once

#include <filesystem>
#include <string>

namespace gatehouse::packet_tunnel {

/// 43 characters of A-Z a-z 0-9 - _, 256 random bits. @throws std::runtime_error  the system gives none
[[nodiscard]] std::string make_session_id();

/// The one that `file` holds; makes it (mode 0600) where it is not there. @throws std::runtime_error  a sentence: it
/// cannot be read or made, others can read it, or it holds something else
[[nodiscard]] std::string keep_session_id(const std::filesystem::path& file);

}  // namespace gatehouse::packet_tunnel
