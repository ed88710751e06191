// `gatehouse run`: the gateway as one process, from its start to the signal that ends it.
#pragma once

#include "gateway/config/config.hpp"

#include <functional>
#include <memory>
#include <vector>

namespace gatehouse {

/// The thread that makes it is the control thread: everything happens there but what lanes, the log and the policy
/// publisher do on theirs.
///
/// Signals, from start() on: HUP reads the configuration again, all or nothing; TERM drains and then stops,
/// after ten seconds at the latest; INT, or a second TERM, stops. Then what the store has not written yet is written.
class Daemon {
 public:
  /// `reread` reads the configuration anew, for a reload.
  Daemon(Config config, std::function<ConfigReading()> reread);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  /// Brings everything up, or nothing: with a problem, all that was started is stopped again. Returns every problem.
  [[nodiscard]] std::vector<ConfigProblem> start();
  /// After start() without a problem: serves until a signal ends it. Returns the exit code. Does not return, but ends
  /// the process, when a lane was abandoned: its code may still run, and destructors must not pull things from under
  /// it.
  [[nodiscard]] int run();

 private:
  class Core;
  std::unique_ptr<Core> core_;
};

}  // namespace gatehouse
