// gh.probe/1: two real clients of a relay, what `gatehouse probe geneve-relay` runs. On the CLI's thread; blocking,
// bounded in time.
#pragma once

#include <gatehouse/plugin/plugin.hpp>

#include <string_view>
#include <vector>

namespace gatehouse::geneve_relay {

inline constexpr char kProbeUsage[] =
    "[API, as unix:PATH or HOST:PORT] [--server ADDRESS:PORT] [--form 1] [--count N] [--size BYTES] [--timeout-ms N] "
    "[--tls [--ca FILE] [--cert FILE --key FILE] [--server-name NAME] [--min-tls 1.2]] [--token-file FILE]";

/// For make_probe<run_probe>(kProbeUsage): has an endpoint allocated for two new keys, binds both, sends data there and
/// back, and prints what it saw. What it throws says which step went unanswered, and what to look at.
void run_probe(const std::vector<std::string_view>& arguments, const PrintJson& print);

}  // namespace gatehouse::geneve_relay
