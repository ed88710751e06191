// The control verb `policy/limits`: what one client may still do of what it shares with others. Control thread; a lane
// waits for it no longer than for another client that opens.
#pragma once

#include "gateway/control/control_server.hpp"
#include "gateway/services/host_services.hpp"

#include <string>

namespace gatehouse {

/// @param question  {plugin, listener, identity, source}: the client, each "" or left out = unknown
/// @param revision  of the rows in force
/// @return {generation, revision, readable, group, key, claims: [{prefix, plugin}], remembered,
///         limits: [{name, row, used, most, left, ...}]}: `claims` are the addresses that plugins hold for their own;
///         not `readable` = no policy is in force and everything is denied; `key` is whose limits they are, an identity
///         or a network, null for a client that shares none; `most` and `left` are null where there is no limit; a rate
///         has `burst` and `left`, in bytes; a quota has `until`. Destinations are counted, never named. 400 for a
///         question that cannot be read
[[nodiscard]] ControlReply limits_reply(const HostServices& services, std::int64_t revision,
                                        const std::string& question);

}  // namespace gatehouse
