// A clock that is far ahead, at a start or later, ends nothing in time that a correction could not bring back.
#include "tests/unit/gateway/store/store_writer_fixture.hpp"

namespace gatehouse {
namespace {

constexpr std::int64_t kHour = 3600, kAhead = 400 * 86'400;

class ClockAhead : public StoreWriterTest {
 protected:
  static std::uint64_t in_an_hour() { return static_cast<std::uint64_t>(clock() + kHour); }
  /// A session that ends in an hour, with a lease that does.
  void hold() {
    disk_->set_synchronised(false);
    start();
    home = open("home");
    home.expires_unix = in_an_hour();
    ASSERT_EQ(face().touch(face().context, &lane_.head, &home, nullptr), GH_OK);
    ASSERT_EQ(lease("10.0.0.5", home.id, nullptr, in_an_hour()), GH_OK);
    ASSERT_TRUE(flush());
  }
  [[nodiscard]] bool is_live() const { return !disk_->session(home.id)->ended_at; }
  [[nodiscard]] bool is_held() const { return disk_->lease("relay", "10.0.0.5").has_value(); }
  /// The sessions that a plugin is told of.
  int told() {
    int out = 0;
    const auto count = [](void* to, const gh_session*) { ++*static_cast<int*>(to); };
    face().for_each(
        face().context, count, [](void*, const gh_lease*) {}, &out);
    return out;
  }

  gh_session home{};
};

TEST_F(ClockAhead, AtAStartEndsNeitherLeasesNorDatedSessions) {
  hold();
  crash();
  clock_ahead = kAhead;
  start();
  EXPECT_EQ(told(), 1);
  ASSERT_TRUE(flush());
  EXPECT_TRUE(is_live());
  EXPECT_TRUE(is_held());
  const gh_session other = open("other");
  EXPECT_EQ(lease("10.0.0.5", other.id), GH_E_EXISTS);
  clock_ahead = 0;
  ASSERT_TRUE(flush());
  EXPECT_TRUE(is_live());
  EXPECT_TRUE(is_held());
  EXPECT_EQ(open("home").id, home.id);
  EXPECT_EQ(lease("10.0.0.5", other.id), GH_E_EXISTS);
  clock_ahead = kHour + 1;
  ASSERT_TRUE(flush());
  EXPECT_FALSE(is_live()) << "in time";
  EXPECT_FALSE(is_held());
  EXPECT_EQ(lease("10.0.0.5", other.id), GH_OK);
}

TEST_F(ClockAhead, ThatLeapsEndsNothingBeforeTheNextRoundEither) {
  hold();
  clock_ahead = kAhead;
  EXPECT_EQ(told(), 1);
  EXPECT_EQ(lease("10.0.0.5", open("other").id), GH_E_EXISTS);
  EXPECT_EQ(open("home").resumed, 1u);
  writer_->sessions()->expire(clock());  // as the daemon does, each second
  ASSERT_TRUE(flush());
  EXPECT_TRUE(is_live());
  EXPECT_TRUE(is_held());
}

TEST_F(ClockAhead, EndsWhatItHasGivenItself) {
  clock_ahead = kAhead;
  hold();
  crash();
  clock_ahead = 2 * kAhead;
  start();
  home = open("home");
  home.expires_unix = in_an_hour();
  EXPECT_EQ(face().touch(face().context, &lane_.head, &home, nullptr), GH_OK);
  EXPECT_EQ(lease("10.0.0.5", home.id, nullptr, in_an_hour()), GH_OK);
  clock_ahead += kHour + 1;
  ASSERT_TRUE(flush());
  EXPECT_FALSE(is_live());
  EXPECT_FALSE(is_held());
}

TEST_F(ClockAhead, HasGivenNoMoreThanItsHourWhenItIsPutRight) {
  hold();
  clock_ahead = kAhead;
  home.expires_unix = in_an_hour();
  EXPECT_EQ(face().touch(face().context, &lane_.head, &home, nullptr), GH_OK);
  EXPECT_EQ(lease("10.0.0.5", home.id, nullptr, in_an_hour()), GH_OK);
  ASSERT_TRUE(flush());
  EXPECT_GT(disk_->session(home.id)->expires_at, unix_now() + kAhead) << "perhaps it is right";
  clock_ahead = 0;
  ASSERT_TRUE(flush());
  EXPECT_TRUE(is_live());
  EXPECT_LE(disk_->session(home.id)->expires_at, unix_now() + kHour);
  EXPECT_LE(disk_->lease("relay", "10.0.0.5")->expires_at, unix_now() + kHour);
}

TEST_F(ClockAhead, EndsWhatIsOverOnceItIsSynchronised) {
  hold();
  clock_ahead = kAhead;
  ASSERT_TRUE(flush());
  EXPECT_TRUE(is_live());
  disk_->set_synchronised(true);
  ASSERT_TRUE(flush());
  EXPECT_FALSE(is_live());
  EXPECT_FALSE(is_held());
}

}  // namespace
}  // namespace gatehouse
