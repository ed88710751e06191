// The command line of `gatehouse`, as a function, so that tests can call it.
#pragma once

namespace gatehouse {

/// Runs one verb to its end.
/// @return 0 yes or fine, 1 no, denied or unhealthy, 2 wrong use or broken configuration
[[nodiscard]] int run_cli(int argc, char** argv);

}  // namespace gatehouse
