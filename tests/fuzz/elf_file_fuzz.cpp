// A file that says of itself that it is a plugin is judged without a read outside of it, whatever is in it.
#include "gateway/plugin/elf_check.hpp"

#include "tests/fuzz/fuzz.hpp"

namespace gatehouse {
namespace {

void check(Bytes file) {
  const std::string why = why_not_loadable(file);
  require(why.size() < 1000);                  // however long a name in it is
  require(file.size() >= 64 || !why.empty());  // an ELF header has as much
  const ElfReading reading = read_elf(file);
  require(why.empty() || reading.why_not == why);
  require(reading.facts.exports.size() <= file.size());
}

}  // namespace
}  // namespace gatehouse

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  gatehouse::check(gatehouse::fuzz_input(data, size));
  return 0;
}
