#include "plugins/geneve-relay/fast_path/leg_entry.hpp"

#include "plugins/geneve-relay/wire/geneve_header.hpp"

#include <gatehouse/packet/checksum.hpp>

#include <gtest/gtest.h>
#include <boost/endian/conversion.hpp>

#include <random>

namespace gatehouse::geneve_relay {
namespace {

Endpoint at(const char* text) { return Endpoint::parse(text).value(); }

FastKey v4_key() { return {0x123456, at("192.0.2.7:41641"), at("198.51.100.1:7500")}; }
FastTarget v4_target() { return {at("203.0.113.9:5000"), at("198.51.100.2:7501")}; }
FastKey v6_key() { return {1, at("[2001:db8::7]:41641"), at("[2001:db8:1::1]:7500")}; }
FastTarget v6_target() { return {at("[2001:db8:2::9]:5000"), at("[2001:db8:1::2]:7500")}; }

TEST(LegEntry, HasAKeyAsThePacketHasIt) {
  const gh_fast_key key = to_map_key(v4_key()).value();
  EXPECT_EQ(key.tag, 0x12345604u);
  EXPECT_EQ(std::memcmp(&key.remote_port, "\xa2\xa9", 2), 0);
  EXPECT_EQ(std::memcmp(&key.local_port, "\x1d\x4c", 2), 0);
  EXPECT_EQ(std::memcmp(key.remote, "\xc0\x00\x02\x07\0\0\0\0\0\0\0\0\0\0\0\0", 16), 0);
  EXPECT_EQ(std::memcmp(key.local, "\xc6\x33\x64\x01\0\0\0\0\0\0\0\0\0\0\0\0", 16), 0);
  EXPECT_EQ(to_map_key(v6_key()).value().tag, 0x106u);
}

// An IPv6 address that begins as an IPv4 one is long.
TEST(LegEntry, TellsFamiliesApart) {
  FastKey v6 = v6_key(), v4 = v4_key();
  v6.vni = v4.vni;
  v6.remote = at("[c000:207::]:41641");
  v6.local = at("[c633:6401::]:7500");
  const gh_fast_key one = to_map_key(v4).value(), other = to_map_key(v6).value();
  EXPECT_EQ(std::memcmp(one.remote, other.remote, sizeof one.remote), 0);
  EXPECT_NE(std::memcmp(&one, &other, sizeof one), 0);
}

TEST(LegEntry, RefusesWhatIsNoKey) {
  for (const std::uint32_t vni : {std::uint32_t{0}, kLargestVni + 1}) {
    FastKey key = v4_key();
    key.vni = vni;
    EXPECT_EQ(to_map_key(key).error(), Errc::invalid);
  }
  FastKey largest = v4_key();
  largest.vni = kLargestVni;
  EXPECT_TRUE(to_map_key(largest));
  FastKey key = v4_key();
  key.remote.port = 0;
  EXPECT_EQ(to_map_key(key).error(), Errc::invalid);
  key = v4_key();
  key.local.address = {};
  EXPECT_EQ(to_map_key(key).error(), Errc::invalid);
}

TEST(LegEntry, LeavesMixedFamiliesAndZonesToUserSpace) {
  EXPECT_EQ(to_map_key({1, v4_key().remote, v6_key().local}).error(), Errc::unsupported);
  EXPECT_EQ(to_map_entry(v4_key(), v6_target(), 0, {}).error(), Errc::unsupported);
  EXPECT_EQ(to_map_entry(v6_key(), v4_target(), 0, {}).error(), Errc::unsupported);
  EXPECT_EQ(to_map_entry(v6_key(), {at("[fe80::9%2]:5000"), at("[fe80::1%2]:7500")}, 0, {}).error(), Errc::unsupported);
  EXPECT_EQ(to_map_entry(v6_key(), {at("[fe80::9]:5000"), at("[fe80::1]:7500")}, 0, {}).error(), Errc::unsupported);
}

TEST(LegEntry, BeginsUnused) {
  const SteadyTime now{Nanoseconds(77)};
  const gh_fast_entry entry = to_map_entry(v4_key(), v4_target(), 7, now).value();
  EXPECT_EQ(entry.stack_at, 77u);
  EXPECT_EQ(entry.lane, 7);
  EXPECT_EQ(use_of(entry), FastUse{});
}

TEST(LegEntry, TellsItsUse) {
  gh_fast_entry entry{};
  entry.packets = 3;
  entry.bytes = 99;
  entry.last_seen = 1'000;
  EXPECT_EQ(use_of(entry), (FastUse{3, 99, SteadyTime(Nanoseconds(1'000))}));
}

/// A UDP packet's checksum, from scratch.
std::uint16_t udp_checksum(const Endpoint& from, const Endpoint& to, Bytes payload) {
  const auto size = static_cast<std::uint32_t>(8 + payload.size());
  const std::uint64_t sum = pseudo_header_sum(from.address.bytes(), to.address.bytes(), 17, size) +
                            boost::endian::native_to_big(from.port) + boost::endian::native_to_big(to.port) +
                            boost::endian::native_to_big(static_cast<std::uint16_t>(size)) + sum_words(payload);
  return static_cast<std::uint16_t>(~fold_sum(sum));
}

/// As relay.bpf.c does it.
std::uint16_t changed(std::uint16_t check, std::uint16_t change) {
  return static_cast<std::uint16_t>(~fold_sum(std::uint64_t{static_cast<std::uint16_t>(~check)} + change));
}

/// One number for both forms of zero.
std::uint16_t plain(std::uint16_t sum) { return sum == 0xffff ? 0 : sum; }

class LegChecksum : public testing::TestWithParam<bool> {
 protected:
  IpAddress address() {
    std::array<std::byte, 16> bytes;
    for (std::byte& one : bytes) one = static_cast<std::byte>(random_());
    bytes[0] = std::byte{0x20};  // nothing with a zone
    return GetParam() ? IpAddress::v6(bytes) : IpAddress::v4(Bytes(bytes).first(4));
  }
  Endpoint endpoint() { return {address(), static_cast<std::uint16_t>(random_() % 65535 + 1)}; }

  std::mt19937 random_{7};
};

TEST_P(LegChecksum, ChangesAsIfSummedAnew) {
  for (int round = 0; round < 2'000; ++round) {
    const FastKey key{1, endpoint(), endpoint()};
    const FastTarget target{endpoint(), endpoint()};
    const auto entry = to_map_entry(key, target, 0, {});
    ASSERT_TRUE(entry);
    std::array<std::byte, 33> payload;
    for (std::byte& one : payload) one = static_cast<std::byte>(random_());
    const Bytes sent = Bytes(payload).first(random_() % payload.size());

    const std::uint16_t before = udp_checksum(key.remote, key.local, sent);
    const std::uint16_t after = udp_checksum(target.local, target.remote, sent);
    EXPECT_EQ(plain(changed(before, entry->udp_change)), plain(after));

    const std::uint64_t old_sum = sum_words(key.remote.address.bytes()) + sum_words(key.local.address.bytes());
    const std::uint64_t new_sum = sum_words(target.remote.address.bytes()) + sum_words(target.local.address.bytes());
    EXPECT_EQ(plain(changed(static_cast<std::uint16_t>(~fold_sum(old_sum)), entry->ip_change)),
              plain(static_cast<std::uint16_t>(~fold_sum(new_sum))));
  }
}

TEST_P(LegChecksum, KnowsTheSumOfASenderThatHasNotCompletedIt) {
  for (int round = 0; round < 200; ++round) {
    const FastKey key{1, endpoint(), endpoint()};
    const auto entry = to_map_entry(key, {endpoint(), endpoint()}, 0, {});
    ASSERT_TRUE(entry);
    const auto size = static_cast<std::uint32_t>(random_() % 1'400 + 8);
    const std::uint64_t partial = pseudo_header_sum(key.remote.address.bytes(), key.local.address.bytes(), 17, size);
    EXPECT_EQ(fold_sum(std::uint64_t{entry->pseudo} + boost::endian::native_to_big(static_cast<std::uint16_t>(size))),
              fold_sum(partial));
  }
}

INSTANTIATE_TEST_SUITE_P(Families, LegChecksum, testing::Bool(),
                         [](const auto& test) { return test.param ? "V6" : "V4"; });

}  // namespace
}  // namespace gatehouse::geneve_relay
