// The whole test program's operator new, but for over-aligned ones: tests count what a thread allocates, and let it
// fail.
#pragma once

#include <cstddef>

namespace gatehouse {

/// How often this thread has allocated so far.
[[nodiscard]] std::size_t allocations() noexcept;

/// While it lives, the nth allocation of this thread from its making on fails, and no other. One at a time on a thread.
class FailingAllocation {
 public:
  /// `nth` from 1.
  explicit FailingAllocation(std::size_t nth) noexcept;
  ~FailingAllocation();
  FailingAllocation(const FailingAllocation&) = delete;
  FailingAllocation& operator=(const FailingAllocation&) = delete;
  /// Has it failed by now?
  [[nodiscard]] bool has_failed() const noexcept;
};

}  // namespace gatehouse
