// Is a file a whole shared object? Asked before it is mapped, since the dynamic linker believes what the file says: a
// page that the file does not have is a SIGBUS, and an address outside of it a SIGSEGV, inside dlopen. Thread-safe: no
// state.
#pragma once

#include <gatehouse/base/bytes.hpp>

#include <string>

namespace gatehouse {

/// Holds the ELF header, the program headers and the dynamic section of `file` against its size: every segment, table
/// and string that dlopen reads must lie inside. Does not judge the code. Reads a few KiB of it, allocates little.
/// Source: the System V ABI, chapters 4 and 5; elf(5).
/// @return "", or why not, to be put behind the file's name: " is cut short: ..."
[[nodiscard]] std::string why_not_loadable(Bytes file);

}  // namespace gatehouse
