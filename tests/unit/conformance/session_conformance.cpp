#include "tests/unit/conformance/session_conformance.hpp"

#include <set>
#include <thread>

namespace gatehouse::conformance {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::UnorderedElementsAre;

TEST_P(SessionConformance, ANewSessionHasAnIdAndEmptyCells) {
  const gh_session first = opened("a");
  EXPECT_NE(first.id, 0u);
  EXPECT_EQ(first.resumed, 0u);
  ASSERT_NE(first.cells, nullptr);
  EXPECT_EQ(first.cells->bytes_up + first.cells->bytes_down + first.cells->packets_up + first.cells->packets_down, 0u);
  EXPECT_EQ(opening(first.cells), first.opening);
}

TEST_P(SessionConformance, AKeyResumesWithWhatWasKept) {
  const gh_session first = opened("a", "token:bob", "state");
  gh_session again = asked("a", "token:bob", "ignored");
  again.blob_version = 9;
  again.source = to_border(*Endpoint::parse("[2001:db8::1]:6"));  // clients roam
  ASSERT_EQ(open(*plugin, again), GH_OK);
  EXPECT_EQ(again.id, first.id);
  EXPECT_EQ(again.resumed, 1u);
  EXPECT_EQ(from_border(again.blob), "state");
  EXPECT_EQ(again.blob_version, 3u);
  EXPECT_THAT(kept(*plugin).sources, ElementsAre("[2001:db8::1]:6"));
}

TEST_P(SessionConformance, AKeyBelongsToItsIdentityAndPlugin) {
  const gh_session bobs = opened(secret);
  EXPECT_NE(opened(secret, "token:eve").id, bobs.id);
  EXPECT_NE(opened(secret, "").id, bobs.id);
  gh_session relays = asked(secret);
  ASSERT_EQ(open(*other_plugin, relays), GH_OK);
  EXPECT_EQ(relays.resumed, 0u);
  EXPECT_NE(relays.id, bobs.id);
  EXPECT_EQ(kept(*plugin).ids.size(), 3u);
  EXPECT_EQ(end(*plugin, relays.id), GH_E_NOT_FOUND);
  EXPECT_EQ(lease(relays.id, "a"), GH_E_NOT_FOUND);
}

TEST_P(SessionConformance, WithoutAKeyEachIsNewAndEndsWithItsInstance) {
  const gh_session first = opened(""), second = opened("", "");
  EXPECT_NE(first.id, second.id);
  EXPECT_EQ(second.resumed, 0u);
  EXPECT_EQ(lease(first.id, "10.0.0.2"), GH_OK);
  const auto next = host->plugin("tunnel");  // of another instance, which runs beside the first
  plugin.reset();
  EXPECT_THAT(kept(*next).ids, IsEmpty());
  gh_session third = asked("");
  ASSERT_EQ(open(*next, third), GH_OK);
  EXPECT_EQ(lease(*next, third.id, "10.0.0.2"), GH_OK);
}

TEST_P(SessionConformance, ASessionWithAKeyOutlivesItsInstance) {
  const gh_session first = opened("a", "token:bob", "state");
  plugin.reset();
  plugin = host->plugin("tunnel");
  const gh_session again = opened("a");
  EXPECT_EQ(again.id, first.id);
  EXPECT_EQ(from_border(again.blob), "state");
}

TEST_P(SessionConformance, KeysAndBlobsHaveBounds) {
  const std::string key(255, 'k'), blob(4096, 'b');
  EXPECT_EQ(from_border(opened(key, "token:bob", blob).identity), "token:bob");
  EXPECT_EQ(opened(key).resumed, 1u);
  const std::string long_key = key + 'k', long_blob = blob + 'b', short_secret = secret.substr(1);
  for (gh_session wrong : {asked(long_key), asked("b", "token:bob", long_blob), asked(short_secret, "")}) {
    const gh_completion durable = told.completion();
    EXPECT_EQ(open(*plugin, wrong, &durable), GH_E_INVALID);
  }
  EXPECT_EQ(opened(secret, "").resumed, 0u);
  gh_session touched = opened("b");
  touched.blob = to_border(long_blob);
  EXPECT_EQ(touch(touched), GH_E_INVALID);
  host->flush();
  EXPECT_THAT(told.calls(), IsEmpty()) << "a call that fails completes nothing";
}

TEST_P(SessionConformance, EachOpeningIsSeenByTheOneBefore) {
  const gh_session first = opened("a");
  count(first.cells, 10);
  gh_session second = asked("a");
  ASSERT_EQ(open(*plugin, second, nullptr, 1), GH_OK);
  EXPECT_NE(opening(first.cells), first.opening);
  EXPECT_EQ(opening(second.cells), second.opening);
  EXPECT_EQ(second.cells->bytes_up, 10u) << "counts go on";
  EXPECT_EQ(second.cells->packets_down, 13u);
}

TEST_P(SessionConformance, AnEndedSessionIsOver) {
  const gh_session first = opened("a", "token:bob", "state");
  EXPECT_EQ(lease(first.id, "10.0.0.2"), GH_OK);
  EXPECT_EQ(end(*plugin, first.id), GH_OK);
  EXPECT_NE(opening(first.cells), first.opening);
  EXPECT_EQ(end(*plugin, first.id), GH_E_NOT_FOUND);
  EXPECT_EQ(touch(first), GH_E_NOT_FOUND);
  EXPECT_EQ(lease(first.id, "10.0.0.3"), GH_E_NOT_FOUND);
  EXPECT_THAT(kept(*plugin).ids, IsEmpty());
  const gh_session next = opened("a");
  EXPECT_NE(next.id, first.id);
  EXPECT_EQ(next.resumed, 0u);
  EXPECT_EQ(next.cells->bytes_up, 0u);
  EXPECT_EQ(lease(opened("b").id, "10.0.0.2"), GH_OK) << "its leases are free";
}

TEST_P(SessionConformance, ATouchTellsTheSourceAndMaybeTheBlob) {
  gh_session session = opened("a", "token:bob", "state");
  session.source = to_border(*Endpoint::parse("198.51.100.1:7"));
  session.blob = {};
  session.blob_version = 9;
  const gh_completion durable = told.completion(4);
  EXPECT_EQ(touch(session, &durable), GH_OK);
  EXPECT_THAT(told.wait_for(1), ElementsAre(Told::Call{4, GH_OK}));
  EXPECT_THAT(kept(*plugin).blobs, ElementsAre("state"));
  EXPECT_THAT(kept(*plugin).versions, ElementsAre(3u));
  EXPECT_THAT(kept(*plugin).sources, ElementsAre("198.51.100.1:7"));
  session.blob = to_border("");
  EXPECT_EQ(touch(session), GH_OK);
  EXPECT_THAT(kept(*plugin).blobs, ElementsAre(""));
  EXPECT_THAT(kept(*plugin).versions, ElementsAre(9u));
}

TEST_P(SessionConformance, ALeaseIsExclusive) {
  const std::uint64_t first = opened("a").id, second = opened("b").id;
  EXPECT_EQ(lease(first, "10.0.0.2"), GH_OK);
  EXPECT_EQ(lease(second, "10.0.0.2"), GH_E_EXISTS);
  EXPECT_EQ(release(second, "10.0.0.2"), GH_E_NOT_FOUND);
  EXPECT_EQ(lease(first, "10.0.0.2", host->now() + 60), GH_OK) << "renewed";
  EXPECT_THAT(kept(*plugin).expiries, ElementsAre(host->now() + 60));
  EXPECT_EQ(release(first, "10.0.0.2"), GH_OK);
  EXPECT_EQ(release(first, "10.0.0.2"), GH_E_NOT_FOUND);
  EXPECT_EQ(lease(second, "10.0.0.2"), GH_OK);
  gh_session relays = asked("a");
  ASSERT_EQ(open(*other_plugin, relays), GH_OK);
  EXPECT_EQ(lease(*other_plugin, relays.id, "10.0.0.2"), GH_OK) << "another plugin's resources are others";
}

TEST_P(SessionConformance, ALeaseNeedsASessionAndAName) {
  const std::uint64_t session = opened("a").id;
  const std::string name(255, 'r'), long_name = name + 'r';
  const gh_completion durable = told.completion();
  EXPECT_EQ(lease(session + 1000, "10.0.0.2", 0, &durable), GH_E_NOT_FOUND);
  EXPECT_EQ(lease(session, "", 0, &durable), GH_E_INVALID);
  EXPECT_EQ(lease(session, long_name, 0, &durable), GH_E_INVALID);
  host->flush();
  EXPECT_THAT(told.calls(), IsEmpty());
  EXPECT_EQ(lease(session, name), GH_OK);
}

TEST_P(SessionConformance, ASessionHoldsABoundedNumberOfLeases) {
  const std::uint64_t first = opened("a").id, second = opened("b").id;
  for (int i = 0; i < 4096; ++i) ASSERT_EQ(lease(first, "vni:" + std::to_string(i)), GH_OK);
  EXPECT_EQ(lease(first, "vni:4096"), GH_E_LIMIT);
  EXPECT_EQ(lease(second, "vni:4096"), GH_OK);
  EXPECT_EQ(lease(first, "vni:7"), GH_OK) << "renewed";
  EXPECT_EQ(release(first, "vni:7"), GH_OK);
  EXPECT_EQ(lease(first, "vni:4097"), GH_OK);
}

TEST_P(SessionConformance, AnExpiredLeaseIsFree) {
  const std::uint64_t first = opened("a").id, second = opened("b").id;
  EXPECT_EQ(lease(first, "short", host->now() + 60), GH_OK);
  EXPECT_EQ(lease(first, "renewed", host->now() + 60), GH_OK);
  EXPECT_EQ(lease(first, "lasting"), GH_OK);
  host->pass(std::chrono::seconds(30));
  EXPECT_EQ(lease(first, "renewed", host->now() + 60), GH_OK);
  EXPECT_EQ(lease(second, "short"), GH_E_EXISTS);
  host->pass(std::chrono::seconds(31));
  EXPECT_EQ(lease(second, "short"), GH_OK);
  EXPECT_EQ(lease(first, "short"), GH_E_EXISTS);
  EXPECT_EQ(lease(second, "renewed"), GH_E_EXISTS);
  EXPECT_EQ(lease(second, "lasting"), GH_E_EXISTS);
}

TEST_P(SessionConformance, DurableComesOnceAndNotBeforeTheDisk) {
  host->stall(true);
  const gh_completion one = told.completion(1), two = told.completion(2), three = told.completion(3);
  gh_session session = asked("a");
  ASSERT_EQ(open(*plugin, session, &one), GH_OK);
  EXPECT_EQ(lease(session.id, "10.0.0.2", 0, &two), GH_OK);
  EXPECT_EQ(touch(session, &three), GH_OK);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // more than a group of commits takes
  EXPECT_THAT(told.calls(), IsEmpty());
  host->stall(false);
  host->flush();
  EXPECT_THAT(told.calls(), UnorderedElementsAre(Told::Call{1, GH_OK}, Told::Call{2, GH_OK}, Told::Call{3, GH_OK}));
}

TEST_P(SessionConformance, NobodyIsToldAfterDestroy) {
  host->stall(true);
  const gh_completion durable = told.completion();
  gh_session session = asked("a");
  ASSERT_EQ(open(*plugin, session, &durable), GH_OK);
  plugin.reset();
  host->stall(false);
  host->flush();
  EXPECT_THAT(told.calls(), IsEmpty());
}

TEST_P(SessionConformance, WhatThereIsGoesOnWhileNothingNewIsTaken) {
  const gh_session session = opened("a");
  EXPECT_EQ(lease(session.id, "10.0.0.2"), GH_OK);
  host->flush();
  if (!host->fail(true)) GTEST_SKIP() << "a host whose disk never fails";
  const auto go_on = [&](std::uint64_t token) {
    const gh_completion one = told.completion(token), two = told.completion(token + 1),
                        three = told.completion(token + 2);
    gh_session again = asked("a");
    EXPECT_EQ(open(*plugin, again, &one), GH_OK);
    EXPECT_EQ(touch(session, &two), GH_OK);
    EXPECT_EQ(lease(session.id, "10.0.0.2", host->now() + 60, &three), GH_OK);
  };
  const gh_completion refused = told.completion(0);
  go_on(1);
  const gh_status late = lease(session.id, "10.0.0.3", 0, &refused);  // of which nobody may know yet
  EXPECT_THAT(told.wait_for(late == GH_OK ? 4 : 3), IsSupersetOf({Told::Call{1, GH_OK}, {2, GH_OK}, {3, GH_OK}}));
  if (late == GH_OK) {
    EXPECT_THAT(told.calls(), Contains(Told::Call{0, GH_E_IO}));
  } else {
    EXPECT_EQ(late, GH_E_IO);
  }
  const std::size_t before = told.calls().size();
  go_on(4);
  EXPECT_THAT(told.calls(), IsSupersetOf({Told::Call{4, GH_OK}, {5, GH_OK}, {6, GH_OK}})) << "within the call";
  EXPECT_EQ(told.calls().size(), before + 3);
  EXPECT_EQ(lease(session.id, "10.0.0.4", 0, &refused), GH_E_IO);
  gh_session fresh = asked("b");
  EXPECT_EQ(open(*plugin, fresh, &refused), GH_E_IO);
  EXPECT_TRUE(host->fail(false));
  host->flush();
  EXPECT_EQ(told.calls().size(), before + 3);
  EXPECT_EQ(opened("b").resumed, 0u);
}

TEST_P(SessionConformance, ACrashKeepsWhatWasDurable) {
  const gh_session first = opened(secret, "", "state"), bobs = opened("b");
  EXPECT_EQ(lease(first.id, "10.0.0.2"), GH_OK);
  EXPECT_EQ(lease(bobs.id, "10.0.0.3", host->now() + 60), GH_OK);
  EXPECT_EQ(lease(bobs.id, "10.0.0.4"), GH_OK);
  EXPECT_EQ(release(bobs.id, "10.0.0.4"), GH_OK);
  EXPECT_EQ(lease(opened("").id, "10.0.0.5"), GH_OK);
  const gh_session ended = opened("c");
  EXPECT_EQ(end(*plugin, ended.id), GH_OK);
  count(first.cells, 10);
  host->flush();
  crash();

  const Kept all = kept(*plugin);
  EXPECT_THAT(all.ids, UnorderedElementsAre(first.id, bobs.id));
  EXPECT_THAT(all.identities, UnorderedElementsAre("", "token:bob"));
  EXPECT_THAT(all.leases, UnorderedElementsAre("10.0.0.2", "10.0.0.3"));
  EXPECT_THAT(all.holders, UnorderedElementsAre(first.id, bobs.id));
  const gh_session again = opened(secret, "");
  EXPECT_EQ(again.id, first.id);
  EXPECT_EQ(again.resumed, 1u);
  EXPECT_EQ(from_border(again.blob), "state");
  EXPECT_EQ(again.blob_version, 3u);
  EXPECT_EQ(again.cells->bytes_up, 10u);
  EXPECT_EQ(again.cells->bytes_down, 11u);
  EXPECT_EQ(opening(again.cells), again.opening);
  const std::uint64_t newcomer = opened("n").id;
  EXPECT_EQ(lease(newcomer, "10.0.0.2"), GH_E_EXISTS);
  EXPECT_EQ(lease(newcomer, "10.0.0.3"), GH_E_EXISTS);
  EXPECT_EQ(lease(newcomer, "10.0.0.4"), GH_OK);
  EXPECT_EQ(lease(newcomer, "10.0.0.5"), GH_OK) << "its session ended with the process";
  EXPECT_EQ(opened("c").resumed, 0u);
}

TEST_P(SessionConformance, AnIdIsNeverUsedTwice) {
  std::set<std::uint64_t> seen{opened("a").id, opened("").id};
  host->flush();
  host->stall(true);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(seen.insert(opened("").id).second);
  crash();  // of those, the disk knows nothing
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(seen.insert(opened("").id).second);
}

TEST_P(SessionConformance, AnAnonymousKeyIsKeptAsItsSha256) {
  opened(secret, "");
  opened("open", "unix:bob");
  const std::string hash =
      "\x5e\x31\x8f\x8c\xf9\xcb\xe2\x49\xa3\x08\x12\xb8\xca\x13\x2d\x69\x1d\xed\x7a\x91\x99\x14\x13\x55\x8d\xb5\x75"
      "\x85\x75\xf5\xe0\x1f";  // of "kk...k"
  EXPECT_THAT(kept(*plugin).keys, UnorderedElementsAre(hash, "open"));
  EXPECT_THAT(kept(*other_plugin).keys, IsEmpty());
}

TEST_P(SessionConformance, OfTwoLanesThatWantAResourceOneGetsIt) {
  const std::uint64_t sessions[] = {opened("a").id, opened("b").id};
  constexpr int kResources = 2000;
  std::vector<std::atomic<int>> holders(kResources);
  std::vector<std::thread> lanes;
  for (unsigned lane = 0; lane < 2; ++lane)
    lanes.emplace_back([&, lane] {
      for (int i = 0; i < kResources; ++i) {
        const gh_completion durable = told.completion(lane);
        if (lease(*plugin, sessions[lane], "vni:" + std::to_string(i), 0, &durable, lane) == GH_OK) ++holders[i];
      }
    });
  for (std::thread& lane : lanes) lane.join();
  EXPECT_TRUE(std::all_of(holders.begin(), holders.end(), [](const auto& count) { return count == 1; }));
  EXPECT_EQ(told.wait_for(kResources).size(), static_cast<std::size_t>(kResources));
  EXPECT_EQ(kept(*plugin).leases.size(), static_cast<std::size_t>(kResources));
}

TEST_P(SessionConformance, StructsThatAreSmallerThanThoseOf1_0AreRefused) {
  gh_session small = opened("a");
  small.struct_size = GH_SIZE_1_0(gh_session) - 1;
  EXPECT_EQ(touch(small), GH_E_INVALID);
  gh_session asks = asked("a");
  asks.struct_size = small.struct_size;
  EXPECT_EQ(open(*plugin, asks), GH_E_INVALID);
  const gh_sessions& sessions = plugin->sessions();
  EXPECT_EQ(sessions.find(sessions.context, plugin->lane(0), &asks, nullptr), GH_E_INVALID);
  EXPECT_EQ(sessions.adopt(sessions.context, plugin->lane(0), &small), GH_E_INVALID);
  const gh_lease wanted{GH_SIZE_1_0(gh_lease) - 1, 0, to_border("10.0.0.2"), small.id, 0};
  EXPECT_EQ(sessions.lease(sessions.context, plugin->lane(0), &wanted, nullptr), GH_E_INVALID);
}

}  // namespace
}  // namespace gatehouse::conformance
