// Which sessions end first when there are too many. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gatehouse {

struct IdleSession {
  std::uint64_t id = 0;
  std::int64_t idle_seconds = 0;
  std::uint64_t share = 0;    ///< a hash of whose it is, see db::share_of()
  std::uint64_t network = 0;  ///< of the network around that, which one may have for oneself: db::network_of()
};

/// Of all sessions, brings those that end first to the front, `most` at most. First what anybody has beyond a
/// thousandth of them all: of the largest share, or of the network with the most, those that are idle longest, however
/// busy they are, until it is no larger than the next. So whoever opens many displaces none but their own. Then
/// anybody's, the longest idle first, that are idle for `least_idle` seconds or more.
/// @return how many there are
std::size_t bring_forward(std::vector<IdleSession>& sessions, std::size_t most, std::int64_t least_idle);

}  // namespace gatehouse
