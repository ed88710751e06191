#include "gateway/services/sessions.hpp"

#include "gateway/base/lane.hpp"

#include <gatehouse/plugin/border.hpp>

#include <gmock/gmock.h>

#include <atomic>
#include <thread>

// What gh.sessions/1 promises is in tests/unit/conformance; here is what only the gateway does.
namespace gatehouse {
namespace {

class Sessions : public testing::Test {
 protected:
  gh_session session(std::string_view key, std::string_view identity = {}, std::string_view blob = {}) {
    gh_session out{};
    out.struct_size = sizeof out;
    out.key = to_border(key);
    out.identity = to_border(identity);
    out.source = to_border(Endpoint::parse("192.0.2.1:5").value());
    if (!blob.empty()) out.blob = to_border(blob);
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
    const gh_lease wanted{sizeof(gh_lease), 0, to_border(resource), id, expires};
    return table().lease(table().context, &lane_.head, &wanted, nullptr);
  }
  gh_status end(std::uint64_t id) { return table().end(table().context, &lane_.head, id); }
  [[nodiscard]] const gh_sessions& table() const { return *face_->table(); }

  std::shared_ptr<SessionTable> all_ = std::make_shared<SessionTable>();
  std::unique_ptr<PluginSessions> face_ = std::make_unique<PluginSessions>(all_, "udpgw");
  HostLane lane_;
};

TEST_F(Sessions, WithoutAKeyEndWithTheirInstance) {
  opened("");
  opened("kept", "unix:bob");
  face_ = std::make_unique<PluginSessions>(all_, "udpgw");
  ASSERT_EQ(all_->rows().size(), 1u);
  EXPECT_NE(opened("kept", "unix:bob"), 0u);
  EXPECT_EQ(all_->count("udpgw"), 1u);
}

TEST_F(Sessions, BelongToOnePlugin) {
  const std::uint64_t id = opened("same", "unix:bob");
  PluginSessions other(all_, "geneve-relay");
  gh_session s = session("same", "unix:bob");
  ASSERT_EQ(other.table()->open(other.table()->context, &lane_.head, &s, nullptr), GH_OK);
  EXPECT_NE(s.id, id);
  EXPECT_EQ(end(s.id), GH_E_NOT_FOUND);
  EXPECT_EQ(lease("vni:1", id), GH_OK);
  const gh_lease theirs{sizeof(gh_lease), 0, to_border("vni:1"), s.id, 0};
  EXPECT_EQ(other.table()->lease(other.table()->context, &lane_.head, &theirs, nullptr), GH_OK);
}

TEST_F(Sessions, ShowAPublicIdAndNoKey) {
  opened("abc", "unix:bob");
  opened("0123456789abcdef0123456789abcdef");  // whoever has no identity has a secret
  const std::uint64_t unnamed = opened("");
  const std::vector<LiveSession> rows = all_->rows();
  EXPECT_EQ(rows[0].public_id, "ba7816bf");
  EXPECT_EQ(rows[1].public_id, "3eb1bd43");
  EXPECT_EQ(rows[2].public_id, std::to_string(unnamed));
  EXPECT_EQ(rows[0].record.source.to_string(), "192.0.2.1:5");
  for (const LiveSession& row : rows) EXPECT_EQ(row.record.key, "");
}

TEST_F(Sessions, HaveNumbersThatLeadToThemAlone) {
  const std::uint64_t first = opened("");
  ASSERT_EQ(end(first), GH_OK);
  for (int i = 0; i < 2000; ++i) ASSERT_EQ(end(opened("")), GH_OK);
  EXPECT_EQ(end(first), GH_E_NOT_FOUND);
  EXPECT_EQ(end(0), GH_E_NOT_FOUND);
  EXPECT_EQ(end(UINT64_MAX), GH_E_NOT_FOUND);
}

TEST_F(Sessions, HoldABoundedNumberOfLeases) {
  const std::uint64_t id = opened("a", "unix:bob");
  for (std::size_t i = 0; i < SessionTable::kMostLeases; ++i) ASSERT_EQ(lease("vni:" + std::to_string(i), id), GH_OK);
  EXPECT_EQ(lease("vni:more", id), GH_E_LIMIT);
  EXPECT_EQ(lease("vni:7", id), GH_OK);  // a renewal
  EXPECT_EQ(table().release(table().context, &lane_.head, id, to_border("vni:7")), GH_OK);
  EXPECT_EQ(lease("vni:more", id), GH_OK);
}

TEST_F(Sessions, OfSeveralThreadsKeepApart) {
  constexpr int kThreads = 4, kRounds = 2000;
  std::vector<std::thread> threads;
  std::atomic<int> held{0};
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      HostLane lane;
      const std::string key = "key" + std::to_string(t);
      for (int i = 0; i < kRounds; ++i) {
        gh_session s = session(key, "unix:bob");
        ASSERT_EQ(table().open(table().context, &lane.head, &s, nullptr), GH_OK);
        const gh_lease one{sizeof(gh_lease), 0, to_border("the one"), s.id, 0};
        if (table().lease(table().context, &lane.head, &one, nullptr) == GH_OK) {
          ASSERT_EQ(held.fetch_add(1), 0);
          held.fetch_sub(1);
          ASSERT_EQ(table().release(table().context, &lane.head, s.id, one.resource), GH_OK);
        }
        ASSERT_EQ(table().end(table().context, &lane.head, s.id), GH_OK);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(all_->rows().size(), 0u);
}

}  // namespace
}  // namespace gatehouse
