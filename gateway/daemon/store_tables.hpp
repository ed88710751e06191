// Sessions, leases and usage as JSON: what the control API answers, and what the command line shows of state.db when no
// gateway runs. Pure functions; keys and blobs are never shown.
#pragma once

#include "db/store/store.hpp"
#include "gateway/store/session_table.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse {

/// Where rows come from: the running gateway's memory, or the file as its last commit left it.
inline constexpr std::string_view kFromGateway = "gateway";
inline constexpr std::string_view kFromFile = "state.db";
inline constexpr std::size_t kMostShown = 1000;      ///< rows, unless somebody asks for more
inline constexpr std::size_t kMostAtOnce = 100'000;  ///< rows, at most: the gateway must go on serving meanwhile

/// How many rows an answer has for whoever asks for `most`; 0 = all.
[[nodiscard]] constexpr std::size_t shown_of(std::size_t most) noexcept {
  return most == 0 || most > kMostAtOnce ? kMostAtOnce : most;
}

/// What goes along with the rows.
struct Shown {
  std::string_view from = kFromGateway;
  std::size_t most = kMostShown;  ///< that are listed
  std::size_t others = 0;         ///< that are counted, but were not even read
  bool current = true;            ///< false: what has changed since the last commit is not in them
};

/// Sessions from state.db, as they may be shown: without keys and blobs, with the resources that they hold.
[[nodiscard]] std::vector<LiveSession> shown_sessions(std::vector<db::SessionRecord> records,
                                                      const std::vector<db::LeaseRecord>& leases);

/// Sessions to be shown: the newest of them, `shown.most` at most, in their order. The others are counted.
class ShownSessions {
 public:
  ShownSessions(Shown shown, std::vector<LiveSession> sessions);

  [[nodiscard]] const std::vector<LiveSession>& listed() const noexcept { return listed_; }
  [[nodiscard]] const Shown& shown() const noexcept { return shown_; }

 private:
  Shown shown_;
  std::vector<LiveSession> listed_;
};

/// What the state of a session means, in the words of its plugin; "" where that is not known.
using DescribeState = std::function<std::string(const LiveSession& session)>;

/// What the counts of sessions are called, by plugin.
using CountNames = std::map<std::string, std::vector<std::string_view>, std::less<>>;

/// `count` is how many there are.
/// {source, current, count, sessions: [{id, plugin, identity, group, source, created_at, last_seen_at, ended_at,
/// bytes_up, bytes_down, packets_up, packets_down, leases, state, counts: {NAME: N}}]}, the newest first; of counts
/// those that have a name and are not 0.
/// @param describe  none: `state` is empty
[[nodiscard]] std::string sessions_json(const ShownSessions& sessions, const DescribeState& describe = {},
                                        const CountNames& count_names = {});
/// {source, current, count, leases: [{plugin, resource, session, identity, granted_at, expires_at}]} by plugin and
/// resource.
[[nodiscard]] std::string leases_json(const Shown& shown, std::vector<db::LeaseRecord> leases,
                                      const std::vector<LiveSession>& sessions);

/// What `gatehouse usage` asks. Days are counted since 1970, UTC.
struct UsageQuestion {
  std::int64_t first = 0, last = 0;
  std::string by = "identity";  ///< identity, group, plugin or day
};
/// @param since  "2026-11-21", or "" = the first of this month, as monthly quotas go
/// @throws std::invalid_argument  a sentence
[[nodiscard]] UsageQuestion usage_question(std::string_view since, const std::string& by, std::int64_t now);

/// {source, current, since, until, by, count, bytes_up, ..., usage: [{identity, bytes_up, bytes_down, packets_up,
/// packets_down}]} with the sums of all rows before the list; most bytes first, days in their order. `most` at most.
[[nodiscard]] std::string usage_json(const Shown& shown, const UsageQuestion& question,
                                     const std::vector<db::UsageRecord>& records);

}  // namespace gatehouse
