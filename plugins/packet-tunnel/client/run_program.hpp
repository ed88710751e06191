// Another program, run to its end.
#pragma once

#include <string>
#include <vector>

namespace gatehouse::packet_tunnel {

struct ProgramEnd {
  bool was_found = false;
  int code = -1;       ///< of its exit; -1: a signal, or not found
  std::string output;  ///< both of its streams, the first 4 KiB
};

/// Looked for in PATH, without a shell; its standard input is empty. Waits for it. @throws std::runtime_error  no
/// process
[[nodiscard]] ProgramEnd run_program(const std::vector<std::string>& words);

}  // namespace gatehouse::packet_tunnel
