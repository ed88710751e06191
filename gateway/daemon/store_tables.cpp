#include "gateway/daemon/store_tables.hpp"

#include "gateway/base/printable.hpp"
#include "gateway/base/utc_time.hpp"
#include "policy/month.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <stdexcept>
#include <unordered_map>
#include <utility>

namespace gatehouse {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kDay = 86'400;

std::string text(const Json& body) { return printable_json(body.dump(-1, ' ', false, Json::error_handler_t::replace)); }

void add_totals(Json& row, const db::TrafficTotals& totals) {
  row["bytes_up"] = totals.bytes_up;
  row["bytes_down"] = totals.bytes_down;
  row["packets_up"] = totals.packets_up;
  row["packets_down"] = totals.packets_down;
}

Json time_or_null(std::optional<std::int64_t> time) { return time ? Json(rfc3339(*time)) : Json(nullptr); }

void add(db::TrafficTotals& to, const db::TrafficTotals& more) {
  to.bytes_up += more.bytes_up;
  to.bytes_down += more.bytes_down;
  to.packets_up += more.packets_up;
  to.packets_down += more.packets_down;
}

std::uint64_t bytes(const db::TrafficTotals& totals) { return totals.bytes_up + totals.bytes_down; }

std::string date_of(std::int64_t day) { return rfc3339(day * kDay).substr(0, 10); }

std::string key_of(const db::UsageRecord& record, const std::string& by) {
  if (by == "group") return record.key.group_name;
  if (by == "plugin") return record.key.plugin;
  if (by == "day") return date_of(record.key.day);
  return record.key.identity;
}

}  // namespace

std::vector<LiveSession> shown_sessions(std::vector<db::SessionRecord> records,
                                        const std::vector<db::LeaseRecord>& leases) {
  std::unordered_map<std::uint64_t, std::vector<std::string>> held;
  for (const db::LeaseRecord& lease : leases) held[lease.session].push_back(lease.key.resource);
  std::vector<LiveSession> out;
  for (db::SessionRecord& record : records) {
    LiveSession& session = out.emplace_back();
    session.public_id = public_id(record);
    session.record = std::move(record);
    session.record.key.clear();
    session.record.blob.reset();
    if (const auto found = held.find(session.record.id); found != held.end()) session.leases = std::move(found->second);
  }
  return out;
}

namespace {

Json counts_json(const LiveSession& session, const CountNames& names) {
  Json out = Json::object();
  const auto found = names.find(session.record.plugin);
  if (found == names.end()) return out;
  const std::size_t named = std::min(session.counts.size(), found->second.size());
  for (std::size_t i = 0; i < named; ++i)
    if (session.counts[i] != 0) out[std::string(found->second[i])] = session.counts[i];
  return out;
}

}  // namespace

ShownSessions::ShownSessions(Shown shown, std::vector<LiveSession> sessions)
    : shown_(shown), listed_(std::move(sessions)) {
  std::sort(listed_.begin(), listed_.end(), [](const LiveSession& a, const LiveSession& b) {
    return std::pair(a.record.created_at, a.record.id) > std::pair(b.record.created_at, b.record.id);
  });
  if (listed_.size() <= shown_.most) return;
  shown_.others += listed_.size() - shown_.most;
  listed_.resize(shown_.most);
}

std::string sessions_json(const ShownSessions& sessions, const DescribeState& describe, const CountNames& count_names) {
  Json rows = Json::array();
  for (const LiveSession& session : sessions.listed()) {
    const db::SessionRecord& record = session.record;
    Json row = {{"id", session.public_id},
                {"plugin", record.plugin},
                {"identity", record.identity},
                {"group", record.group_name},
                {"source", record.source.address.family() == Family::none ? "" : record.source.to_string()},
                {"created_at", rfc3339(record.created_at)},
                {"last_seen_at", rfc3339(record.last_seen_at)},
                {"ended_at", time_or_null(record.ended_at)}};
    add_totals(row, record.totals);
    row["leases"] = session.leases;
    row["state"] = describe ? describe(session) : "";
    row["counts"] = counts_json(session, count_names);
    rows.push_back(std::move(row));
  }
  const Shown& shown = sessions.shown();
  return text({{"source", shown.from},
               {"current", shown.current},
               {"count", sessions.listed().size() + shown.others},
               {"sessions", std::move(rows)}});
}

std::string leases_json(const Shown& shown, std::vector<db::LeaseRecord> leases,
                        const std::vector<LiveSession>& sessions) {
  std::unordered_map<std::uint64_t, const LiveSession*> holders;
  for (const LiveSession& session : sessions) holders.emplace(session.record.id, &session);
  std::sort(leases.begin(), leases.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
  Json rows = Json::array();
  for (const db::LeaseRecord& lease : leases) {
    if (rows.size() == shown.most) break;
    const auto holder = holders.find(lease.session);
    const bool known = holder != holders.end();
    rows.push_back({{"plugin", lease.key.plugin},
                    {"resource", lease.key.resource},
                    {"session", known ? holder->second->public_id : ""},
                    {"identity", known ? holder->second->record.identity : ""},
                    {"granted_at", rfc3339(lease.granted_at)},
                    {"expires_at", lease.expires_at == 0 ? Json(nullptr) : Json(rfc3339(lease.expires_at))}});
  }
  return text(
      {{"source", shown.from}, {"current", shown.current}, {"count", leases.size()}, {"leases", std::move(rows)}});
}

UsageQuestion usage_question(std::string_view since, const std::string& by, std::int64_t now) {
  if (by != "identity" && by != "group" && by != "plugin" && by != "day") {
    throw std::invalid_argument("usage is told by identity, group, plugin or day, not by `" + by + "`");
  }
  const std::int64_t today = now / kDay;
  if (since.empty()) return {policy::first_day_of_month(today), today, by};
  const std::optional<std::int64_t> first = parse_time(std::string(since));
  if (!first) throw std::invalid_argument("`" + std::string(since) + "` is no date; write it as 2026-11-21");
  return {*first / kDay, today, by};
}

std::string usage_json(const Shown& shown, const UsageQuestion& question, const std::vector<db::UsageRecord>& records) {
  std::map<std::string, db::TrafficTotals> sums;
  db::TrafficTotals all;
  for (const db::UsageRecord& record : records) {
    add(sums[key_of(record, question.by)], record.totals);
    add(all, record.totals);
  }
  std::vector<std::pair<std::string, db::TrafficTotals>> order(sums.begin(), sums.end());
  if (question.by != "day") {
    std::stable_sort(order.begin(), order.end(),
                     [](const auto& a, const auto& b) { return bytes(a.second) > bytes(b.second); });
  }
  Json rows = Json::array();
  for (const auto& [key, totals] : order) {
    if (rows.size() == shown.most) break;
    Json row = {{question.by, key}};
    add_totals(row, totals);
    rows.push_back(std::move(row));
  }
  Json body = {{"source", shown.from},
               {"current", shown.current},
               {"since", date_of(question.first)},
               {"until", date_of(question.last)},
               {"by", question.by},
               {"count", order.size()}};
  add_totals(body, all);
  body["usage"] = std::move(rows);
  return text(body);
}

}  // namespace gatehouse
