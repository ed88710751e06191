// What sessions tell the thread that writes them, without that thread.
#include "gateway/store/session_table.hpp"

#include <gmock/gmock.h>

namespace gatehouse {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class SessionChanges : public testing::Test {
 protected:
  SessionTable::Opened open(std::string_view key, Durability::Ticket ticket = 0) {
    return table.open({.plugin = "relay", .key = key, .identity = "unix:bob", .owner = this, .lane = 0, .now = 1000},
                      ticket);
  }
  /// Takes what the writer would.
  std::vector<SessionTable::Change> changes() {
    std::vector<SessionTable::Change> out;
    durability->changes().take([&](ChangeLink& link) {
      if (link.kind == ChangeLink::Kind::session)
        out.push_back(table.take_change(link));
      else
        static_cast<void>(table.leases().take_change(link));
    });
    return out;
  }

  std::shared_ptr<Durability> durability = std::make_shared<Durability>();
  SessionTable table{durability};
};

TEST_F(SessionChanges, TellOnceWhoWaitsForThem) {
  const auto session = open("home", 3);
  EXPECT_EQ(open("home", 4).id, session.id);
  EXPECT_THAT(changes().at(0).waiting, ElementsAre(3u, 4u));
  ASSERT_EQ(table.touch("relay", session.id, {.source = {}, .now = 1001, .blob = {}}, 5), GH_OK);
  EXPECT_THAT(changes().at(0).waiting, ElementsAre(5u));
  table.change_all();
  EXPECT_THAT(changes().at(0).waiting, IsEmpty());
}

}  // namespace
}  // namespace gatehouse
