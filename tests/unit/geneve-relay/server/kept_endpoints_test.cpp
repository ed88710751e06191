#include "plugins/geneve-relay/server/kept_endpoints.hpp"

#include <gtest/gtest.h>

#include <set>

namespace gatehouse::geneve_relay {
namespace {

KeptEndpoint kept(std::uint32_t vni) {
  KeptEndpoint out;
  out.session = 1000 + vni;
  out.blob.vni = vni;
  return out;
}

/// Says what it was asked to serve, and refuses some.
struct Server {
  std::multiset<std::uint32_t> asked;
  std::set<std::uint32_t> refused;

  bool operator()(const KeptEndpoint& one) {
    asked.insert(one.blob.vni);
    return !refused.contains(one.blob.vni);
  }
};

class Kept : public testing::Test {
 protected:
  Kept() {
    for (std::uint32_t vni = 1; vni <= 10; ++vni) endpoints_.add(kept(vni));
    endpoints_.begin();
  }
  bool serve_some(std::size_t most) {
    return endpoints_.serve_some(most, [this](const KeptEndpoint& one) { return server_(one); });
  }
  void serve(std::uint32_t vni) {
    endpoints_.serve(vni, [this](const KeptEndpoint& one) { return server_(one); });
  }

  KeptEndpoints endpoints_;
  Server server_;
};

TEST_F(Kept, ComeInSlicesOnceEach) {
  EXPECT_FALSE(serve_some(4));
  EXPECT_EQ(server_.asked.size(), 4u);
  EXPECT_FALSE(serve_some(4));
  EXPECT_TRUE(serve_some(4));
  for (std::uint32_t vni = 1; vni <= 10; ++vni) EXPECT_EQ(server_.asked.count(vni), 1u) << vni;
  EXPECT_TRUE(endpoints_.empty());
}

TEST_F(Kept, WhatIsWantedComesBeforeItsTurnAndNotAgain) {
  serve(9);
  EXPECT_EQ(server_.asked, (std::multiset<std::uint32_t>{9}));
  serve(9);
  serve(11);
  EXPECT_TRUE(serve_some(100));
  for (std::uint32_t vni = 1; vni <= 10; ++vni) EXPECT_EQ(server_.asked.count(vni), 1u) << vni;
}

TEST_F(Kept, TheirTurnIsCountedDown) {
  server_.refused = {1, 8};
  EXPECT_EQ(endpoints_.waiting(), 10u);
  serve(9);
  serve(9);
  serve(8);
  EXPECT_EQ(endpoints_.waiting(), 9u) << "what was refused has its turn yet";
  serve(7);
  EXPECT_EQ(endpoints_.waiting(), 8u);
  EXPECT_FALSE(serve_some(4));
  EXPECT_EQ(endpoints_.waiting(), 4u);
  serve(1);
  EXPECT_EQ(endpoints_.waiting(), 4u) << "it had its turn";
  serve(5);
  EXPECT_EQ(endpoints_.waiting(), 3u) << "it was the next";
  EXPECT_TRUE(serve_some(100));
  EXPECT_EQ(endpoints_.waiting(), 0u);
  endpoints_.begin();
  EXPECT_EQ(endpoints_.waiting(), 2u);
}

/// Whoever adds one has its names for the call alone.
TEST_F(Kept, HaveTheirNamesForThemselves) {
  KeptEndpoints all;
  for (std::uint32_t vni = 1; vni <= 100; ++vni) {
    std::string identity = "token:somebody-with-a-name-" + std::to_string(vni % 2), listener = "listen 192.0.2.1:7500";
    KeptEndpoint one = kept(vni);
    one.identity = identity;
    one.blob.listener = listener;
    all.add(one);
    identity.assign(identity.size(), '-');
    listener.assign(listener.size(), '-');
  }
  std::set<const char*> identities;
  const auto serve = [&](const KeptEndpoint& one) {
    EXPECT_EQ(one.identity, "token:somebody-with-a-name-" + std::to_string(one.blob.vni % 2));
    EXPECT_EQ(one.blob.listener, "listen 192.0.2.1:7500");
    identities.insert(one.identity.data());
    return one.blob.vni != 7;
  };
  all.begin();
  EXPECT_TRUE(all.serve_some(1000, serve));
  EXPECT_EQ(identities.size(), 2u) << "once each";
  all.begin();
  EXPECT_EQ(all.waiting(), 1u);
  EXPECT_TRUE(all.serve_some(1000, serve));
}

TEST_F(Kept, AreNoMoreThanWereAdded) {
  KeptEndpoints none;
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(none.waiting(), 0u);
  EXPECT_TRUE(none.serve_some(1, [](const KeptEndpoint&) { return true; })) << "a round of none is over at once";
  none.add(kept(1));
  none.add(kept(2));
  EXPECT_FALSE(none.empty());
  EXPECT_EQ(none.waiting(), 2u) << "before the first round";
  none.serve(1, [](const KeptEndpoint&) { return true; });
  EXPECT_EQ(none.waiting(), 1u);
}

TEST_F(Kept, OneThatIsNoSessionIsServed) {
  KeptEndpoint served;
  served.blob.vni = 11;
  endpoints_.add(served);
  endpoints_.begin();
  EXPECT_EQ(endpoints_.waiting(), 10u);
  serve(11);
  EXPECT_TRUE(serve_some(100));
  EXPECT_EQ(server_.asked.count(11), 0u);
}

// A round that is over has no turn left for whoever is served at last.
TEST_F(Kept, WhatIsServedBetweenRoundsWasNotWaiting) {
  server_.refused = {3, 8, 10};
  EXPECT_TRUE(serve_some(100));
  server_.refused = {};
  serve(8);
  EXPECT_EQ(endpoints_.waiting(), 0u);
  endpoints_.begin();
  EXPECT_EQ(endpoints_.waiting(), 2u);
  EXPECT_FALSE(serve_some(1));
  EXPECT_EQ(endpoints_.waiting(), 1u);
  EXPECT_TRUE(serve_some(2));
  EXPECT_TRUE(endpoints_.empty());
}

TEST_F(Kept, WhatIsAddedBetweenRoundsWaits) {
  server_.refused = {3, 8, 10};
  EXPECT_TRUE(serve_some(100));
  endpoints_.add(kept(20));
  EXPECT_EQ(endpoints_.waiting(), 1u);
  serve(20);
  EXPECT_EQ(endpoints_.waiting(), 0u);
}

TEST_F(Kept, AreFoundByTheirVniAlsoWhenOnlyOneHasGone) {
  for (std::uint32_t vni = 2; vni <= 10; ++vni) server_.refused.insert(vni);
  EXPECT_TRUE(serve_some(100));
  server_ = {};
  serve(3);
  EXPECT_EQ(server_.asked, (std::multiset<std::uint32_t>{3}));
}

TEST_F(Kept, WhatIsRefusedStaysForTheNextRound) {
  server_.refused = {3, 8};
  EXPECT_TRUE(serve_some(100));
  EXPECT_FALSE(endpoints_.empty());
  server_ = {};
  endpoints_.begin();
  serve(8);
  EXPECT_TRUE(serve_some(100));
  EXPECT_EQ(server_.asked, (std::multiset<std::uint32_t>{3, 8}));
  EXPECT_TRUE(endpoints_.empty());
}

}  // namespace
}  // namespace gatehouse::geneve_relay
