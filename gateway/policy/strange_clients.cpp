#include "gateway/policy/strange_clients.hpp"

namespace gatehouse {

std::vector<std::string> StrangeClientLog::lines(Clock::time_point now, const StrangeClientCounts& counts) {
  std::vector<std::string> out;
  for (const auto& [plugin, count] : counts) {
    Entry& entry = plugins_[plugin];
    if (count == entry.logged || entry.next > now) continue;
    const std::uint64_t more = count - entry.logged;
    out.push_back("the plugin " + plugin + " has asked " + (more == 1 ? "once" : std::to_string(more) + " times") +
                  " for a client that is not open on its lane, and was refused: that is a fault of its code, which "
                  "`gatehouse plugin check` may find");
    entry = {count, now + kPause};
  }
  return out;
}

}  // namespace gatehouse
