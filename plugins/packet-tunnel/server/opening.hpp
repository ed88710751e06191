// What a client says in its HTTP opening beyond the SDK's own fields, and what it is answered.
//
//   asked     Session-ID: 1 to 64 of A-Z a-z 0-9 - _; 32 at least without a credential, for then it is the secret
//             Tunnel-Features: large-frames, or any names, of which the others mean nothing (common/features.hpp)
//   answered  Tunnel-MTU: bytes of the longest packet;  Session-Resumed: yes | no;  Tunnel-IPv6: yes | no
//             Tunnel-Features: large-frames, where that holds for this stream
#pragma once

#include "plugins/packet-tunnel/common/large_frame.hpp"

#include <gatehouse/net/http_opening.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::packet_tunnel {

inline constexpr std::string_view kSessionField = "Session-ID", kMtuField = "Tunnel-MTU",
                                  kResumedField = "Session-Resumed", kIpv6Field = "Tunnel-IPv6";
inline constexpr std::size_t kLongestSessionId = 64, kShortestSecret = 32;

/// None: `id` will do; otherwise what to answer.
[[nodiscard]] std::optional<HttpRefusal> refuse_session_id(const std::optional<std::string>& id, bool is_anonymous);

/// What goes into the 101.
[[nodiscard]] std::vector<HttpField> opening_answer(std::size_t mtu, bool is_resumed, bool has_ipv6, FrameForm form);

}  // namespace gatehouse::packet_tunnel
