// Sealed requests on a UDP port, answered as the vectors have it, or not at all.
#include "tests/unit/geneve-relay/allocation/allocation_fixture.hpp"

#include "plugins/geneve-relay/allocation/asker_keys.hpp"
#include "plugins/geneve-relay/wire/disco_envelope.hpp"

#include <gatehouse/base/endian.hpp>

#include <poll.h>

namespace gatehouse::geneve_relay {
namespace {

class SealedAllocationTest : public AllocationFixture {
 protected:
  SealedAllocationTest() {
    start({.transport = GH_TRANSPORT_UDP});
    from(IpAddress::v4(0x7f000001));
  }
  /// From now on by a socket of that address of loopback.
  void from(const IpAddress& own) {
    fd_ = UniqueFd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_storage address{};
    socklen_t size = Endpoint{own, 0, 0}.to_sockaddr(address);
    EXPECT_EQ(bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    size = plugin->address().to_sockaddr(address);
    EXPECT_EQ(connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  }
  void know(const std::string& who) {
    host.set_credential(GH_CREDENTIAL_RELAY_KEY, public_of(who).to_hex(), "relay:" + who);
  }
  void send(Bytes datagram) { EXPECT_GT(::send(fd_.get(), datagram.data(), datagram.size(), 0), 0); }
  /// What comes within that time.
  ByteVector receive(std::chrono::milliseconds within = 5s) {
    pollfd ready{fd_.get(), POLLIN, 0};
    ByteVector out(4096);
    const bool is_there = poll(&ready, 1, static_cast<int>(within.count())) == 1;
    out.resize(is_there ? static_cast<std::size_t>(recv(fd_.get(), out.data(), out.size(), 0)) : 0);
    return out;
  }
  std::uint64_t dropped(const std::string& cause) {
    return host.metric("sealed_requests_dropped{cause=\"" + cause + "\"}");
  }
  /// So many that do not open, from ever new sources. @return the seconds that it took, rounded up
  template <class Datagram>
  std::uint64_t flood(std::uint64_t count, Datagram datagram) {
    constexpr std::uint32_t kEach = 15;
    static_assert(kEach < SealedAllocation::kBurstOfSource);
    const SteadyTime began = steady_now();
    for (std::uint32_t i = 0; i < count; ++i) {
      if (i % kEach == 0) {
        EXPECT_TRUE(eventually([&] { return dropped("box") + dropped("limit") == i; }));
        from(IpAddress::v4(0x7f000200 + i / kEach));
      }
      send(datagram(i));
    }
    EXPECT_TRUE(eventually([&] { return dropped("box") + dropped("limit") == count; }));
    return static_cast<std::uint64_t>(std::chrono::ceil<std::chrono::seconds>(steady_now() - began).count());
  }
  /// `message`, as "a" seals it for the relay, each time anew.
  ByteVector sealed(Bytes message, const std::string& who = "a") {
    ByteVector nonce = hex("00112233445566778899aabbccddeeff0011223344556677");
    nonce[0] = static_cast<std::byte>(++sealed_);
    GivenBytes nonces(nonce);
    ByteVector out(kEnvelopeOverhead + message.size());
    seal_envelope(out, public_of(who), shared_by("server", who), nonces, message);
    return out;
  }

 private:
  std::uint8_t sealed_ = 0;
  UniqueFd fd_;
};

TEST_F(SealedAllocationTest, AnswersAsTheVectorsHaveIt) {
  know("a");
  send(datagram_of("alloc-request-sealed"));
  EXPECT_EQ(receive(), datagram_of("alloc-response-sealed"));
  EXPECT_EQ(demand().clients, DiscoPair(public_of("a"), public_of("b")));
  EXPECT_EQ(demand().identity, "relay:a");
  EXPECT_NE(demand().source.port, 0);
  EXPECT_EQ(host.metric("allocations{via=\"disco\"}"), 1u);
}

TEST_F(SealedAllocationTest, AnswersWhenTheEndpointIsDurable) {
  know("a");
  hold();
  send(datagram_of("alloc-request-sealed"));
  ASSERT_TRUE(eventually([&] { return asked() == 1; }));
  EXPECT_EQ(receive(50ms).size(), 0u);
  release(vector_endpoint());
  EXPECT_EQ(receive(), datagram_of("alloc-response-sealed"));
}

TEST_F(SealedAllocationTest, DropsWithoutAWord) {
  const ByteVector request = datagram_of("alloc-request-sealed");
  const auto expect_drop = [&](Bytes datagram, const std::string& cause) {
    const std::uint64_t before = dropped(cause);
    send(datagram);
    EXPECT_TRUE(eventually([&] { return dropped(cause) == before + 1; })) << cause;
  };
  expect_drop(request, "key");
  know("a");
  expect_drop(Bytes(request).first(request.size() - 1), "size");
  expect_drop(ByteVector(1500, std::byte{0x54}), "size");
  ByteVector broken = request;
  broken.back() ^= std::byte{1};
  expect_drop(broken, "box");
  ByteVector message = datagram_of("alloc-request");
  message[1] = std::byte{1};  // another version
  expect_drop(sealed(message), "message");
  expect_drop(sealed(datagram_of("alloc-response")), "message");
  know("b");
  message = datagram_of("alloc-request");
  std::copy_n(message.begin() + 2, DiscoKey::kSize, message.begin() + 2 + DiscoKey::kSize);
  expect_drop(sealed(message), "pair");  // one client twice
  message[2] ^= std::byte{1};
  expect_drop(sealed(message, "b"), "pair");  // neither of the clients
  EXPECT_EQ(asked(), 0u);
  EXPECT_EQ(receive(50ms).size(), 0u);
}

TEST_F(SealedAllocationTest, AnswersAMessageOnce) {
  know("a");
  send(datagram_of("alloc-request-sealed"));
  EXPECT_EQ(receive(), datagram_of("alloc-response-sealed"));
  send(datagram_of("alloc-request-sealed"));
  EXPECT_TRUE(eventually([&] { return dropped("replay") == 1; }));
  send(sealed(datagram_of("alloc-request")));
  EXPECT_FALSE(receive().empty());
  EXPECT_EQ(asked(), 2u);
}

/// "a" opens what the relay has sealed.
ServerEndpoint opened(Bytes answer) {
  ByteVector room(answer.size());
  return read_allocation_response(open_envelope(*read_envelope(answer), shared_by("a", "server"), room).value())
      ->endpoint;
}

TEST_F(SealedAllocationTest, AnswersWithAtMostTwiceTheBytesOfTheRequest) {
  know("a");
  ServerEndpoint wide = vector_endpoint();
  wide.addresses = {};
  for (std::uint16_t port = 1; port <= 20; ++port) wide.addresses.add({IpAddress::v4(0xc0000201), port});
  for (std::uint16_t port = 21; port <= 32; ++port)
    wide.addresses.add(*Endpoint::parse("[2001:db8::1]:" + std::to_string(port)));
  answer_with(wide);
  for (const std::size_t padding : {0, 10, 100, 300}) {
    ByteVector message = datagram_of("alloc-request");
    message.resize(message.size() + padding);
    const ByteVector request = sealed(message);
    send(request);
    const ByteVector answer = receive();
    EXPECT_LE(answer.size(), 2 * request.size());
    const auto addresses = opened(answer).addresses;
    EXPECT_EQ(addresses.all()[0].port, 1);
    EXPECT_TRUE(addresses.all().back().address.is_v6());
    EXPECT_EQ(addresses, wide.addresses.some(addresses.size()));
    EXPECT_GE(addresses.size(), padding == 0 ? 4u : 5u);
    EXPECT_EQ(addresses == wide.addresses, padding == 300) << padding;
  }
}

TEST(AskerKeys, ForgetsThoseWhoseBoxesHaveNeverOpened) {
  AskerKeys keys;
  const SharedKey shared = shared_by("server", "a");
  const auto key_of = [](std::uint32_t number) {  // all of one row
    DiscoKey out{};
    store_big(MutableBytes(out.bytes).subspan(4), number);
    return out;
  };
  EXPECT_EQ(keys.find(key_of(0)), nullptr);
  for (std::uint32_t i = 0; i < AskerKeys::kWays; ++i) keys.add(key_of(i), shared);
  for (std::uint32_t i = 0; i < AskerKeys::kWays; ++i) {
    ASSERT_NE(keys.find(key_of(i)), nullptr);
    EXPECT_EQ(keys.find(key_of(i))->key, key_of(i));
    if (i != 3) keys.find(key_of(i))->opened_at = SteadyTime(std::chrono::seconds(100 - i));
  }
  for (std::uint32_t i = 1000; i < 2000; ++i) keys.add(key_of(i), shared);
  EXPECT_EQ(keys.find(key_of(3)), nullptr);
  EXPECT_EQ(keys.find(key_of(1998)), nullptr);
  keys.find(key_of(1999))->opened_at = SteadyTime(std::chrono::seconds(200));
  keys.add(key_of(2000), shared);
  EXPECT_EQ(keys.find(key_of(AskerKeys::kWays - 1)), nullptr) << "the one that opened longest ago";
  EXPECT_NE(keys.find(key_of(0)), nullptr);
  EXPECT_NE(keys.find(key_of(1999)), nullptr);
}

TEST_F(SealedAllocationTest, IsSilentAboutRefusals) {
  know("a");
  answer_with(AllocationRefusal{AllocationRefusal::Cause::denied, "no", {}});
  send(datagram_of("alloc-request-sealed"));
  EXPECT_TRUE(eventually([&] { return host.metric("allocations_refused{via=\"disco\",cause=\"denied\"}") == 1; }));
  EXPECT_EQ(receive(50ms).size(), 0u);
}

TEST_F(SealedAllocationTest, BoundsWhatASourceCosts) {
  know("a");
  ByteVector broken = datagram_of("alloc-request-sealed");
  broken.back() ^= std::byte{1};
  constexpr std::uint64_t kSent = 100;
  for (std::uint64_t i = 0; i < kSent; ++i) send(broken);
  EXPECT_TRUE(eventually([&] { return dropped("box") + dropped("limit") == kSent; }));
  EXPECT_GE(dropped("box"), SealedAllocation::kBurstOfSource);
  EXPECT_GE(dropped("limit"), kSent / 2);
}

/// Who knows a client's public key can send in its name from as many sources as it has, and costs that client nothing.
TEST_F(SealedAllocationTest, WhatOthersSendInAKeysNameIsNotChargedToIt) {
  know("a");
  ByteVector broken = datagram_of("alloc-request-sealed");
  broken.back() ^= std::byte{1};
  constexpr std::uint32_t kSources = 16, kEach = 15, kSent = kSources * kEach;
  static_assert(kEach < SealedAllocation::kBurstOfSource && kSent > 5 * SealedAllocation::kBurstOfKey);
  for (std::uint32_t source = 1; source <= kSources; ++source) {
    from(IpAddress::v4(0x7f000100 + source));
    for (std::uint32_t i = 0; i < kEach; ++i) send(broken);
    ASSERT_TRUE(eventually([&] { return dropped("box") == source * kEach; }));
  }
  from(IpAddress::v4(0x7f000001));
  send(sealed(datagram_of("alloc-request")));
  EXPECT_NE(receive().size(), 0u);
}

/// Nor does it cost the lane more than a part of what it has for all, whatever the sources.
TEST_F(SealedAllocationTest, AFloodInOneKeysNameLeavesTheOthersAlone) {
  know("a");
  know("b");
  send(sealed(datagram_of("alloc-request")));
  EXPECT_NE(receive().size(), 0u);
  ByteVector broken = datagram_of("alloc-request-sealed");
  broken.back() ^= std::byte{1};
  constexpr std::uint64_t kSent = 3000, kRate = SealedAllocation::kFalseBoxesOfKey;
  const std::uint64_t passed = flood(kSent, [&](std::uint32_t) { return broken; });
  EXPECT_GE(dropped("box"), FalseBoxes::kSeconds * kRate);
  EXPECT_LE(dropped("box"), (FalseBoxes::kSeconds + passed) * kRate);
  from(IpAddress::v4(0x7f000001));
  send(sealed(datagram_of("alloc-request")));
  EXPECT_NE(receive().size(), 0u) << "the owner, from where it has asked before";
  from(IpAddress::v4(0x7f000002));
  send(sealed(datagram_of("alloc-request"), "b"));
  EXPECT_NE(receive().size(), 0u) << "another key, from wherever it is";
}

/// Each makes the lane forget another, so each of their boxes costs a multiplication on the curve.
TEST_F(SealedAllocationTest, AFloodInTheNamesOfOneRowLeavesNewKeysAlone) {
  know("a");
  ByteVector broken = sealed(datagram_of("alloc-request"));
  std::vector<DiscoKey> keys(3 * AskerKeys::kWays, public_of("b"));
  for (std::uint32_t i = 0; i < keys.size(); ++i) {
    store_big(MutableBytes(keys[i].bytes).subspan(4), i);
    host.set_credential(GH_CREDENTIAL_RELAY_KEY, keys[i].to_hex(), "relay:other");
  }
  constexpr std::uint64_t kRate = SealedAllocation::kFalseBoxesOfKey, kCost = SealedAllocation::kCostOfNewKey;
  constexpr std::uint64_t kSent = 2 * SealedAllocation::kNewKeysOfLane;
  const std::uint64_t passed = flood(kSent, [&](std::uint32_t i) {
    std::ranges::copy(keys[i % keys.size()].bytes, broken.begin() + kDiscoMagicSize);
    return broken;
  });
  const std::uint64_t of_known = AskerKeys::kWays * (kSent / keys.size() + 1);  // these cost less
  EXPECT_LE(dropped("box"), of_known + keys.size() * (FalseBoxes::kSeconds + passed) * kRate / kCost);
  from(IpAddress::v4(0x7f000001));
  send(sealed(datagram_of("alloc-request")));
  EXPECT_NE(receive().size(), 0u) << "a key that is new to the lane";
}

TEST_F(SealedAllocationTest, BoundsWhatAKeysOwnerAsksForWhateverTheSources) {
  know("a");
  know("b");
  constexpr std::uint32_t kSources = 10, kEach = 15, kSent = kSources * kEach;
  static_assert(kEach < SealedAllocation::kBurstOfSource && kSent > 3 * SealedAllocation::kBurstOfKey);
  const SteadyTime began = steady_now();
  for (std::uint32_t source = 1; source <= kSources; ++source) {
    from(IpAddress::v4(0x7f000100 + source));
    for (std::uint32_t i = 0; i < kEach; ++i) send(sealed(datagram_of("alloc-request")));
  }
  EXPECT_TRUE(eventually([&] { return asked() + dropped("limit") == kSent; }));
  const auto passed = std::chrono::ceil<std::chrono::seconds>(steady_now() - began).count();
  EXPECT_GE(asked(), SealedAllocation::kBurstOfKey);
  EXPECT_LE(asked(), SealedAllocation::kBurstOfKey + SealedAllocation::kRateOfKey * static_cast<std::uint64_t>(passed));
  from(IpAddress::v4(0x7f000001));
  send(sealed(datagram_of("alloc-request"), "b"));
  EXPECT_NE(receive().size(), 0u) << "another key is as free as before";
}

/// What a multiplication on the curve costs is bounded, and those that need none go on.
TEST_F(SealedAllocationTest, BoundsHowManyNewKeysALaneTakes) {
  know("a");
  send(sealed(datagram_of("alloc-request")));
  EXPECT_NE(receive().size(), 0u);
  ByteVector broken = sealed(datagram_of("alloc-request"));
  constexpr std::uint32_t kKeys = 1'500;
  static_assert(kKeys > 2 * SealedAllocation::kNewKeysOfLane);
  const std::uint64_t passed = flood(kKeys, [&](std::uint32_t i) {
    DiscoKey key = public_of("b");
    store_big(MutableBytes(key.bytes), i);
    std::ranges::copy(key.bytes, broken.begin() + kDiscoMagicSize);
    host.set_credential(GH_CREDENTIAL_RELAY_KEY, key.to_hex(), "relay:other");
    return broken;
  });
  EXPECT_GE(dropped("box"), SealedAllocation::kNewKeysOfLane - 1) << "one was a's";
  EXPECT_LE(dropped("box"), SealedAllocation::kNewKeysOfLane * (1 + passed));
  from(IpAddress::v4(0x7f000001));
  send(sealed(datagram_of("alloc-request")));
  EXPECT_NE(receive().size(), 0u) << "a key that is known is as free as before";
}

TEST_F(SealedAllocationTest, LetsALaneEndWhileItWaits) {
  know("a");
  hold();
  send(datagram_of("alloc-request-sealed"));
  ASSERT_TRUE(eventually([&] { return asked() == 1; }));
  plugin->stop();
  for (const auto& then : desk.kept) then(vector_endpoint());
}

}  // namespace
}  // namespace gatehouse::geneve_relay
