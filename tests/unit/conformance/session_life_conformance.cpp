// Looking a session up, taking it over without its client, and its end by the clock.
#include "tests/unit/conformance/session_conformance.hpp"

namespace gatehouse::conformance {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

gh_status find(PluginHost& at, gh_session& session, unsigned lane = 0) {
  return at.sessions().find(at.sessions().context, at.lane(lane), &session, nullptr);
}

gh_status adopt(PluginHost& at, gh_session& session, unsigned lane = 0) {
  return at.sessions().adopt(at.sessions().context, at.lane(lane), &session);
}

gh_status counts(PluginHost& at, std::uint64_t id, std::uint64_t*& out) {
  return at.sessions().counts(at.sessions().context, at.lane(0), id, &out);
}

gh_session of_id(std::uint64_t id) {
  gh_session out{};
  out.struct_size = sizeof out;
  out.id = id;
  return out;
}

TEST_P(SessionConformance, AFoundSessionTellsWhatThereIsAndDisplacesNobody) {
  gh_session held = asked("a", "token:bob", "state");
  ASSERT_EQ(open(*plugin, held, nullptr, 1), GH_OK);
  host->pass(std::chrono::seconds(60));
  gh_session found = asked("a");
  ASSERT_EQ(find(*plugin, found), GH_OK);
  EXPECT_EQ(found.id, held.id);
  EXPECT_EQ(found.lane, 1u);
  EXPECT_EQ(from_border(found.blob), "state");
  EXPECT_EQ(found.blob_version, 3u);
  EXPECT_EQ(found.expires_unix, GH_EXPIRY_NEVER);
  EXPECT_NEAR(static_cast<double>(found.last_seen_unix), static_cast<double>(host->now() - 60), 5);
  EXPECT_EQ(opening(held.cells), held.opening) << "its holder still has it";
}

TEST_P(SessionConformance, IsNotThereForOthers) {
  opened("a");
  gh_session another = asked("a", "token:eve"), unknown = asked("b"), short_secret = asked("a", ""), none = asked("");
  EXPECT_EQ(find(*plugin, another), GH_E_NOT_FOUND);
  EXPECT_EQ(find(*plugin, unknown), GH_E_NOT_FOUND);
  EXPECT_EQ(find(*plugin, short_secret), GH_E_INVALID);
  EXPECT_EQ(find(*plugin, none), GH_E_INVALID);
  gh_session relays = asked("a");
  EXPECT_EQ(find(*other_plugin, relays), GH_E_NOT_FOUND);
}

TEST_P(SessionConformance, HasALaneOnlyOfItsOwnInstance) {
  opened("a");
  host->flush();
  const auto next = host->plugin("tunnel");
  gh_session found = asked("a");
  ASSERT_EQ(find(*next, found), GH_OK);
  EXPECT_EQ(found.lane, UINT32_MAX);
}

TEST_P(SessionConformance, IsAdoptedWithoutItsSecretAfterACrash) {
  gh_session first = asked(secret, "", "state");
  ASSERT_EQ(open(*plugin, first), GH_OK);
  host->flush();
  crash();
  gh_session taken = of_id(first.id);
  ASSERT_EQ(adopt(*plugin, taken, 1), GH_OK);
  EXPECT_EQ(taken.resumed, 1u);
  EXPECT_EQ(taken.key.size, 32u) << "the SHA-256 of an anonymous client's key";
  EXPECT_EQ(from_border(taken.blob), "state");
  EXPECT_EQ(from_border(taken.source).to_string(), "192.0.2.1:5");
  EXPECT_EQ(opening(taken.cells), taken.opening);
  gh_session again = of_id(first.id);
  EXPECT_EQ(adopt(*plugin, again), GH_E_STATE) << "a lane of this instance has it";
  gh_session client = asked(secret, "");
  ASSERT_EQ(open(*plugin, client), GH_OK);
  EXPECT_EQ(client.id, first.id);
  EXPECT_EQ(client.lane, 1u);
  EXPECT_NE(opening(taken.cells), taken.opening) << "the client has come";
}

TEST_P(SessionConformance, IsAdoptedFromAnOlderInstanceAlsoWithoutAKey) {
  const gh_session keyless = opened("");
  auto next = host->plugin("tunnel");
  gh_session taken = of_id(keyless.id);
  ASSERT_EQ(adopt(*next, taken), GH_OK);
  EXPECT_NE(opening(keyless.cells), keyless.opening);
  plugin.reset();
  EXPECT_EQ(opening(taken.cells), taken.opening) << "it does not end with the instance that had it before";
  plugin = std::move(next);
}

TEST_P(SessionConformance, IsNotAdoptedByOthers) {
  const gh_session mine = opened("a");
  gh_session relays = of_id(mine.id), unknown = of_id(mine.id + 1);
  EXPECT_EQ(adopt(*other_plugin, relays), GH_E_NOT_FOUND);
  EXPECT_EQ(adopt(*plugin, unknown), GH_E_NOT_FOUND);
}

TEST_P(SessionConformance, EndsWhenItsTimeHasCome) {
  const gh_session first = expiring("a", host->now() + 100);
  EXPECT_EQ(lease(first.id, "10.0.0.2"), GH_OK);
  host->pass(std::chrono::seconds(90));
  gh_session still = asked("a");
  EXPECT_EQ(find(*plugin, still), GH_OK);
  host->pass(std::chrono::seconds(20));
  gh_session gone = asked("a");
  EXPECT_EQ(find(*plugin, gone), GH_E_NOT_FOUND);
  EXPECT_THAT(kept(*plugin).ids, IsEmpty());
  gh_session taken = of_id(first.id);
  EXPECT_NE(adopt(*plugin, taken), GH_OK);
  const gh_session second = opened("a");
  EXPECT_NE(second.id, first.id);
  EXPECT_EQ(second.resumed, 0u);
  EXPECT_NE(opening(first.cells), first.opening);
  EXPECT_EQ(lease(second.id, "10.0.0.2"), GH_OK) << "its leases ended with it";
}

TEST_P(SessionConformance, KeepsItsTimeUnlessItIsGivenAnother) {
  const std::uint64_t until = host->now() + 100;
  expiring("a", until);
  EXPECT_EQ(opened("a").expires_unix, until);
  gh_session touched = expiring("a", until + 1000);
  EXPECT_EQ(touched.expires_unix, until + 1000);
  touched.expires_unix = GH_EXPIRY_SAME;
  EXPECT_EQ(touch(touched), GH_OK);
  EXPECT_EQ(opened("a").expires_unix, until + 1000);
  touched.expires_unix = GH_EXPIRY_NEVER;
  EXPECT_EQ(touch(touched), GH_OK);
  EXPECT_EQ(opened("a").expires_unix, GH_EXPIRY_NEVER);
}

TEST_P(SessionConformance, KeepsItsTimeOverACrash) {
  const std::uint64_t until = host->now() + 100;
  expiring("a", until);
  expiring("b", until + 1000);
  host->flush();
  crash();
  EXPECT_EQ(opened("a").expires_unix, until);
  host->pass(std::chrono::seconds(200));
  EXPECT_THAT(kept(*plugin).keys, ElementsAre("b"));
}

TEST_P(SessionConformance, BeginsWithoutStateWordsAndCounts) {
  const gh_session first = opened("a");
  std::atomic_ref(first.cells->state[0]).store(7);
  std::uint64_t* first_counts = nullptr;
  ASSERT_EQ(counts(*plugin, first.id, first_counts), GH_OK);
  std::atomic_ref(first_counts[GH_SESSION_COUNTS - 1]).store(8);
  EXPECT_EQ(std::atomic_ref(opened("a").cells->state[0]).load(), 7u) << "the session is the same";
  std::uint64_t* same = nullptr;
  EXPECT_EQ(counts(*plugin, first.id, same), GH_OK);
  EXPECT_EQ(same, first_counts);
  EXPECT_EQ(end(*plugin, first.id), GH_OK);
  std::uint64_t* gone = nullptr;
  EXPECT_EQ(counts(*plugin, first.id, gone), GH_E_NOT_FOUND);
  const gh_session again = opened("a");
  EXPECT_EQ(std::atomic_ref(again.cells->state[0]).load(), 0u);
  std::uint64_t* fresh = nullptr;
  ASSERT_EQ(counts(*plugin, again.id, fresh), GH_OK);
  EXPECT_EQ(std::atomic_ref(fresh[GH_SESSION_COUNTS - 1]).load(), 0u);
}

}  // namespace
}  // namespace gatehouse::conformance
