// Any text gives at least one name server, and each has an address and a port.
#include <gatehouse/net/resolv_conf.hpp>

#include "tests/fuzz/fuzz.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto servers = gatehouse::parse_resolv_conf(gatehouse::text_of(gatehouse::fuzz_input(data, size)));
  gatehouse::require(!servers.empty());
  for (const auto& server : servers) gatehouse::require(server.address.bits() > 0 && server.port == 53);
  return 0;
}
