#include "plugins/geneve-relay/server/endpoint_askers.hpp"

#include <gtest/gtest.h>

#include <optional>

namespace gatehouse::geneve_relay {
namespace {

TEST(EndpointAskers, AreKeptOnceAndAsLongAsAnEndpointIsTheirs) {
  EndpointAskers all;
  const EndpointAsker bob{"token:bob", Endpoint::parse("192.0.2.1:5").value(), 3};
  EndpointAsker elsewhere = bob;
  elsewhere.listener = 4;
  {
    const AskerHandle one = all.at(bob), other = all.at(elsewhere);
    std::optional<AskerHandle> again(all.at(bob));
    EXPECT_EQ(&*one, &**again);
    EXPECT_NE(&*one, &*other);
    EXPECT_EQ(all.size(), 2u);
    const AskerHandle moved = std::move(*again);
    again.reset();
    EXPECT_EQ(*moved, bob);
    EXPECT_EQ(other->listener, 4u);
  }
  EXPECT_EQ(all.size(), 0u);
  static_assert(sizeof(AskerHandle) == sizeof(void*));
}

}  // namespace
}  // namespace gatehouse::geneve_relay
