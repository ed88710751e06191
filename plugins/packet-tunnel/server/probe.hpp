// gh.probe/1: a client without a tun device, what `gatehouse probe packet-tunnel` runs. On the CLI's thread; blocking,
// bounded in time.
#pragma once

#include <gatehouse/plugin/plugin.hpp>

namespace gatehouse::packet_tunnel {

extern const Probe kProbe;

}  // namespace gatehouse::packet_tunnel
