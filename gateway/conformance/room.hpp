// Where a step's process lives: what it begins ends with it, it sees nobody else, and cannot fill the disk from there.
#pragma once

#include <gatehouse/base/clock.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <optional>

namespace gatehouse::conformance {

/// A process, and whatever that begins. It has process ids, a /proc and a `folder` of 256 MiB of its own where such can
/// be made: as root, or where the kernel lets users make namespaces; elsewhere, at the deadline, only its process group
/// is ended. One thread.
class Room {
 public:
  /// How it ended.
  struct Ending {
    int status = 0;              ///< of the process, as from waitpid()
    bool killed_others = false;  ///< it has ended the process that waits for it; `status` says nothing then
    bool left_others = false;    ///< something that it has begun went on
    bool is_crowded = false;     ///< it has begun too many; `status` says nothing then
  };
  static constexpr unsigned kMostProcesses = 200;

  /// Forks: the caller is the only thread of its process. `guest` runs in the child and does not return.
  /// @param folder  exists; what the child makes there is gone with it
  /// @throws std::runtime_error  no process can be made
  Room(const std::function<void()>& guest, const std::filesystem::path& folder);
  ~Room() { close(); }
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;

  /// Ends everything in it, and waits for that.
  void close() noexcept;
  /// Waits until it has ended by itself; at the deadline closes it. @return nothing: it was the deadline
  [[nodiscard]] std::optional<Ending> wait(SteadyTime deadline);

 private:
  pid_t keeper_ = -1;
  UniqueFd told_;  // Told, and the end
};

}  // namespace gatehouse::conformance
