// What the two ends of a tunnel may agree on beyond the reference's frames: the client names what it has, the answer
// repeats what holds for this stream.
//
//   asked     Tunnel-Features: large-frames, something-of-later
//   answered  Tunnel-Features: large-frames                       or no such field: nothing was agreed
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

namespace gatehouse::packet_tunnel {

inline constexpr std::string_view kFeaturesField = "Tunnel-Features";
inline constexpr std::string_view kLargeFrames = "large-frames";  ///< large_frame.hpp

/// Is `feature` one of the names in the list, which a comma and blanks stand between? Others mean nothing here.
[[nodiscard]] inline bool names_feature(const std::optional<std::string>& list, std::string_view feature) noexcept {
  std::string_view rest = list ? std::string_view(*list) : std::string_view();
  while (!rest.empty()) {
    const std::string_view one = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), one.size() + 1));
    const std::size_t begin = one.find_first_not_of(" \t"), last = one.find_last_not_of(" \t");
    if (begin != one.npos && one.substr(begin, last - begin + 1) == feature) return true;
  }
  return false;
}

}  // namespace gatehouse::packet_tunnel
