// Joins a pair of descriptors with a client's stream, both ways, as an SSH forced command needs it.
#pragma once

#include <gatehouse/base/error.hpp>
#include <gatehouse/base/unique_fd.hpp>
#include <gatehouse/net/client_stream.hpp>

#include <string>

namespace gatehouse {

/// Copies `in` to `stream` and `stream` to `out` until both are done: the end of one is passed on as a half-close
/// (ClientStream::finish, or closing `out`) while the other goes on; TLS keeps it, WebSocket has none. Ends at once
/// when the peer has gone or nobody reads `out`: of a peer over TCP that has ended its side this is known only when
/// something is sent to it. Blocks the thread; sets neither `in` nor `out` to non-blocking, since their other users (a
/// shell) would see that too. SIGPIPE must be ignored.
/// @return what broke a direction, as a sentence; "" = nothing
[[nodiscard]] std::string bridge_streams(UniqueFd in, UniqueFd out, ClientStream stream);

}  // namespace gatehouse
