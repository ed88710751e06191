#include "plugins/geneve-relay/wire/disco_envelope.hpp"

#include "plugins/geneve-relay/wire/cryptography.hpp"
#include "plugins/geneve-relay/wire/random_pool.hpp"
#include "tests/unit/allocations.hpp"
#include "tests/unit/geneve-relay/vectors.hpp"

#include <set>

namespace gatehouse::geneve_relay {
namespace {

struct DiscoEnvelopeTest : testing::Test {
  ByteVector sealed(Bytes message) {
    ByteVector out(kEnvelopeOverhead + message.size());
    EXPECT_EQ(seal_envelope(out, public_of("a"), shared_by("server", "a"), random, message), out.size());
    return out;
  }
  RandomPool random;
  const SharedKey server_side = shared_by("a", "server");
};

TEST_F(DiscoEnvelopeTest, AnyLengthOpensAgain) {
  for (const std::size_t size : {0U, 1U, 31U, 32U, 33U, 74U, 700U}) {
    const ByteVector message(size, std::byte{0x5a});
    const ByteVector wire = sealed(message);
    ByteVector room(size);
    EXPECT_EQ(copied(open_envelope(*read_envelope(wire), server_side, room).value()), message);
    if (size > 0) {
      EXPECT_EQ(open_envelope(*read_envelope(wire), server_side, MutableBytes(room).first(size - 1)).error(),
                make_error_code(Errc::oversize));
    }
  }
}

TEST_F(DiscoEnvelopeTest, EveryChangedBitIsSeen) {
  const ByteVector wire = sealed(ByteVector(34));
  for (std::size_t bit = 8 * (kDiscoMagicSize + DiscoKey::kSize); bit < 8 * wire.size(); ++bit) {
    ByteVector changed = wire;
    changed[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
    ByteVector room(wire.size());
    EXPECT_EQ(open_envelope(*read_envelope(changed), server_side, room).error(), make_error_code(Errc::denied)) << bit;
  }
}

TEST_F(DiscoEnvelopeTest, OthersCannotOpenIt) {
  const ByteVector wire = sealed(ByteVector(34));
  ByteVector room(wire.size());
  EXPECT_EQ(open_envelope(*read_envelope(wire), shared_by("b", "server"), room).error(), make_error_code(Errc::denied));
}

TEST_F(DiscoEnvelopeTest, SealingAndOpeningAllocateNothing) {
  constexpr std::array<std::byte, 74> kMessage{};
  const SharedKey shared = shared_by("server", "a");
  const DiscoKey sender = public_of("a");
  std::array<std::byte, kEnvelopeOverhead + kMessage.size()> wire;
  std::array<std::byte, kMessage.size()> room;
  const std::size_t before = allocations();
  seal_envelope(wire, sender, shared, random, kMessage);
  const bool is_open = open_envelope(*read_envelope(wire), server_side, room).has_value();
  EXPECT_EQ(allocations(), before);
  EXPECT_TRUE(is_open);
}

TEST(Cryptography, MayBePreparedAgain) {
  EXPECT_TRUE(prepare_cryptography());
  EXPECT_TRUE(prepare_cryptography());
  EXPECT_EQ(copied(shared_by("a", "b").bytes()), hex_of(vector_file()["keys"]["shared_a_b"]));
}

TEST(SharedKey, PointsOfLowOrderAreNobodysKey) {
  DiscoKey one;
  EXPECT_FALSE(SharedKey::make(one, secret_of("server")));
  one.bytes[0] = std::byte{1};
  EXPECT_FALSE(SharedKey::make(one, secret_of("server")));
}

TEST(DiscoSecret, IsMadeOfTheSourcesBytes) {
  GivenBytes given(hex_of(vector_file()["keys"]["a_priv"]));
  EXPECT_EQ(DiscoSecret::make(given).public_key(), public_of("a"));
}

TEST(RandomPool, NeverGivesTheSameTwice) {
  RandomPool pool;
  std::set<ByteVector> seen;
  for (int i = 0; i < 1000; ++i) {  // over several fetches, the last of each cut short
    ByteVector out(24);
    pool.fill(out);
    EXPECT_TRUE(seen.insert(out).second);
  }
  ByteVector large(5000), same(5000);
  pool.fill(large);
  pool.fill(same);
  EXPECT_NE(large, same);
}

}  // namespace
}  // namespace gatehouse::geneve_relay
