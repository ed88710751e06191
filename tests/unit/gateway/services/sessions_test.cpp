#include "gateway/services/sessions.hpp"

#include "gateway/base/border.hpp"
#include "gateway/plugin/lane.hpp"

#include <gmock/gmock.h>

namespace gatehouse {
namespace {

using testing::ElementsAre;

class Sessions : public testing::Test {
 protected:
  gh_session session(std::string_view key, std::string_view identity = {}, std::string_view blob = {}) {
    gh_session out{};
    out.struct_size = sizeof out;
    out.key = border_bytes(key);
    out.identity = border_bytes(identity);
    out.source = border_endpoint(Endpoint::parse("192.0.2.1:5").value());
    if (!blob.empty()) out.blob = border_bytes(blob);
    out.blob_version = 1;
    return out;
  }
  gh_status open(gh_session& s) { return table().open(table().context, &lane_.head, &s, nullptr); }
  std::uint64_t opened(std::string_view key, std::string_view identity = {}, std::string_view blob = {}) {
    gh_session s = session(key, identity, blob);
    EXPECT_EQ(open(s), GH_OK);
    return s.id;
  }
  gh_status lease(std::string_view resource, std::uint64_t id, std::uint64_t expires = 0) {
    const gh_lease wanted{sizeof(gh_lease), 0, border_bytes(resource), id, expires};
    return table().lease(table().context, &lane_.head, &wanted, nullptr);
  }
  [[nodiscard]] const gh_sessions& table() const { return *face_->table(); }

  std::shared_ptr<SessionTable> all_ = std::make_shared<SessionTable>();
  std::unique_ptr<PluginSessions> face_ = std::make_unique<PluginSessions>(all_, "udpgw");
  HostLane lane_;
};

TEST_F(Sessions, ResumeByKeyWithTheirBlob) {
  const std::uint64_t id = opened("secret", "", "state");
  gh_session again = session("secret");
  ASSERT_EQ(open(again), GH_OK);
  EXPECT_EQ(again.id, id);
  EXPECT_EQ(text_of(again.blob), "state");
  EXPECT_EQ(again.blob_version, 1u);
}

TEST_F(Sessions, AreDifferentForAnotherIdentityOrPlugin) {
  const std::uint64_t id = opened("same");
  EXPECT_NE(opened("same", "unix:bob"), id);
  PluginSessions other(all_, "geneve-relay");
  gh_session s = session("same");
  ASSERT_EQ(other.table()->open(other.table()->context, &lane_.head, &s, nullptr), GH_OK);
  EXPECT_NE(s.id, id);
  EXPECT_EQ(table().close(table().context, &lane_.head, s.id), GH_E_NOT_FOUND);
}

TEST_F(Sessions, WithoutAKeyAreAlwaysNew) { EXPECT_NE(opened(""), opened("")); }

TEST_F(Sessions, WithoutAKeyEndWithTheirInstance) {
  opened("");
  opened("kept");
  face_ = std::make_unique<PluginSessions>(all_, "udpgw");
  ASSERT_EQ(all_->rows().size(), 1u);
  EXPECT_NE(opened("kept"), 0u);
  EXPECT_EQ(all_->count("udpgw"), 1u);
}

TEST_F(Sessions, ShowAPublicIdAndNoKey) {
  opened("abc");
  const std::uint64_t unnamed = opened("");
  const std::vector<SessionRow> rows = all_->rows();
  EXPECT_EQ(rows[0].public_id, "ba7816bf");
  EXPECT_EQ(rows[1].public_id, std::to_string(unnamed));
  EXPECT_EQ(rows[0].source.to_string(), "192.0.2.1:5");
}

TEST_F(Sessions, TakeCountersAndABlobWhenUpdated) {
  gh_session s = session("abc");
  ASSERT_EQ(open(s), GH_OK);
  gh_session news = session("", "", "new");
  news.id = s.id;
  news.blob_version = 2;
  const gh_session_counters counters{1, 2, 3, 4};
  EXPECT_EQ(table().update(table().context, &lane_.head, &news, &counters), GH_OK);
  EXPECT_EQ(all_->rows()[0].counters.bytes_down, 2u);
  gh_session again = session("abc");
  ASSERT_EQ(open(again), GH_OK);
  EXPECT_EQ(text_of(again.blob), "new");
  EXPECT_EQ(again.blob_version, 2u);
}

TEST_F(Sessions, RefuseAnOversizeKeyOrBlob) {
  const std::string key(256, 'k'), blob(65537, 'b');
  gh_session s = session(key);
  EXPECT_EQ(open(s), GH_E_INVALID);
  s = session("k", "", blob);
  EXPECT_EQ(open(s), GH_E_INVALID);
}

TEST_F(Sessions, CompleteADurableCallOnce) {
  int calls = 0;
  const gh_completion durable{[](void* context, std::uint64_t token, gh_status status) {
                                EXPECT_EQ(token, 9u);
                                EXPECT_EQ(status, GH_OK);
                                ++*static_cast<int*>(context);
                              },
                              &calls, 9};
  gh_session s = session("abc");
  EXPECT_EQ(table().open(table().context, &lane_.head, &s, &durable), GH_OK);
  EXPECT_EQ(calls, 1);
}

TEST_F(Sessions, HoldAResourceAgainstEachOther) {
  const std::uint64_t first = opened("a"), second = opened("b");
  EXPECT_EQ(lease("10.0.0.2", first), GH_OK);
  EXPECT_EQ(lease("10.0.0.2", first), GH_OK);
  EXPECT_EQ(lease("10.0.0.2", second), GH_E_EXISTS);
  EXPECT_EQ(table().release(table().context, &lane_.head, border_bytes("10.0.0.2")), GH_OK);
  EXPECT_EQ(lease("10.0.0.2", second), GH_OK);
  EXPECT_EQ(lease("10.0.0.3", 999), GH_E_NOT_FOUND);
}

TEST_F(Sessions, LoseALeaseThatHasExpired) {
  const std::uint64_t first = opened("a"), second = opened("b");
  EXPECT_EQ(lease("vni:1", first, 1), GH_OK);
  EXPECT_EQ(lease("vni:1", second), GH_OK);
}

TEST_F(Sessions, GiveUpTheirLeasesWhenClosed) {
  const std::uint64_t first = opened("a");
  EXPECT_EQ(lease("vni:1", first), GH_OK);
  EXPECT_THAT(all_->rows()[0].leases, ElementsAre("vni:1"));
  EXPECT_EQ(table().close(table().context, &lane_.head, first), GH_OK);
  EXPECT_EQ(lease("vni:1", opened("b")), GH_OK);
}

TEST_F(Sessions, AreVisitedWithTheirLeases) {
  const std::uint64_t id = opened("a", "unix:bob", "state");
  lease("vni:1", id, 5);
  std::vector<std::string> seen;
  table().for_each(
      table().context,
      [](void* visitor, const gh_session* s, const gh_session_counters*) {
        static_cast<std::vector<std::string>*>(visitor)->push_back(std::string(text_of(s->identity)) + " " +
                                                                   std::string(text_of(s->blob)));
      },
      [](void* visitor, const gh_lease* l) {
        static_cast<std::vector<std::string>*>(visitor)->push_back(std::string(text_of(l->resource)));
      },
      &seen);
  EXPECT_THAT(seen, ElementsAre("unix:bob state", "vni:1"));
}

}  // namespace
}  // namespace gatehouse
