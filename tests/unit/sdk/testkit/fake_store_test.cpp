// The fake host obeys the rules that the real one is held to, and does what only tests want.
#include "tests/unit/conformance/session_conformance.hpp"
#include "tests/unit/conformance/value_conformance.hpp"

#include <gatehouse/testkit/fake_host.hpp>

namespace gatehouse::conformance {
namespace {

using testing::ElementsAre;

class FakePlugin final : public PluginHost {
 public:
  FakePlugin(testkit::FakeStore& store, const std::string& name) : instance_(store.instance(name)) {}
  const gh_sessions& sessions() override { return *instance_->sessions(); }
  const gh_values& values() override { return *instance_->values(); }
  gh_lane* lane(unsigned index) override { return &lanes_[index]; }

 private:
  std::unique_ptr<testkit::FakeStore::Instance> instance_;
  gh_lane lanes_[2] = {{sizeof(gh_lane), 0, 2, -1, 0}, {sizeof(gh_lane), 1, 2, -1, 0}};
};

class FakeStoreHost final : public StoreHost {
 public:
  std::unique_ptr<PluginHost> plugin(const std::string& name) override {
    return std::make_unique<FakePlugin>(store_, name);
  }
  void flush() override { store_.release_durable(); }
  void stall(bool stalled) override { store_.hold_durable(stalled); }
  void crash() override { store_.restart(); }
  void pass(std::chrono::seconds time) override {
    now_ += static_cast<std::uint64_t>(time.count());
    store_.expire();
  }
  std::uint64_t now() override { return now_; }

 private:
  std::uint64_t now_ = 1'000'000'000;
  testkit::FakeStore store_{[this] { return now_; }};
};

std::unique_ptr<StoreHost> make_fake() { return std::make_unique<FakeStoreHost>(); }

INSTANTIATE_TEST_SUITE_P(Fake, SessionConformance, testing::Values(&make_fake));
INSTANTIATE_TEST_SUITE_P(Fake, ValueConformance, testing::Values(&make_fake));

class FakeStore : public testing::Test {
 protected:
  gh_session session(std::string_view key) {
    gh_session out{};
    out.struct_size = sizeof out;
    out.key = to_border(key);
    out.identity = to_border("token:bob");
    return out;
  }
  gh_status open(gh_session& asked, const gh_completion* durable = nullptr) {
    return instance->sessions()->open(instance->sessions()->context, &lane, &asked, durable);
  }
  gh_status lease(std::uint64_t id, std::string_view resource) {
    const gh_lease wanted{sizeof wanted, 0, to_border(resource), id, 0};
    return instance->sessions()->lease(instance->sessions()->context, &lane, &wanted, nullptr);
  }

  Told told;
  testkit::FakeStore store{[] { return std::uint64_t{1}; }};
  std::unique_ptr<testkit::FakeStore::Instance> instance = store.instance("tunnel");
  gh_lane lane{sizeof lane, 0, 1, -1, 0};
};

TEST_F(FakeStore, TellsWithinTheCallUnlessItIsHeldBack) {
  gh_session first = session("a"), second = session("b");
  const gh_completion durable = told.completion(7);
  ASSERT_EQ(open(first, &durable), GH_OK);
  EXPECT_THAT(told.calls(), ElementsAre(Told::Call{7, GH_OK}));
  store.hold_durable(true);
  ASSERT_EQ(open(second, &durable), GH_OK);
  EXPECT_EQ(store.waiting(), 1u);
  store.release_durable(GH_E_IO);
  EXPECT_EQ(told.calls().back(), (Told::Call{7, GH_E_IO}));
  EXPECT_EQ(store.sessions().size(), 2u);
  store.restart();
  ASSERT_EQ(store.sessions().size(), 1u) << "what failed is not on the disk";
  EXPECT_EQ(store.sessions()[0].key, "a");
}

TEST_F(FakeStore, ReleasesOneAfterAnother) {
  gh_session first = session("a"), second = session("b"), third = session("c");
  const gh_completion durable = told.completion();
  store.hold_durable(true);
  ASSERT_EQ(open(first, &durable), GH_OK);
  store.release_durable();
  ASSERT_EQ(open(second, &durable), GH_OK);
  EXPECT_EQ(told.calls().size(), 1u) << "it goes on being held back";
  store.hold_durable(false);
  EXPECT_EQ(told.calls().size(), 2u);
  ASSERT_EQ(open(third, &durable), GH_OK);
  EXPECT_EQ(told.calls().size(), 3u);
}

TEST_F(FakeStore, RefusesWhatIsNew) {
  gh_session known = session("a"), unknown = session("b"), unnamed = session("");
  ASSERT_EQ(open(known), GH_OK);
  ASSERT_EQ(lease(known.id, "10.0.0.2"), GH_OK);
  store.refuse_new(GH_E_IO);
  EXPECT_EQ(open(known), GH_OK);
  EXPECT_EQ(lease(known.id, "10.0.0.2"), GH_OK);
  EXPECT_EQ(open(unnamed), GH_OK);
  EXPECT_EQ(open(unknown), GH_E_IO);
  EXPECT_EQ(lease(known.id, "10.0.0.3"), GH_E_IO);
  store.refuse_new(GH_E_LIMIT);
  EXPECT_EQ(open(unnamed), GH_E_LIMIT);
  store.refuse_new(GH_OK);
  EXPECT_EQ(open(unknown), GH_OK);
}

TEST_F(FakeStore, ShowsWhatPluginsKeep) {
  gh_session asked = session("a");
  asked.blob = to_border("state");
  asked.source = to_border(*Endpoint::parse("192.0.2.1:5"));
  ASSERT_EQ(open(asked), GH_OK);
  ASSERT_EQ(lease(asked.id, "10.0.0.2"), GH_OK);
  asked.cells->bytes_up = 5;
  const auto sessions = store.sessions();
  ASSERT_EQ(sessions.size(), 1u);
  EXPECT_EQ(sessions[0].plugin, "tunnel");
  EXPECT_EQ(sessions[0].blob, "state");
  EXPECT_EQ(sessions[0].bytes_up, 5u);
  EXPECT_EQ(sessions[0].source.to_string(), "192.0.2.1:5");
  EXPECT_THAT(sessions[0].leases, ElementsAre("10.0.0.2"));
  const gh_values& values = *instance->values();
  EXPECT_EQ(values.put(values.context, to_border("k"), to_border("v"), GH_VALUE_SECRET, nullptr), GH_OK);
  EXPECT_EQ(store.value("tunnel", "k"), "v");
  EXPECT_TRUE(store.is_secret("tunnel", "k"));
  EXPECT_EQ(store.value("relay", "k"), std::nullopt);
}

}  // namespace
}  // namespace gatehouse::conformance
