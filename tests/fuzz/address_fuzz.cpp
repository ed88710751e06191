// What was read as an address, an endpoint, a prefix or a name is read again, as the same, from its own text.
#include <gatehouse/base/domain.hpp>
#include <gatehouse/base/prefix.hpp>

#include "tests/fuzz/fuzz.hpp"

#include <sys/socket.h>

namespace gatehouse {
namespace {

void check(std::string_view text) {
  if (const auto address = IpAddress::parse(text)) require(*IpAddress::parse(address->to_string()) == *address);

  for (const auto default_port : {std::optional<std::uint16_t>{}, std::optional<std::uint16_t>{53}}) {
    const auto endpoint = Endpoint::parse(text, default_port);
    if (!endpoint) continue;
    require(*Endpoint::parse(endpoint->to_string()) == *endpoint);
    sockaddr_storage system{};
    require(endpoint->to_sockaddr(system) > 0);
    const Endpoint back = Endpoint::from_sockaddr(system);
    require(back.address == endpoint->address.unmapped() && back.port == endpoint->port);
  }

  if (const auto prefix = Prefix::parse(text)) {
    require(*Prefix::parse(prefix->to_string()) == *prefix);
    require(prefix->contains(prefix->address()) && prefix->contains(*prefix));
  }

  if (const auto domain = canonical_domain(text)) {
    require(*canonical_domain(*domain) == *domain);
    require(is_below(*domain, *domain) && is_below(*domain, ""));
  }
}

}  // namespace
}  // namespace gatehouse

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  gatehouse::check(gatehouse::text_of(gatehouse::fuzz_input(data, size)));
  return 0;
}
