#include <gatehouse/packet/checksum.hpp>
#include <gatehouse/testkit/hex.hpp>

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace gatehouse {
namespace {

using testkit::ByteVector;
using testkit::hex;

/// Word by word, in network order, as RFC 1071 describes it; then in memory's order.
std::uint16_t simple_sum(Bytes bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    const auto high = std::to_integer<std::uint32_t>(bytes[i]);
    const auto low = i + 1 < bytes.size() ? std::to_integer<std::uint32_t>(bytes[i + 1]) : 0;
    sum += high << 8 | low;
    if (sum > 0xffff) sum -= 0xffff;
  }
  const ByteVector in_memory = {static_cast<std::byte>(sum >> 8), static_cast<std::byte>(sum)};
  return load_checksum(std::span<const std::byte, 2>(in_memory));
}

/// 0 and 0xffff are one number.
std::uint16_t canonical(std::uint16_t sum) { return sum == 0xffff ? 0 : sum; }

ByteVector random_bytes(std::size_t size, std::uint_fast32_t seed) {
  std::mt19937 random(seed);
  ByteVector out(size);
  for (std::byte& one : out) one = static_cast<std::byte>(random());
  return out;
}

ChecksumField field_of(ByteVector& bytes, std::size_t at) { return MutableBytes(bytes).subspan(at).first<2>(); }

TEST(WordSum, IsThatOfSingleWordsAtAllSizesAndAlignments) {
  const ByteVector bytes = random_bytes(700, 1);
  for (std::size_t at = 0; at < 33; ++at)
    for (std::size_t size = 0; size <= 600; ++size) {
      const Bytes part = Bytes(bytes).subspan(at, size);
      const ByteVector exact(part.begin(), part.end());  // so that AddressSanitizer sees a byte too many
      ASSERT_EQ(canonical(fold_sum(sum_words(part))), canonical(simple_sum(part))) << size << " bytes at " << at;
      ASSERT_EQ(sum_words(exact), sum_words(part)) << size;
      ASSERT_EQ(canonical(fold_sum(portable::sum_words(exact))), canonical(simple_sum(part))) << size;
    }
}

TEST(WordSum, OfLargePacketsOfTheLargestWordsLosesNoCarry) {
  for (const std::size_t size : {1448U, 65535U, 1U << 20}) {
    const ByteVector bytes(size, std::byte{0xff});
    EXPECT_EQ(canonical(fold_sum(sum_words(bytes))), canonical(simple_sum(bytes))) << size;
    EXPECT_EQ(canonical(fold_sum(portable::sum_words(bytes))), canonical(simple_sum(bytes))) << size;
  }
}

TEST(WordSum, OfPiecesAddsUp) {
  const ByteVector bytes = random_bytes(1501, 2);
  for (std::size_t cut = 0; cut < bytes.size(); cut += 2)
    ASSERT_EQ(fold_sum(sum_words(Bytes(bytes).first(cut)) + sum_words(Bytes(bytes).subspan(cut))),
              fold_sum(sum_words(bytes)));
}

TEST(WordSum, OfACopyIsTheSameAndTheCopyIsWhole) {
  const ByteVector bytes = random_bytes(1700, 3);
  for (std::size_t size = 0; size <= 1600; size += size < 300 ? 1 : 37)
    for (const std::size_t at : {0U, 1U, 7U, 32U}) {
      const Bytes in = Bytes(bytes).subspan(at, size);
      ByteVector out(size);
      ASSERT_EQ(copy_and_sum_words(out, in), sum_words(in)) << size;
      ASSERT_TRUE(std::equal(in.begin(), in.end(), out.begin())) << size;
      ByteVector second(size);
      ASSERT_EQ(portable::copy_and_sum_words(second, in), portable::sum_words(in)) << size;
      ASSERT_EQ(second, out);
    }
}

TEST(WordSum, WritesNothingBehindTheCopy) {
  const ByteVector bytes = random_bytes(400, 4);
  for (std::size_t size = 0; size <= 400; ++size) {
    ByteVector out(size + 40, std::byte{0xa5});
    (void)copy_and_sum_words(out, Bytes(bytes).first(size));
    (void)portable::copy_and_sum_words(out, Bytes(bytes).first(size));
    for (std::size_t i = size; i < out.size(); ++i) ASSERT_EQ(out[i], std::byte{0xa5}) << size;
  }
}

TEST(Checksum, OfTheExampleOfRfc1071) {
  const ByteVector bytes = hex("0001 f203 f4f5 f6f7"), sum = hex("ddf2");
  EXPECT_EQ(fold_sum(sum_words(bytes)), load_checksum(std::span<const std::byte, 2>(sum)));
}

TEST(Checksum, OfAPseudoHeaderIsThatOfItsBytes) {
  const ByteVector v4 = hex("c6336407 0a123456 0006 0017");
  EXPECT_EQ(fold_sum(pseudo_header_sum(Bytes(v4).first(4), Bytes(v4).subspan(4, 4), 6, 0x17)), simple_sum(v4));
  const ByteVector v6 = hex("20010db8000000000000000000000007 fd19ca83e6d51c448c574434ee123456 0001869f 0000003a");
  EXPECT_EQ(fold_sum(pseudo_header_sum(Bytes(v6).first(16), Bytes(v6).subspan(16, 16), 58, 0x1869f)), simple_sum(v6));
}

TEST(Checksum, AdjustedIsThatOfTheNewBytes) {
  std::mt19937 random(5);
  for (int i = 0; i < 20'000; ++i) {
    ByteVector bytes = random_bytes(24, random());
    if (i % 3 == 0)
      std::fill(bytes.begin() + 2, bytes.begin() + 8, std::byte{static_cast<unsigned char>(i % 2 ? 255 : 0)});
    store_checksum(field_of(bytes, 0), 0);
    store_checksum(field_of(bytes, 0), static_cast<std::uint16_t>(~fold_sum(sum_words(bytes))));
    const ByteVector old(bytes.begin() + 4, bytes.begin() + 8), changed = random_bytes(4, random());
    std::copy(changed.begin(), changed.end(), bytes.begin() + 4);
    adjust_checksum(field_of(bytes, 0), sum_words(old), sum_words(changed));
    ASSERT_EQ(fold_sum(sum_words(bytes)), 0xffff);
  }
}

// RFC 1624, section 4: the case that the equation of RFC 1141 gets wrong.
TEST(Checksum, AdjustedToAZeroSumIsNotMinusZero) {
  ByteVector field = hex("dd2f");
  const ByteVector old = hex("5555"), changed = hex("3285");
  adjust_checksum(field_of(field, 0), sum_words(old), sum_words(changed));
  EXPECT_EQ(field, hex("0000"));
}

TEST(Checksum, OfUdpThatIsNoneStaysNone) {
  ByteVector field = hex("0000");
  const ByteVector old = hex("ac100001"), changed = hex("0a123456");
  adjust_udp_checksum(field_of(field, 0), sum_words(old), sum_words(changed));
  EXPECT_EQ(field, hex("0000"));
}

TEST(Checksum, OfUdpThatComesOutAsNoneIsTheOtherZero) {
  ByteVector field = hex("dd2f");
  const ByteVector old = hex("5555"), changed = hex("3285");
  adjust_udp_checksum(field_of(field, 0), sum_words(old), sum_words(changed));
  EXPECT_EQ(field, hex("ffff"));
}

TEST(Checksum, ThatIsPartialIsAdjustedAsASum) {
  const ByteVector old = hex("ac100001"), changed = hex("0a123456"), other = hex("c6336407");
  ByteVector field(2);
  store_checksum(field_of(field, 0), fold_sum(pseudo_header_sum(old, other, 6, 1400)));
  adjust_partial_checksum(field_of(field, 0), sum_words(old), sum_words(changed));
  EXPECT_EQ(load_checksum(field_of(field, 0)), fold_sum(pseudo_header_sum(changed, other, 6, 1400)));
}

}  // namespace
}  // namespace gatehouse
