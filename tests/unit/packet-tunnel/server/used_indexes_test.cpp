#include "plugins/packet-tunnel/server/used_indexes.hpp"

#include <gtest/gtest.h>

namespace gatehouse::packet_tunnel {
namespace {

TEST(UsedIndexes, HaveWhatWasAddedAndNothingElse) {
  UsedIndexes used(3, 0xfffffe);
  for (const std::uint32_t index : {3u, 66u, 0x123456u, 0xfffffeu}) {
    EXPECT_FALSE(used.contains(index));
    used.add(index);
    EXPECT_TRUE(used.contains(index));
    EXPECT_FALSE(used.contains(index - 1)) << index;
    EXPECT_FALSE(used.contains(index + 1)) << index;
  }
}

TEST(UsedIndexes, PassOverWhatIsNoClients) {
  UsedIndexes used(0x400003, 0x40000d);  // a /28
  for (const std::uint32_t index : {0u, 3u, 0x400002u, 0x500000u, 0xffffffu}) {
    used.add(index);
    EXPECT_FALSE(used.contains(index));
  }
}

}  // namespace
}  // namespace gatehouse::packet_tunnel
