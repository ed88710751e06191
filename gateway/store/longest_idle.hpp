// Which idle sessions end first when there are too many. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gatehouse {

struct IdleSession {
  std::uint64_t id = 0;
  std::int64_t idle_seconds = 0;
  std::uint64_t share = 0;  ///< a hash of whose it is, see db::share_of()
};

/// Brings those that end first to the front, `most` at most: while somebody has more than a sixteenth of them all,
/// theirs, else anybody's; the longest idle first. So whoever opens many displaces none but their own.
/// @return how many there are
std::size_t bring_forward(std::vector<IdleSession>& sessions, std::size_t most);

}  // namespace gatehouse
