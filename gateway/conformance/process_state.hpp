// What a process has open, runs and holds: looked at before and after something that should leave no trace.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace gatehouse::conformance {

struct ProcessState {
  std::map<int, std::string> descriptors;  ///< what each stands for: "socket:[4711]", "/etc/hosts"
  std::size_t threads = 0;
};

/// Of this process, from /proc/self. Its own descriptor for that is not among them.
[[nodiscard]] ProcessState process_state();

/// Threads that have been joined may be seen for a moment longer: waits for them, a second at most.
/// @param most  what there should be
[[nodiscard]] ProcessState settled_state(std::size_t most);

/// Descriptors of `after` that `before` has not, as a list for people; "" where there is none.
[[nodiscard]] std::string new_descriptors(const ProcessState& before, const ProcessState& after);

/// Bytes that malloc has given out, and address space, of the whole process.
struct MemoryState {
  std::uint64_t allocated = 0;
  std::uint64_t mapped = 0;
};
[[nodiscard]] MemoryState memory_state();

}  // namespace gatehouse::conformance
