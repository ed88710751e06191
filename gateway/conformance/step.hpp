// One step of the check, in a process of its own, so that a crash, an exit() or a hang of the plugin is a finding.
#pragma once

#include "gateway/conformance/finding.hpp"
#include "gateway/conformance/notes.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace gatehouse::conformance {

struct Step {
  std::string name;
  std::function<void(Notes&)> run;
  /// What it is when the process dies or hangs; "" = crash, hang or ended_process.
  std::string_view of_death = {};
  std::chrono::seconds patience{10};  ///< for the whole step
};

struct StepOutcome {
  std::vector<Finding> findings;
  std::map<std::string, Json> facts;
  std::string skipped;  ///< why, or ""
  bool finished = false;
  bool hung = false;  ///< it was ended at the deadline
  std::chrono::milliseconds took{0};
};

/// Forks, so the caller must be the only thread of its process. The child works in an empty folder below `scratch`,
/// which is also its TMPDIR, with bounded memory, files and processor time; its output is read only when it dies. It
/// and whatever it has begun is gone when this returns (room.hpp), which is as soon as `patience` is over, whatever it
/// does. @throws std::runtime_error  no process can be made
[[nodiscard]] StepOutcome run_step(const Step& step, const std::filesystem::path& scratch);

}  // namespace gatehouse::conformance
