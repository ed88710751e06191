#include <gatehouse/packet/offload_header.hpp>
#include <gatehouse/testkit/hex.hpp>

#include <gtest/gtest.h>

#include <cstring>

namespace gatehouse {
namespace {

using testkit::ByteVector;
using Kind = OffloadHeader::Kind;

/// struct virtio_net_hdr: linux/virtio_net.h is no header for C++ everywhere.
struct KernelHeader {
  std::uint8_t flags = 0, gso_type = 0;
  std::uint16_t hdr_len = 0, gso_size = 0, csum_start = 0, csum_offset = 0;
};
constexpr std::uint8_t kNeedsChecksum = 1, kDataValid = 2;  // VIRTIO_NET_HDR_F_*
constexpr std::uint8_t kGsoEcn = 0x80;                      // VIRTIO_NET_HDR_GSO_*

ByteVector as_kernel(const KernelHeader& header) {
  const auto bytes = std::as_bytes(std::span(&header, 1));
  return {bytes.begin(), bytes.end()};
}

TEST(OffloadHeader, IsThatOfTheKernel) {
  static_assert(sizeof(KernelHeader) == OffloadHeader::kSize);
  const struct {
    Kind kind;
    std::uint8_t gso_type;
  } kinds[] = {{Kind::none, 0}, {Kind::tcp4, 1}, {Kind::tcp6, 4}, {Kind::udp, 5}};
  for (const auto& [kind, gso_type] : kinds)
    for (const bool needs_checksum : {false, true})
      for (const bool has_ecn : {false, true}) {
        KernelHeader kernel;
        kernel.flags = needs_checksum ? kNeedsChecksum : 0;
        kernel.gso_type = static_cast<std::uint8_t>(gso_type | (has_ecn ? kGsoEcn : 0));
        kernel.hdr_len = 54;
        kernel.gso_size = 1448;
        kernel.csum_start = 20;
        kernel.csum_offset = 16;
        const OffloadHeader header{kind, needs_checksum, has_ecn, 54, 1448, 20, 16};
        EXPECT_EQ(OffloadHeader::load(as_kernel(kernel)).value(), header);
        ByteVector out(OffloadHeader::kSize);
        header.store(out);
        EXPECT_EQ(out, as_kernel(kernel));
      }
}

TEST(OffloadHeader, ThatSaysTheChecksumIsVerifiedIsOneThatNeedsNone) {
  KernelHeader kernel;
  kernel.flags = kDataValid;
  EXPECT_EQ(OffloadHeader::load(as_kernel(kernel)).value(), OffloadHeader{});
}

TEST(OffloadHeader, OfAKindThatNobodyAskedForIsRefused) {
  for (unsigned type = 0; type < 256; ++type) {
    KernelHeader kernel;
    kernel.gso_type = static_cast<std::uint8_t>(type);
    const unsigned plain = type & 0x7f;
    const auto loaded = OffloadHeader::load(as_kernel(kernel));
    if (plain == 0 || plain == 1 || plain == 4 || plain == 5) {
      EXPECT_TRUE(loaded) << type;
    } else {
      EXPECT_EQ(loaded.error(), Errc::malformed) << type;
    }
  }
}

TEST(OffloadHeader, ThatIsCutIsTruncated) {
  for (std::size_t size = 0; size < OffloadHeader::kSize; ++size)
    EXPECT_EQ(OffloadHeader::load(ByteVector(size)).error(), Errc::truncated);
}

}  // namespace
}  // namespace gatehouse
