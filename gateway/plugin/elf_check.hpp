// Is a file a whole shared object? Asked before it is mapped, since the dynamic linker believes what the file says: a
// page that the file does not have is a SIGBUS, and an address outside of it a SIGSEGV, inside dlopen. Thread-safe: no
// state.
#pragma once

#include <gatehouse/base/bytes.hpp>

#include <string>
#include <vector>

namespace gatehouse {

/// A symbol that the file defines for others.
struct ElfSymbol {
  std::string name;
  bool unique = false;  ///< STB_GNU_UNIQUE: one for the whole process, whoever else defines it
};

/// What a file tells the dynamic linker about itself. Nothing of it is judged here.
struct ElfFacts {
  std::vector<std::string> needed;  ///< libraries, by their names
  std::vector<ElfSymbol> exports;
  std::string search_path;  ///< RPATH or RUNPATH; "" = none
  bool executable_stack = false;
  bool relro = false;             ///< what is relocated is read-only afterwards
  bool bind_now = false;          ///< every symbol is found when it is loaded
  bool text_relocations = false;  ///< code is written to
  bool writable_code = false;     ///< a segment may be written and run
};

struct ElfReading {
  std::string why_not;  ///< "", or as why_not_loadable() says; `facts` are good only without
  ElfFacts facts;
};

/// Holds the ELF header, the program headers and the dynamic section of `file` against its size: every segment, table
/// and string that dlopen reads must lie inside. Does not judge the code. Reads a few KiB of it, allocates little.
/// Source: the System V ABI, chapters 4 and 5; elf(5).
/// @return "", or why not, to be put behind the file's name: " is cut short: ..."
[[nodiscard]] std::string why_not_loadable(Bytes file);

/// The same, and then what the file says of itself: reads its symbols too, as many as its hash table has.
[[nodiscard]] ElfReading read_elf(Bytes file);

}  // namespace gatehouse
