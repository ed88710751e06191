// Joins a pair of descriptors with a stream socket, both ways, as an SSH forced command needs it.
#pragma once

#include <gatehouse/base/error.hpp>
#include <gatehouse/base/unique_fd.hpp>

namespace gatehouse {

/// Copies `in` to `socket` and `socket` to `out` until both are done: the end of one is passed on as a half-close
/// (shutdown, or closing `out`) while the other goes on. Ends at once when the peer has gone or nobody reads `out`.
/// Blocks the thread; sets no descriptor to non-blocking, since its other users (a shell) would see that too.
/// SIGPIPE must be ignored.
/// @return what broke a direction, if anything did
[[nodiscard]] Error bridge_streams(UniqueFd in, UniqueFd out, UniqueFd socket);

}  // namespace gatehouse
