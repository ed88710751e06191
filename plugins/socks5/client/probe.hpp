// gh.probe/1: a small real client of a SOCKS5 server, what `gatehouse probe socks5` runs. On the CLI's thread;
// blocking, bounded in time.
#pragma once

#include <gatehouse/plugin/plugin.hpp>

namespace gatehouse::socks5 {

extern const Probe kProbe;

}  // namespace gatehouse::socks5
