#include <gatehouse/base/endian.hpp>
#include <gatehouse/testkit/hex.hpp>

#include <gtest/gtest.h>

namespace gatehouse {
namespace {

using testkit::ByteVector;
using testkit::hex;

TEST(Endian, LoadsInTheOrderThatItsNameSays) {
  const ByteVector wire = hex("0102030405060708ff");
  EXPECT_EQ(load_big<std::uint16_t>(wire), 0x0102);
  EXPECT_EQ(load_big<std::uint32_t>(wire), 0x01020304u);
  EXPECT_EQ(load_big<std::uint64_t>(wire), 0x0102030405060708u);
  EXPECT_EQ(load_little<std::uint16_t>(wire), 0x0201);
  EXPECT_EQ(load_little<std::uint32_t>(wire), 0x04030201u);
  EXPECT_EQ(load_little<std::uint64_t>(wire), 0x0807060504030201u);
}

TEST(Endian, StoresInTheOrderThatItsNameSaysAndNoFurther) {
  ByteVector out(4, std::byte{0xee});
  store_big(out, std::uint16_t{0x0102});
  EXPECT_EQ(out, hex("0102eeee"));
  store_little(out, std::uint16_t{0x0102});
  EXPECT_EQ(out, hex("0201eeee"));
  store_big(out, std::uint32_t{0x01020304});
  EXPECT_EQ(out, hex("01020304"));
}

TEST(Endian, WorksAtOddAddresses) {
  ByteVector out(9);
  store_little(MutableBytes(out).subspan(1), std::uint64_t{0x0102030405060708});
  EXPECT_EQ(out, hex("000807060504030201"));
  EXPECT_EQ(load_little<std::uint64_t>(Bytes(out).subspan(1)), 0x0102030405060708u);
}

}  // namespace
}  // namespace gatehouse
