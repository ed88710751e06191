// Sealed requests for an endpoint at a relay with more ports than one.
#include "tests/unit/geneve-relay/server/relay_rig.hpp"

namespace gatehouse::geneve_relay {
namespace {

/// A socket that hears nobody but whom it sends to.
UniqueFd connected_to(const Endpoint& relay) {
  UniqueFd out(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_storage address{};
  const socklen_t size = relay.to_sockaddr(address);
  EXPECT_EQ(connect(out.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  return out;
}

TEST_F(RelayPlugin, ASealedRequestIsAnsweredByThePortThatItCameTo) {
  static_cast<void>(prepare_cryptography());
  plugin.emplace(kTestManifest, host, options(), 1,
                 std::vector<testkit::TestListener>{{GH_TRANSPORT_UDP}, {GH_TRANSPORT_UDP}});
  ASSERT_TRUE(eventually([] {
    const std::scoped_lock lock(RunningLanes::mutex);
    return RunningLanes::seats.size() == 1;
  }));
  TestClient a, b;
  const ServerEndpoint endpoint = allocate(a, b);
  host.set_credential(GH_CREDENTIAL_RELAY_KEY, a.key.to_hex(), "relay:a");
  for (const std::size_t port : {0u, 1u}) {
    ByteVector message(kAllocationRequestSize);
    write_allocation_request(message, {{a.key, b.key}, 7});
    const ByteVector control = a.sealed(endpoint, message);
    const UniqueFd fd = connected_to(plugin->address(port));
    ASSERT_GT(::send(fd.get(), control.data() + kGeneveHeaderSize, control.size() - kGeneveHeaderSize, 0), 0);
    pollfd ready{fd.get(), POLLIN, 0};
    EXPECT_EQ(poll(&ready, 1, 5000), 1) << "port " << port;
  }
}

}  // namespace
}  // namespace gatehouse::geneve_relay
