#include "plugins/geneve-relay/allocation/advertised_addresses.hpp"

#include "plugins/geneve-relay/wire/random_pool.hpp"
#include "tests/unit/geneve-relay/vectors.hpp"

#include <gmock/gmock.h>

namespace gatehouse::geneve_relay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Endpoint at(const char* text) { return Endpoint::parse(text).value(); }
IpAddress address(const char* text) { return IpAddress::parse(text).value(); }

std::vector<std::string> texts(const AddressList& list) {
  std::vector<std::string> out;
  for (const Endpoint& one : list.all()) out.push_back(one.to_string());
  return out;
}

/// What a server answers to `request`.
ByteVector response_to(const AdvertisedAddresses::StunRequest& request, const Endpoint& seen) {
  ByteVector out = hex("0101000c|2112a442|000000000000000000000000|00010008|0001|0000|00000000");
  std::copy(request.datagram.begin() + 8, request.datagram.begin() + 20, out.begin() + 8);
  out[26] = static_cast<std::byte>(seen.port >> 8);
  out[27] = static_cast<std::byte>(seen.port & 0xff);
  std::ranges::copy(seen.address.bytes(), out.begin() + 28);
  return out;
}

class AdvertisedAddressesTest : public testing::Test {
 protected:
  AdvertisedAddresses make(AdvertisedSettings settings, std::vector<Endpoint> sockets) {
    return {std::move(settings), std::move(sockets)};
  }
  RandomPool random;
  const std::vector<Endpoint> wildcards{at("[::]:7001"), at("0.0.0.0:7000")};
  const std::vector<IpAddress> machine{address("127.0.0.1"), address("2001:db8::1"), address("192.0.2.1"),
                                       address("::1"), address("192.0.2.2")};
};

TEST_F(AdvertisedAddressesTest, AreTheInterfacesWithEachFamilysPort) {
  auto addresses = make({}, wildcards);
  EXPECT_THAT(texts(addresses.current()), IsEmpty()) << "not ready";
  addresses.set_interfaces(machine);
  EXPECT_THAT(texts(addresses.current()), ElementsAre("192.0.2.1:7000", "192.0.2.2:7000", "[2001:db8::1]:7001"));
  addresses.set_interfaces({address("192.0.2.2")});
  EXPECT_THAT(texts(addresses.current()), ElementsAre("192.0.2.2:7000"));
}

TEST_F(AdvertisedAddressesTest, AreOfASocketWhereItIsBound) {
  auto addresses = make({}, {at("127.0.0.1:7000"), at("[2001:db8::7]:7001")});
  addresses.set_interfaces(machine);
  EXPECT_THAT(texts(addresses.current()), ElementsAre("127.0.0.1:7000", "[2001:db8::7]:7001"));
  addresses.set_sockets({});
  EXPECT_THAT(texts(addresses.current()), IsEmpty());
}

TEST_F(AdvertisedAddressesTest, AreWhatIsConfigured) {
  auto addresses = make({.advertise = {at("203.0.113.1:1"), at("203.0.113.1:1"), at("[2001:db8::9]:2")}}, wildcards);
  addresses.set_interfaces(machine);
  EXPECT_THAT(texts(addresses.current()), ElementsAre("203.0.113.1:1", "[2001:db8::9]:2"));
  addresses.configure({});
  EXPECT_EQ(addresses.current().size(), 3u);
}

TEST_F(AdvertisedAddressesTest, AreBounded) {
  auto addresses = make({}, wildcards);
  std::vector<IpAddress> many;
  for (std::uint32_t i = 0; i < 100; ++i) many.push_back(IpAddress::v4(0xc0000200 + i));
  addresses.set_interfaces(many);
  EXPECT_EQ(addresses.current().size(), AddressList::kMost);
}

class StunTest : public AdvertisedAddressesTest {
 protected:
  StunTest() {
    std::vector<Endpoint> servers{one, other};
    addresses.configure({.advertise = {}, .stun_servers = servers});
  }
  const Endpoint one = at("198.51.100.1:3478"), other = at("198.51.100.2:3478");
  AdvertisedAddresses addresses = make({}, wildcards);
};

TEST_F(StunTest, OffersWhatServersSee) {
  const auto requests = addresses.begin_round(random);
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].server, one);
  for (const auto& request : requests)
    addresses.take_stun(response_to(request, at("203.0.113.5:41100")), request.server);
  EXPECT_THAT(texts(addresses.current()), ElementsAre("203.0.113.5:41100"));
}

TEST_F(StunTest, OffersThePortItselfBehindAHardNat) {
  const auto requests = addresses.begin_round(random);
  addresses.take_stun(response_to(requests[0], at("203.0.113.5:41100")), one);
  addresses.take_stun(response_to(requests[1], at("203.0.113.5:41101")), other);
  EXPECT_THAT(texts(addresses.current()), ElementsAre("203.0.113.5:41100", "203.0.113.5:41101", "203.0.113.5:7000"));
}

TEST_F(StunTest, ForgetsWhatNoServerSeesAnyMore) {
  const auto requests = addresses.begin_round(random);
  addresses.take_stun(response_to(requests[0], at("203.0.113.5:41100")), one);
  static_cast<void>(addresses.begin_round(random));
  EXPECT_EQ(addresses.current().size(), 1u);
  static_cast<void>(addresses.begin_round(random));
  EXPECT_EQ(addresses.current().size(), 0u);
}

TEST_F(StunTest, BelievesNobodyElse) {
  const auto requests = addresses.begin_round(random);
  const ByteVector response = response_to(requests[0], at("203.0.113.5:41100"));
  addresses.take_stun(response, other);
  addresses.take_stun(response, at("198.51.100.1:3479"));
  for (std::size_t i = 8; i < 20; ++i) {
    ByteVector guessed = response;
    guessed[i] ^= std::byte{1};
    addresses.take_stun(guessed, one);
  }
  addresses.take_stun(datagram_of("stun-response"), one);
  EXPECT_EQ(addresses.current().size(), 0u);
  addresses.take_stun(response, one);
  EXPECT_EQ(addresses.current().size(), 1u);
  addresses.take_stun(response_to(requests[0], at("203.0.113.6:41100")), one);
  EXPECT_THAT(texts(addresses.current()), ElementsAre("203.0.113.5:41100")) << "answered once already";
}

TEST_F(StunTest, AsksEachTimeByATransactionThatNobodyCanForetell) {
  std::vector<ByteVector> halves;
  for (int round = 0; round < 20; ++round) {
    for (const auto& request : addresses.begin_round(random)) {
      const auto transaction = Bytes(request.datagram).subspan(8, 12);
      for (const Bytes half : {transaction.first(6), transaction.last(6)})
        halves.emplace_back(half.begin(), half.end());
    }
  }
  std::ranges::sort(halves);
  EXPECT_TRUE(std::ranges::adjacent_find(halves) == halves.end());
  EXPECT_EQ(halves.size(), 80u);
}

TEST_F(StunTest, KeepsAsManyQuestionsAsItHasPlacesFor) {
  std::vector<AdvertisedAddresses::StunRequest> requests;
  for (std::size_t i = 0; i < StunTransactions::kMost; ++i)
    for (const auto& request : addresses.begin_round(random)) requests.push_back(request);
  addresses.take_stun(response_to(requests.front(), at("203.0.113.5:41100")), requests.front().server);
  EXPECT_EQ(addresses.current().size(), 0u) << "too long ago";
  addresses.take_stun(response_to(requests.back(), at("203.0.113.5:41100")), requests.back().server);
  EXPECT_EQ(addresses.current().size(), 1u);
}

TEST_F(StunTest, ForgetsServersThatAreConfiguredNoMore) {
  const auto requests = addresses.begin_round(random);
  addresses.take_stun(response_to(requests[0], at("203.0.113.5:41100")), one);
  addresses.configure({});
  EXPECT_EQ(addresses.current().size(), 0u);
}

}  // namespace
}  // namespace gatehouse::geneve_relay
