#include "plugins/packet-tunnel/server/opening.hpp"

#include "plugins/packet-tunnel/common/features.hpp"

#include <algorithm>

namespace gatehouse::packet_tunnel {
namespace {

bool may_be_in_id(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

}  // namespace

std::optional<HttpRefusal> refuse_session_id(const std::optional<std::string>& id, bool is_anonymous) {
  constexpr unsigned kBadRequest = 400;
  if (!id || id->empty())
    return HttpRefusal{kBadRequest, "Session-ID is missing: a random text that you keep, to come back with.", {}};
  if (id->size() > kLongestSessionId || !std::ranges::all_of(*id, may_be_in_id))
    return HttpRefusal{kBadRequest, "Session-ID must be one text of at most 64 characters of A-Z a-z 0-9 - _.", {}};
  if (is_anonymous && id->size() < kShortestSecret)
    return HttpRefusal{
        kBadRequest, "Without a credential Session-ID is the secret: 32 random characters at least.", {}};
  return {};
}

std::vector<HttpField> opening_answer(std::size_t mtu, bool is_resumed, bool has_ipv6, FrameForm form) {
  const auto word = [](bool yes) { return yes ? "yes" : "no"; };
  std::vector<HttpField> out = {{std::string(kMtuField), std::to_string(mtu)},
                                {std::string(kResumedField), word(is_resumed)},
                                {std::string(kIpv6Field), word(has_ipv6)}};
  if (form == FrameForm::large) out.push_back({std::string(kFeaturesField), std::string(kLargeFrames)});
  return out;
}

}  // namespace gatehouse::packet_tunnel
