// What a client says in its HTTP opening beyond the SDK's own fields, and what it is answered.
//
//   Session-ID: A-Z a-z 0-9 - _, 1 to 64 of them; 32 at least where the client shows no credential: then it is the
//   secret 101: Tunnel-MTU: bytes of the longest packet;  Session-Resumed: yes | no
#pragma once

#include <gatehouse/net/http_opening.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::packet_tunnel {

inline constexpr std::string_view kSessionField = "Session-ID", kMtuField = "Tunnel-MTU",
                                  kResumedField = "Session-Resumed";
inline constexpr std::size_t kLongestSessionId = 64, kShortestSecret = 32;

/// None: `id` will do; otherwise what to answer.
[[nodiscard]] std::optional<HttpRefusal> refuse_session_id(const std::optional<std::string>& id, bool is_anonymous);

/// What goes into the 101.
[[nodiscard]] std::vector<HttpField> opening_answer(std::size_t mtu, bool is_resumed);

}  // namespace gatehouse::packet_tunnel
