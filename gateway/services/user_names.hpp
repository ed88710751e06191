// Names of this system's users by number, looked up off the lanes: NSS may read files or ask a directory server.
#pragma once

#include "gateway/store/durability.hpp"

#include <gatehouse/base/clock.hpp>

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace gatehouse {

/// The name of the user with that number; nothing when it is no user's. Blocks for as long as NSS does.
/// @throws std::runtime_error when the system cannot say
[[nodiscard]] std::optional<std::string> system_user_name(uid_t uid);

/// Remembers what was asked for: an answer is at hand for a minute and stays so while it is looked up anew. One thread
/// of its own asks the system. Thread-safe; find() locks for some hundred ns and never waits.
class UserNames {
 public:
  static constexpr std::size_t kMostKnown = 4096;    ///< then the oldest answers go
  static constexpr std::size_t kMostWaiting = 1024;  ///< callers, over all plugins
  static constexpr Nanoseconds kFresh = std::chrono::minutes(1);
  static constexpr Nanoseconds kMostWait = std::chrono::seconds(4);  ///< and a look a second

  using Look = std::function<std::optional<std::string>(uid_t)>;
  explicit UserNames(Look look = &system_user_name);
  /// Does not wait for a look-up that is under way.
  ~UserNames();
  UserNames(const UserNames&) = delete;
  UserNames& operator=(const UserNames&) = delete;

  struct Answer {
    /// GH_OK: at hand. GH_PENDING: it is looked up, and `later` will be called. GH_E_LIMIT: too many wait.
    gh_status status = GH_OK;
    std::optional<std::string> name;  ///< nothing: no user has that number
  };
  /// @param who    whose completion it is: none comes once that is closed
  /// @param later  called with GH_OK when the answer is at hand, GH_E_IO when the system does not give one in time
  [[nodiscard]] Answer find(uid_t uid, const std::shared_ptr<Requester>& who, const gh_completion* later,
                            SteadyTime now = steady_now());
  /// Gives up on what has waited for kMostWait. To be called every second or so.
  void expire(SteadyTime now);

 private:
  struct State;
  const std::shared_ptr<State> state_;  // shared with the thread, which may hang in NSS for good
};

}  // namespace gatehouse
