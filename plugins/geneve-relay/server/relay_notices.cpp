#include "plugins/geneve-relay/server/relay_notices.hpp"

#include <algorithm>

namespace gatehouse::geneve_relay {
namespace {

std::string room_sentence(const RelaySettings& settings) {
  return "it has as many endpoints as most_endpoints allows (" + std::to_string(settings.most_endpoints) +
         "): who asks for more is refused, or takes an idle one of whoever has most; raise it, or bound identities by "
         "concurrent_sessions";
}

constexpr const char* kVnisSentence = "no VNI is free for another endpoint: give this gateway more of them";

std::string buffer_sentence(int granted, int wanted) {
  return "the kernel lets " + std::to_string(granted) + " of " + std::to_string(wanted) +
         " bytes wait at a socket, so that bursts are lost earlier (`unreceived` of the metrics): give the gateway "
         "CAP_NET_ADMIN, or raise net.core.rmem_max";
}

constexpr const char* kGsoSentence =
    "runs of packets are sent one by one, for this kernel has no UDP_SEGMENT that works, or a card refuses it: that "
    "costs several times as much; with gso = \"off\" this is not said";

}  // namespace

bool RelayNotices::has_changed(const std::string& name, const std::string& sentence) {
  const auto [told, is_new] = told_.try_emplace(name);  // a lane that ran before may have said something
  if (!is_new && told->second == sentence) return false;
  told->second = sentence;
  return true;
}

void RelayNotices::degrade(const std::string& name, const std::string& sentence) {
  if (has_changed(name, sentence)) notices_.degrade(name, sentence);
}

void RelayNotices::note(const std::string& name, const std::string& sentence) {
  if (!has_changed(name, sentence)) return;
  notices_.note(name, sentence);
  if (!sentence.empty()) log_.warn("the relay works, with less than it asks for", {{"what", name}, {"why", sentence}});
}

void RelayNotices::tell_room(RelayShared& shared, const RelaySettings& settings, SteadyTime now) {
  degrade("room", shared.no_room().holds(now) ? room_sentence(settings) : "");
  degrade("vnis", shared.no_vni().holds(now) ? kVnisSentence : "");
}

void RelayNotices::tell_sockets(std::span<const std::unique_ptr<RelaySocket>> sockets, const RelaySettings& settings) {
  int granted = buffer_;
  bool segments = true;
  for (const auto& socket : sockets) {
    granted = std::min(granted, socket->granted_buffer());
    segments = segments && socket->udp().segments();
  }
  note("buffers", granted < buffer_ ? buffer_sentence(granted, buffer_) : "");
  note("gso", settings.gso != Gso::off && !segments ? kGsoSentence : "");
}

}  // namespace gatehouse::geneve_relay
