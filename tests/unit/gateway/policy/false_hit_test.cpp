// A name whose hash collides with a listed one, from the packet path through the list file and back: its verdict
// changes, that of a name that is listed does not.
#include "db/lists/list_file_writer.hpp"
#include "gateway/policy/list_files.hpp"
#include "gateway/policy/publisher.hpp"
#include "tests/unit/db/scratch.hpp"
#include "tests/unit/gateway/services/policy_table.hpp"

namespace gatehouse {
namespace {

using namespace std::chrono_literals;

/// The list file as it is; what is compiled from it has the hashes of two names more.
OpenedList open_with_collisions(const std::filesystem::path& path) {
  OpenedList out = open_list_file(path);
  out.for_each = [of_file = out.for_each](const OpenedList::Visitor& visit) {
    of_file(visit);
    visit("collides.test", policy::ListEntry::listed);
    visit("collides.listed.test", policy::ListEntry::listed);
  };
  return out;
}

class FalseHit : public testing::Test {
 protected:
  void SetUp() override {
    db::prepare_policy(folder.path() / "policy.db");
    const auto lists = folder.path() / "lists";
    std::filesystem::create_directory(lists);
    db::ListFileWriter writer(lists, db::ListFormat::domains, folder.path());
    writer.add("listed.test", policy::ListEntry::listed);
    edit("INSERT INTO domain_lists(id, name, file) VALUES(4, 'ads', '" + writer.finish() + "')");
    publisher.emplace(folder.path() / "policy.db", PolicyEvents{}, PublisherParts{open_with_collisions, {}});
    plugin.emplace(publisher->board(), std::make_shared<KeyMeters>(),
                   PluginPolicy::Spec{.plugin = "udpgw", .records = publisher->records()});
    lane.policy = plugin->make_lane();
    const gh_client_facts facts{sizeof facts, UINT32_MAX, {}, {}, 0};
    gh_verdict verdict = no_verdict();
    client = table().client_open(table().context, &lane.head, &facts, &verdict);
    ASSERT_NE(client, nullptr);
  }

  const gh_policy& table() const { return *plugin->table(); }
  gh_verdict check(std::string_view name) {
    table().refresh(table().context, &lane.head);
    gh_flow flow = make_flow(GH_TRANSPORT_UDP, {IpAddress::v4(0x08080808), 53, 0});
    flow.domain = to_border(name);
    gh_verdict out = no_verdict();
    table().check(table().context, &lane.head, client, &flow, &out);
    return out;
  }
  bool is_blocked(std::string_view name) {
    const gh_verdict verdict = check(name);
    return verdict.action == GH_ACTION_DENY && verdict.table == GH_TABLE_DOMAIN_LISTS && verdict.row == 4;
  }
  bool soon(std::uint16_t action, std::string_view name) {
    for (int i = 0; i < 500; ++i, std::this_thread::sleep_for(10ms))
      if (check(name).action == action) return true;
    return false;
  }
  bool soon_allowed(std::string_view name) { return soon(GH_ACTION_ALLOW, name); }
  void edit(const std::string& sql) { ASSERT_EQ(run_sqlite_shell(folder.path() / "policy.db", sql), ""); }

  ScratchFolder folder;
  std::optional<PolicyPublisher> publisher;
  std::optional<PluginPolicy> plugin;
  HostLane lane;
  gh_client* client = nullptr;
};

TEST_F(FalseHit, IsBlockedUntilTheFileHasBeenAsked) {
  EXPECT_TRUE(is_blocked("www.collides.test"));
  EXPECT_TRUE(is_blocked("www.listed.test"));
  ASSERT_TRUE(soon_allowed("www.collides.test"));
  EXPECT_EQ(check("another.collides.test").reason, GH_REASON_PORT_PERMIT);
  EXPECT_EQ(check("collides.test").reason, GH_REASON_PORT_PERMIT);
  EXPECT_TRUE(is_blocked("www.listed.test"));
}

TEST_F(FalseHit, LeavesAShorterEntryInForce) {
  EXPECT_TRUE(is_blocked("www.collides.listed.test"));
  EXPECT_TRUE(is_blocked("www.collides.test"));
  ASSERT_TRUE(soon_allowed("www.collides.test"));  // asked after the other one
  EXPECT_TRUE(is_blocked("www.collides.listed.test"));
}

TEST_F(FalseHit, NoLongerBeatsARowThatIsShorter) {
  edit("INSERT INTO domain_rules(domain, action) VALUES('listed.test', 'allow')");
  ASSERT_TRUE(soon_allowed("x.listed.test"));
  EXPECT_TRUE(is_blocked("www.collides.listed.test"));
  EXPECT_TRUE(soon_allowed("www.collides.listed.test"));
}

TEST_F(FalseHit, OfAListThatAllowsDoesNotLast) {
  edit("UPDATE domain_lists SET action = 'allow'; INSERT INTO domain_rules(domain) VALUES('test')");
  ASSERT_TRUE(soon(GH_ACTION_DENY, "other.test"));
  EXPECT_EQ(check("www.collides.test").action, GH_ACTION_ALLOW);
  EXPECT_TRUE(soon(GH_ACTION_DENY, "www.collides.test"));
  EXPECT_EQ(check("www.listed.test").action, GH_ACTION_ALLOW);
}

}  // namespace
}  // namespace gatehouse
