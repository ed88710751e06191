#include "plugins/geneve-relay/allocation/address_keeper.hpp"

#include <cstring>

namespace gatehouse::geneve_relay {

AddressKeeper::AddressKeeper(const LaneContext& context, AdvertisedAddresses& addresses, RandomSource& random,
                             Send send)
    : context_(context),
      addresses_(addresses),
      random_(random),
      send_(std::move(send)),
      watch_(context.loop.poller(), [this] { look_at_interfaces(); }),
      again_([this] { ask(); }) {
  if (!watch_.works()) {
    context.host.log().warn(
        "addresses that come and go are not seen: the kernel has no netlink for us; name them in "
        "`advertise`");
  }
  look_at_interfaces();
}

void AddressKeeper::look_at_interfaces() {
  auto found = usable_addresses();
  if (found) return addresses_.set_interfaces(std::move(*found));
  context_.host.log().warn("the machine's addresses cannot be read; those that were known are offered",
                           {{"why", found.error().message()}});
}

/// Between two rounds as long as the reference waits, and not the same for all, so that relays do not ask in step.
void AddressKeeper::ask() {
  for (const auto& request : addresses_.begin_round(random_))
    static_cast<void>(send_(request.datagram, request.server));
  std::array<std::byte, 4> bytes{};
  random_.fill(bytes);
  std::uint32_t number = 0;
  std::memcpy(&number, bytes.data(), sizeof number);
  const auto spread = std::chrono::duration_cast<std::chrono::milliseconds>(kMostPause - kLeastPause).count();
  context_.loop.schedule(again_, kLeastPause + std::chrono::milliseconds(number % static_cast<std::uint32_t>(spread)));
}

}  // namespace gatehouse::geneve_relay
