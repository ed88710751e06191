// One life of a plugin on a fake host: start, clients, changes, drain, stop, destroy.
#pragma once

#include "gateway/conformance/subject.hpp"

#include <chrono>
#include <string_view>

namespace gatehouse::conformance {

/// How much of it is asked for.
struct LifePlan {
  std::chrono::milliseconds load{400};
  /// It must start, its lanes must go on, and changes are tried; else only what no refusal excuses: crashes, hangs,
  /// leaks and silence.
  bool in_order = true;
  /// What it is when it does not start, and it should.
  std::string_view of_refusal = "start_refused";
};

/// Enters a private network where that is allowed, so it may be called once in a process, while that has one thread.
void live(Rig& rig, const LifePlan& plan);

}  // namespace gatehouse::conformance
