#include "gateway/daemon/store_tables.hpp"

#include "gateway/base/sha256.hpp"

#include <nlohmann/json.hpp>

#include <gmock/gmock.h>

#include <stdexcept>

namespace gatehouse {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr std::int64_t kNow = 1'795'271'400;  // 2026-11-21T14:30:00Z
constexpr std::int64_t kToday = kNow / 86'400;

db::SessionRecord session(std::uint64_t id, const std::string& key, const std::string& identity) {
  db::SessionRecord out;
  out.id = id;
  out.plugin = "relay";
  out.key = key;
  out.identity = identity;
  out.group_name = "everyone";
  out.source = Endpoint::parse("192.0.2.7:4000").value();
  out.created_at = kNow + static_cast<std::int64_t>(id);
  out.last_seen_at = kNow + 100;
  out.totals = {1, 2, 3, 4};
  return out;
}

std::vector<std::string> column(const std::string& body, const char* list, const char* name) {
  std::vector<std::string> out;
  const json whole = json::parse(body);
  for (const auto& row : whole[list]) {
    out.push_back(row[name].is_string() ? row[name].get<std::string>() : row[name].dump());
  }
  return out;
}

TEST(StoreTables, ShowASessionWithoutItsKey) {
  const std::string secret = "0123456789abcdef0123456789abcdef";
  const Sha256 digest = sha256(secret);
  const std::string kept(reinterpret_cast<const char*>(digest.data()), digest.size());
  auto blob = std::make_shared<db::ByteString>(db::ByteString{'b', 'l', 'o', 'b'});
  db::SessionRecord anonymous = session(1, kept, ""), known = session(2, "bobs-laptop", "unix:bob");
  anonymous.blob = known.blob = blob;
  known.ended_at = kNow + 200;
  const std::string body =
      sessions_json({{}, shown_sessions({anonymous, known, session(3, "", "")}, {{{"relay", "vni:7"}, 1, kNow, 0}})});
  EXPECT_THAT(body, Not(HasSubstr("bobs-laptop")));
  EXPECT_THAT(body, Not(HasSubstr("blob")));
  EXPECT_THAT(column(body, "sessions", "id"),
              ElementsAre("3", to_hex(sha256("bobs-laptop")).substr(0, 8), to_hex(digest).substr(0, 8)));
  EXPECT_THAT(column(body, "sessions", "ended_at"), ElementsAre("null", "2026-11-21T14:33:20Z", "null"));
  EXPECT_THAT(column(body, "sessions", "leases"), ElementsAre("[]", "[]", R"(["vni:7"])"));
  EXPECT_EQ(
      json::parse(body)["sessions"][2],
      json::parse(
          R"({"id":")" + to_hex(digest).substr(0, 8) +
          R"(","plugin":"relay","identity":"","group":"everyone","source":"192.0.2.7:4000",)"
          R"("created_at":"2026-11-21T14:30:01Z","last_seen_at":"2026-11-21T14:31:40Z","ended_at":null,)"
          R"("bytes_up":1,"bytes_down":2,"packets_up":3,"packets_down":4,"leases":["vni:7"],"state":"","counts":{}})"));
}

TEST(StoreTables, ShowTheCountsThatThePluginHasANameFor) {
  LiveSession one;
  one.record = session(1, "", "");
  one.counts = {5, 0, 7, 9};
  const std::string body = sessions_json({{}, {one}}, {}, {{"relay", {"first", "second", "third"}}});
  EXPECT_THAT(column(body, "sessions", "counts"), ElementsAre(R"({"first":5,"third":7})"));
  EXPECT_THAT(column(sessions_json({{}, {one}}), "sessions", "counts"), ElementsAre("{}"));
}

TEST(StoreTables, ShowTheNewestSessionsWhenThereAreMany) {
  std::vector<db::SessionRecord> records;
  for (std::uint64_t id = 1; id <= 9; ++id) records.push_back(session(id, "", ""));
  const std::string body = sessions_json({{.most = 3}, shown_sessions(std::move(records), {})});
  EXPECT_THAT(column(body, "sessions", "id"), ElementsAre("9", "8", "7"));
  EXPECT_EQ(json::parse(body)["count"], 9);
  EXPECT_EQ(json::parse(body)["source"], "gateway");
}

TEST(StoreTables, ShowWhoHoldsALease) {
  const auto holders = shown_sessions({session(5, "k", "unix:bob")}, {});
  const std::string body = leases_json(
      {.from = kFromFile, .most = 2},
      {{{"relay", "vni:9"}, 5, kNow, kNow + 60}, {{"relay", "vni:10"}, 5, kNow, 0}, {{"echo", "x"}, 6, kNow, 0}},
      holders);
  EXPECT_EQ(json::parse(body)["count"], 3);
  EXPECT_THAT(column(body, "leases", "resource"), ElementsAre("x", "vni:10"));
  EXPECT_THAT(column(body, "leases", "identity"), ElementsAre("", "unix:bob"));
  EXPECT_THAT(column(body, "leases", "session"), ElementsAre("", to_hex(sha256("k")).substr(0, 8)));
  EXPECT_THAT(column(body, "leases", "expires_at"), ElementsAre("null", "null"));
}

std::vector<db::UsageRecord> some_usage() {
  return {{{kToday, "udpgw", "unix:bob", "bobs"}, {1, 10, 1, 1}},
          {{kToday, "relay", "unix:bob", "bobs"}, {2, 20, 1, 1}},
          {{kToday - 1, "udpgw", "unix:eve", "everyone"}, {1000, 0, 1, 1}},
          {{kToday - 1, "udpgw", "", "everyone"}, {4, 0, 1, 1}}};
}

struct Sums {
  const char* by;
  std::vector<std::string> keys, up;
};

TEST(StoreTables, AddUsageUp) {
  const Sums all[] = {{"identity", {"unix:eve", "unix:bob", ""}, {"1000", "3", "4"}},
                      {"group", {"everyone", "bobs"}, {"1004", "3"}},
                      {"plugin", {"udpgw", "relay"}, {"1005", "2"}},
                      {"day", {"2026-11-20", "2026-11-21"}, {"1004", "3"}}};
  for (const Sums& sums : all) {
    const std::string body = usage_json({}, usage_question("", sums.by, kNow), some_usage());
    EXPECT_EQ(column(body, "usage", sums.by), sums.keys) << body;
    EXPECT_EQ(column(body, "usage", "bytes_up"), sums.up) << body;
    EXPECT_EQ(json::parse(body)["bytes_up"], 1007);
    EXPECT_EQ(json::parse(body)["packets_down"], 4);
  }
}

TEST(StoreTables, UsageOfAllIsTheSumAlsoWhenSomeAreNotListed) {
  const auto body = json::parse(usage_json({.most = 1}, usage_question("", "identity", kNow), some_usage()));
  EXPECT_EQ(body["count"], 3);
  EXPECT_EQ(body["bytes_down"], 30);
  EXPECT_EQ(body["usage"].size(), 1U);
}

TEST(StoreTables, UsageBeginsWithTheMonthUnlessADayIsGiven) {
  const UsageQuestion month = usage_question("", "day", kNow);
  EXPECT_EQ(month.last, kToday);
  EXPECT_EQ(month.first, kToday - 20);
  EXPECT_EQ(usage_question("2026-11-20", "day", kNow).first, kToday - 1);
  EXPECT_EQ(usage_question("1970-01-02", "day", kNow).first, 1);
  for (const char* wrong : {"2026-13-01", "yesterday", "2026-11-2x", "2026/11/21", "-026-11-21"}) {
    EXPECT_THROW(static_cast<void>(usage_question(wrong, "day", kNow)), std::invalid_argument) << wrong;
  }
  EXPECT_THROW(static_cast<void>(usage_question("", "colour", kNow)), std::invalid_argument);
}

}  // namespace
}  // namespace gatehouse
