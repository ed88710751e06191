#include "tests/unit/sdk/plugin/lane_fixture.hpp"

#include <gatehouse/plugin/kept_sessions.hpp>
#include <gatehouse/plugin/session.hpp>

#include <stdexcept>

namespace gatehouse {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using namespace std::chrono_literals;

class Sessions : public LaneTest {
 protected:
  static SessionFacts facts(std::string_view key, std::string_view blob = {}) {
    return {.key = key,
            .identity = "token:bob",
            .source = *Endpoint::parse("192.0.2.1:5"),
            .blob_version = 2,
            .blob = bytes_of(blob)};
  }
  std::optional<Session> open(std::string_view key, std::string_view blob = {}, Completion durable = {}) {
    Result<Session> opened = Session::open(context, facts(key, blob), std::move(durable));
    why = opened.error();
    if (!opened) return {};
    return std::move(*opened);
  }
  Completion note() {
    return [this](Error failure) { told.push_back(failure); };
  }
  testkit::FakeSession only() {
    const auto all = host.store().sessions();
    EXPECT_EQ(all.size(), 1u);
    return all.empty() ? testkit::FakeSession() : all[0];
  }

  Error why = Errc::failed;
  std::vector<Error> told;
};

TEST_F(Sessions, WithoutAKeyEndWithTheirObject) {
  {
    auto session = open("");
    ASSERT_TRUE(session);
    EXPECT_EQ(why, Error());
    EXPECT_EQ(only().id, session->id());
    EXPECT_FALSE(session->resumed());
    const Session moved(std::move(*session));
    session.reset();
    EXPECT_TRUE(moved.is_mine());
    EXPECT_EQ(only().id, moved.id());
  }
  EXPECT_THAT(host.store().sessions(), IsEmpty());
}

TEST_F(Sessions, ReplaceEachOther) {
  host.store().hold_durable(true);
  auto session = open("", "", note());
  const std::uint64_t first = session->id();
  *session = std::move(*open("", "", note()));
  EXPECT_NE(session->id(), first);
  EXPECT_EQ(only().id, session->id());
  host.store().release_durable();
  completions.deliver();
  EXPECT_THAT(told, ElementsAre(Error())) << "what the first one waited for went with it";
}

TEST_F(Sessions, WithAKeyAreResumedWithTheirBlob) {
  const std::uint64_t id = open("a", "state")->id();
  EXPECT_EQ(only().source.to_string(), "192.0.2.1:5");
  auto again = open("a", "other");
  EXPECT_EQ(again->id(), id);
  EXPECT_TRUE(again->resumed());
  EXPECT_EQ(again->blob_version(), 2u);
  EXPECT_EQ(text_of(again->take_blob()), "state");
  again->end();
  EXPECT_FALSE(again->is_mine());
  EXPECT_THAT(host.store().sessions(), IsEmpty());
}

TEST_F(Sessions, CountWithoutACall) {
  auto session = open("a");
  session->count_up(2, 3000);
  session->count_up(1, 10);
  session->count_down(5, 7);
  EXPECT_EQ(only().packets_up, 3u);
  EXPECT_EQ(only().bytes_up, 3010u);
  EXPECT_EQ(only().packets_down, 5u);
  EXPECT_EQ(only().bytes_down, 7u);
}

TEST_F(Sessions, AreServedByTheirHandlesToo) {
  const SessionHandle handle = open("a", "old")->handle();
  EXPECT_EQ(handle.id(), only().id) << "with a key it outlives the object";
  EXPECT_TRUE(handle.is_mine());
  handle.count_up(2, 3000);
  handle.count_down(5, 7);
  handle.set_state(8, 9);
  EXPECT_EQ(only().bytes_up, 3000u);
  EXPECT_EQ(only().packets_down, 5u);
  EXPECT_THAT(only().state, ElementsAre(8, 9));
  EXPECT_EQ(handle.touch(context, *Endpoint::parse("198.51.100.7:8")), Error());
  EXPECT_EQ(only().source.to_string(), "198.51.100.7:8");
  EXPECT_EQ(only().blob, "old");
  EXPECT_EQ(handle.keep(context, *Endpoint::parse("192.0.2.2:9"), 3, bytes_of("new")), Error());
  EXPECT_EQ(only().source.to_string(), "192.0.2.2:9");
  EXPECT_EQ(only().blob, "new");
  EXPECT_EQ(only().blob_version, 3u);
  handle.end(context);
  EXPECT_THAT(host.store().sessions(), IsEmpty());
  EXPECT_FALSE(handle.is_mine());
  EXPECT_EQ(handle.touch(context, {}), Errc::wrong_state);
  EXPECT_EQ(handle.keep(context, {}, 3, {}), Errc::wrong_state);
}

TEST_F(Sessions, InOtherHandsAreLeftAloneByTheirHandles) {
  const SessionHandle handle = open("a")->handle();
  const auto second = open("a");
  handle.end(context);
  EXPECT_TRUE(second->is_mine());
}

TEST_F(Sessions, InOtherHandsAreLeftAlone) {
  auto first = open("a");
  ASSERT_EQ(first->lease("10.0.0.5", 60s), Error());
  auto second = open("a");
  EXPECT_FALSE(first->is_mine());
  EXPECT_TRUE(second->is_mine());
  EXPECT_EQ(first->touch({}), Errc::wrong_state);
  EXPECT_EQ(first->keep(1, {}), Errc::wrong_state);
  EXPECT_EQ(first->lease("10.0.0.6", 60s), Errc::wrong_state);
  EXPECT_EQ(first->release("10.0.0.5"), Errc::wrong_state);
  first->end();
  first.reset();
  EXPECT_TRUE(second->is_mine());
  EXPECT_THAT(only().leases, ElementsAre("10.0.0.5"));
  EXPECT_EQ(second->release("10.0.0.5"), Error());
}

TEST_F(Sessions, KeepTheirSourceAndTheirBlobApart) {
  auto session = open("a", "state");
  EXPECT_EQ(session->touch(*Endpoint::parse("198.51.100.1:7")), Error());
  EXPECT_EQ(only().blob, "state");
  EXPECT_EQ(session->keep(3, bytes_of("more"), note()), Error());
  EXPECT_EQ(only().blob, "more");
  EXPECT_EQ(only().blob_version, 3u);
  EXPECT_EQ(only().source.to_string(), "198.51.100.1:7");
  EXPECT_EQ(session->keep(4, {}), Error());
  EXPECT_EQ(only().blob, "") << "no bytes replace others";
  completions.deliver();
  EXPECT_THAT(told, ElementsAre(Error()));
  const std::string too_long(4097, 'b');
  EXPECT_EQ(session->keep(5, bytes_of(too_long)), Errc::invalid);
}

TEST_F(Sessions, SayWhyTheyCannotBe) {
  host.store().refuse_new(GH_E_IO);
  EXPECT_FALSE(open("a", "", note()));
  EXPECT_EQ(why, Errc::io);
  const std::string key(256, 'k');
  EXPECT_FALSE(open(key, "", note()));
  EXPECT_EQ(why, Errc::invalid);
  completions.deliver();
  EXPECT_THAT(told, IsEmpty());
}

TEST_F(Sessions, HoldALeaseForATime) {
  auto session = open("a"), other = open("b");
  EXPECT_EQ(session->lease("10.0.0.5", 60s), Error());
  EXPECT_EQ(session->lease("10.0.0.6", Session::kWithSession), Error());
  EXPECT_EQ(other->lease("10.0.0.5", 60s, note()), Errc::exists);
  EXPECT_EQ(other->release("10.0.0.5"), Errc::not_found);
  host.pass(61s);
  EXPECT_EQ(other->lease("10.0.0.5", 60s, note()), Error());
  EXPECT_EQ(other->lease("10.0.0.6", 60s, note()), Errc::exists);
  completions.deliver();
  EXPECT_THAT(told, ElementsAre(Error()));
  session->end();
  EXPECT_EQ(other->lease("10.0.0.6", 60s), Error());
}

TEST_F(Sessions, AreAnsweredOnlyAfterTheDisk) {
  host.store().hold_durable(true);
  auto session = open("a", "", note());
  EXPECT_EQ(session->lease("10.0.0.5", 60s, note()), Error());
  EXPECT_FALSE(completions.wait(10ms));
  host.store().release_durable();
  completions.deliver();
  EXPECT_THAT(told, ElementsAre(Error(), Error()));
  EXPECT_EQ(session->lease("10.0.0.6", 60s, note()), Error());
  host.store().release_durable(GH_E_IO);
  completions.deliver();
  EXPECT_EQ(told.back(), Errc::io);
}

TEST_F(Sessions, NobodyIsToldWhoHasGone) {
  host.store().hold_durable(true);
  auto session = open("a", "", note());
  EXPECT_EQ(session->lease("10.0.0.5", 60s, note()), Error());
  auto ended = open("b", "", note());
  ended->end();
  session.reset();
  host.store().release_durable();
  completions.deliver();
  EXPECT_THAT(told, IsEmpty());
}

TEST_F(Sessions, AreRememberedAtTheNextStart) {
  auto kept = open("a", "state"), ended = open("b"), unnamed = open("");
  EXPECT_EQ(kept->lease("10.0.0.5", 60s), Error());
  EXPECT_EQ(kept->lease("10.0.0.6", Session::kWithSession), Error());
  const auto until = cpp.utc_now() + 60s;
  ended->end();
  std::vector<std::string> seen;
  for_each_kept(
      cpp,
      [&](const KeptSession& session) {
        if (session.id == unnamed->id()) return;
        EXPECT_EQ(session.id, kept->id());
        EXPECT_EQ(session.blob_version, 2u);
        EXPECT_EQ(session.source.to_string(), "192.0.2.1:5");
        seen.push_back(std::string(session.key) + ' ' + std::string(session.identity) + ' ' +
                       std::string(text_of(session.blob)));
      },
      [&](const KeptLease& lease) {
        EXPECT_EQ(lease.session, kept->id());
        EXPECT_LE(lease.until, until);
        seen.emplace_back(lease.resource);
      });
  EXPECT_THAT(seen, ElementsAre("a token:bob state", "10.0.0.5", "10.0.0.6"));
}

TEST_F(Sessions, AVisitorMayThrow) {
  auto first = open("a"), second = open("b");
  EXPECT_EQ(first->lease("10.0.0.5", 60s), Error());
  int visits = 0;
  const auto visit = [&] {
    for_each_kept(
        cpp,
        [&](const KeptSession&) {
          ++visits;
          throw std::runtime_error("a blob of a later version");
        },
        [&](const KeptLease&) { ++visits; });
  };
  EXPECT_THROW(visit(), std::runtime_error);
  EXPECT_EQ(visits, 1);
}

TEST_F(Sessions, AreFoundWithoutDisplacingTheirHolder) {
  CompletionScope scope(completions);
  EXPECT_EQ(Session::find(context, facts("a"), scope).error(), Errc::not_found);
  const auto session = open("a", "state");
  const auto found = Session::find(context, facts("a"), scope);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->id, session->id());
  EXPECT_EQ(found->lane, 0u);
  EXPECT_FALSE(found->expires);
  EXPECT_EQ(found->blob_version, 2u);
  EXPECT_EQ(text_of(found->blob), "state");
  EXPECT_TRUE(session->is_mine());
}

TEST_F(Sessions, AreAskedForAgainWhenTheAnswerIsNotAtHand) {
  const auto session = open("a");
  host.store().delay_finds(1);
  CompletionScope scope(completions);
  EXPECT_EQ(Session::find(context, facts("a"), scope, note()).error(), Errc::pending);
  completions.deliver();
  EXPECT_THAT(told, ElementsAre(Error()));
  EXPECT_TRUE(Session::find(context, facts("a"), scope, note()));
  completions.deliver();
  EXPECT_EQ(told.size(), 1u) << "an answer at hand is not told again";
}

TEST_F(Sessions, AreAdoptedByTheirNumber) {
  std::uint64_t id = 0;
  {
    const auto session = open("a", "state");
    id = session->id();
    EXPECT_EQ(Session::adopt(context, id).error(), Errc::wrong_state);
  }
  host.restart();
  const Host again(host.table(), "test");
  const LaneContext next{again, &lane, loop, pending, completions};
  {
    auto adopted = Session::adopt(next, id);
    ASSERT_TRUE(adopted);
    EXPECT_TRUE(adopted->resumed());
    EXPECT_EQ(text_of(adopted->take_blob()), "state");
    EXPECT_FALSE(adopted->touch({}));
  }
  EXPECT_EQ(only().id, id) << "it stays when the object goes";
  EXPECT_EQ(Session::adopt(next, id + 1).error(), Errc::not_found);
}

TEST_F(Sessions, EndWhenTheirTimeHasCome) {
  SessionFacts with_end = facts("a");
  with_end.expires = Expiry::at(cpp.utc_now() + 60s);
  auto session = Session::open(context, with_end);
  ASSERT_TRUE(session);
  host.pass(50s);
  EXPECT_FALSE(session->touch({}, Expiry::at(cpp.utc_now() + 60s)));
  host.pass(50s);
  EXPECT_TRUE(session->is_mine());
  host.pass(20s);
  EXPECT_FALSE(session->is_mine());
  EXPECT_THAT(host.store().sessions(), IsEmpty());
}

TEST_F(Sessions, CarryTwoWordsOfState) {
  auto session = open("a");
  session->set_state(3, 7);
  EXPECT_EQ(only().state[0], 3u);
  EXPECT_EQ(only().state[1], 7u);
}

TEST_F(Sessions, TellADoubtfulLeaseFromOneThatIsHeld) {
  auto session = open("a"), other = open("b");
  EXPECT_FALSE(other->lease("10.0.0.5", 60s));
  host.store().doubt_leases(true);
  EXPECT_EQ(session->lease("10.0.0.5", 60s), Errc::exists);
  EXPECT_EQ(session->lease("10.0.0.6", 60s), Errc::in_doubt);
}

}  // namespace
}  // namespace gatehouse
