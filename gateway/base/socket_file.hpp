// The files of Unix sockets. Whoever else may write to such a file's folder can put another file in its place at any
// moment: rights go to the file that was made, not to its name. Each returns false, or none, with errno.
#pragma once

#include <gatehouse/base/unique_fd.hpp>

#include <sys/types.h>
#include <sys/un.h>

namespace gatehouse {

/// Binds `socket`; its file is this user's alone until give_mode().
/// @return the file, as O_PATH does; none with ESTALE where something else has its name already
[[nodiscard]] UniqueFd bind_file(const UniqueFd& socket, const sockaddr_un& address) noexcept;

[[nodiscard]] bool give_group(const UniqueFd& file, gid_t group) noexcept;
/// Works through /proc. Only now, and once the socket listens, others can connect.
[[nodiscard]] bool give_mode(const UniqueFd& file, mode_t mode) noexcept;

}  // namespace gatehouse
