// Lets the kernel tell a program where a packet of this host's own goes next.
//
// bpf_fib_lookup() answers only for an interface with `forwarding` (net/core/filter.c). The program asks about the
// loopback interface, as the kernel itself does for what the host sends: rules and routes are then those of user
// space, and no interface to the outside has to forward anything. Nothing arrives at lo that could be forwarded.
#pragma once

#include <gatehouse/base/address.hpp>

#include <string>
#include <string_view>

namespace gatehouse::geneve_relay {

/// Sets net.ipv4.conf.lo.forwarding or that of net.ipv6 to 1, where that does no harm, and leaves it so: another
/// gateway may rely on it. For IPv6 the kernel then forgets what routers have advertised as default routes, so there
/// it is not set while one has and its interface has not accept_ra = 2.
/// @return empty, or a sentence: why this family stays in user space, and what to do
[[nodiscard]] std::string allow_next_hops(Family family);

/// The interface of a default route by router advertisement, in the text of /proc/net/ipv6_route, which the kernel
/// would forget; empty where none is.
/// @param accepts_as_router  is accept_ra of that interface 2?
[[nodiscard]] std::string advertised_default(std::string_view routes, bool (*accepts_as_router)(const std::string&));

}  // namespace gatehouse::geneve_relay
