// gh.probe/1: a small real client of a udpgw server, what `gatehouse probe udpgw` runs. On the CLI's thread; blocking,
// bounded in time.
#pragma once

#include <gatehouse/plugin/plugin.hpp>

namespace gatehouse::udpgw {

extern const Probe kProbe;

}  // namespace gatehouse::udpgw
