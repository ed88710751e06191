// The descriptors of this process, whoever has opened them.
#pragma once

#include <string_view>
#include <vector>

namespace gatehouse {

/// Those that the kernel calls so: "socket:", "anon_inode:[eventpoll]", or what begins like that. One walk through
/// /proc/self/fd: about a microsecond for each descriptor of the process. Empty where /proc cannot be read. Other
/// threads may close them at any time.
[[nodiscard]] std::vector<int> own_fds(std::string_view kind);

}  // namespace gatehouse
