#include "gateway/daemon/daemon_store.hpp"

#include "db/file/paths.hpp"
#include "db/store/state_reader.hpp"
#include "gateway/base/refusal.hpp"
#include "gateway/base/utc_time.hpp"
#include "gateway/daemon/process.hpp"
#include "gateway/daemon/store_tables.hpp"
#include "gateway/policy/calendar.hpp"
#include "policy/month.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <utility>

namespace gatehouse {
namespace {

using std::chrono::seconds;

std::unique_ptr<db::Store> open_store(const StoreConfig& config, const StoreEvents& events,
                                      db::SyncState is_synchronised) {
  const std::filesystem::path file = config.state_db();
  if (file.empty()) return db::open_memory_store();
  make_folder(file.parent_path(), kStateFolderMode);
  require_own(db::resolved(file).parent_path());
  require_own(db::secrets_beside(file).parent_path());
  refuse_unless(db::why_not_own_store(file));
  const auto say = [log = events.log](const std::string& sentence) {
    if (log) log(LogMessage::warning(sentence));
  };
  return db::open_sqlite_store(file, config.retention, say, is_synchronised);
}

/// The question of a caller of the control API.
struct Question {
  std::size_t most = kMostShown;
  bool ended = false;
  std::string plugin, since, by = "identity";

  /// @throws std::invalid_argument
  explicit Question(const std::string& json) {
    try {
      const auto body = nlohmann::json::parse(json);
      most = shown_of(body.value("most", most));
      ended = body.value("ended", ended);
      plugin = body.value("plugin", plugin);
      since = body.value("since", since);
      by = body.value("by", by);
    } catch (const nlohmann::json::exception&) {
      throw std::invalid_argument(
          "ask with an object of `most` (a number, 0 = as many as can be shown at once), `ended` (true or false), "
          "`plugin`, `since`, `by`");
    }
  }
};

/// Bytes of IPv4 and UDP headers, which quotas count and the store does not: it knows of no families.
constexpr std::uint64_t kHeaders = 28;

}  // namespace

DaemonStore::DaemonStore(const StoreConfig& config, StoreEvents events, db::SyncState is_synchronised)
    : config_(config) {
  const LogSink log = events.log;
  writer_ =
      std::make_unique<StoreWriter>(open_store(config, events, is_synchronised), config.on_failure, std::move(events));
  if (!log) return;
  for (const LogMessage& message : opening_messages(config_, writer_->opening())) log(message);
}

DaemonStore::~DaemonStore() = default;

void DaemonStore::restore_quotas(KeyMeters& meters) const {
  const std::int64_t today = Calendar().periods().day;
  std::map<std::string, std::int64_t> last_days;  // of each payer, but for those that a wrong clock has yet to come to
  for (const db::UsageRecord& record : writer_->remembered_usage()) {
    if (record.key.identity.empty() || record.key.day > today) continue;
    std::int64_t& last = last_days[record.key.identity];
    last = std::max(last, record.key.day);
  }
  std::map<std::string, policy::QuotaMeter::Earlier> payers;
  for (const db::UsageRecord& record : writer_->remembered_usage()) {
    const auto last = last_days.find(record.key.identity);
    if (last == last_days.end() || record.key.day > last->second) continue;
    if (record.key.day < policy::first_day_of_month(last->second)) continue;
    policy::QuotaMeter::Earlier& earlier = payers[record.key.identity];
    const db::TrafficTotals& totals = record.totals;
    const std::uint64_t bytes =
        totals.bytes_up + totals.bytes_down + kHeaders * (totals.packets_up + totals.packets_down);
    earlier.periods = Calendar(std::chrono::sys_days(std::chrono::days(last->second))).periods();
    earlier.in_month += bytes;
    if (record.key.day == last->second) earlier.in_day += bytes;
  }
  for (const auto& [payer, earlier] : payers) meters.remember(payer, earlier);
}

void DaemonStore::take_over(const StoreConfig& next) {
  config_ = next;
  writer_->set_on_failure(next.on_failure);
  writer_->set_retention(next.retention);
}

bool DaemonStore::close(Clock::time_point deadline) { return std::exchange(closed_, true) || writer_->close(deadline); }

/// Has everything written, within a second; not while writes fail. @return is state.db up to date now?
bool DaemonStore::write_all() { return !writer_->status().failing && writer_->flush(Clock::now() + seconds(1)); }

ShownSessions DaemonStore::sessions_shown(const std::string& question) {
  const Question asked(question);
  std::vector<LiveSession> rows = sessions()->rows();
  if (!asked.plugin.empty())
    std::erase_if(rows, [&](const LiveSession& session) { return session.record.plugin != asked.plugin; });
  Shown shown{.most = asked.most};
  if (asked.ended && !config_.state_db().empty()) {
    shown.current = write_all();
    db::StateReader reader(config_.state_db());
    auto ended = reader.ended_sessions(asked.most, asked.plugin);
    shown.others = reader.count_sessions(true, asked.plugin) - ended.size();
    for (LiveSession& session : shown_sessions(std::move(ended), {})) rows.push_back(std::move(session));
  }
  return {shown, std::move(rows)};
}

std::string DaemonStore::end_sessions_body(const std::string& question) {
  const auto asked = nlohmann::json::parse(question, nullptr, false);
  const auto identity = asked.is_object() ? asked.find("identity") : asked.end();
  if (!asked.is_object() || identity == asked.end() || !identity->is_string() || identity->get<std::string>().empty())
    throw std::invalid_argument(R"(say whose sessions are to end: {"identity": "token:bob"})");
  const std::size_t count = sessions()->end_identity(identity->get<std::string>(), unix_now());
  return nlohmann::json{{"ended", count}}.dump();
}

std::string DaemonStore::leases_body(const std::string& question) {
  const Question asked(question);
  return leases_json({.most = asked.most}, sessions()->leases().rows(), sessions()->rows());
}

std::string DaemonStore::usage_body(const std::string& question) {
  const Question asked(question);
  const UsageQuestion usage = usage_question(asked.since, asked.by, unix_now());
  if (config_.state_db().empty()) throw std::invalid_argument("the store is memory:, which keeps no usage");
  const bool current = write_all();
  const auto records = db::StateReader(config_.state_db()).usage(usage.first, usage.last);
  return usage_json({.most = asked.most, .current = current}, usage, records);
}

}  // namespace gatehouse
