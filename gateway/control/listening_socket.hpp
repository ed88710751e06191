// Listening sockets of the gateway's own endpoints. Control thread; each throws std::runtime_error with a sentence
// that says what to do.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include <cstdint>
#include <filesystem>
#include <string>

namespace gatehouse {

/// A TCP socket; port 0 takes a free one, see local_endpoint().
[[nodiscard]] UniqueFd listen_tcp(const Endpoint& endpoint);
[[nodiscard]] Endpoint local_endpoint(const UniqueFd& socket);
/// Could it be listened on? Listens on nothing.
void require_tcp(const Endpoint& endpoint, bool may_be_taken);

/// Is somebody there? Asked of a path that a socket may have: nothing else may be there.
[[nodiscard]] bool is_served(const std::filesystem::path& socket);

/// A Unix stream socket with these permissions, of the group `group` if the system has it. The file of a process that
/// is gone is replaced, that of a living one is an error.
[[nodiscard]] UniqueFd listen_unix(const std::filesystem::path& path, std::uint32_t mode, const std::string& group);

}  // namespace gatehouse
