#include "gateway/daemon/store_report.hpp"

#include "gateway/base/openmetrics.hpp"
#include "gateway/base/utc_time.hpp"

#include <nlohmann/json.hpp>

namespace gatehouse {
namespace {

using Json = nlohmann::ordered_json;

std::string consequence(OnStoreFailure on_failure) {
  switch (on_failure) {
    case OnStoreFailure::serve: return "new sessions and leases are served from memory, and a crash would forget them";
    case OnStoreFailure::no_new: return "new sessions and leases are refused";
    case OnStoreFailure::stop: return "the gateway stops";
  }
  return "";
}

std::string files(const std::vector<std::filesystem::path>& moved) {
  std::string out;
  for (const auto& file : moved) out += (out.empty() ? "" : ", ") + file.string();
  return out;
}

std::string sentence_of_moved(const db::StoreOpening& opening) {
  return "the store was broken and began anew; what was there is kept as " + files(opening.moved);
}

std::string sentence_of_missing(const db::StoreOpening& opening) {
  return "the store has lost commits: its log was cut or taken away, or the file is an older copy; a resource that it "
         "does not know (an address, say) may be leased, and is given to nobody until " +
         rfc3339(opening.unsure_until) +
         "; values of plugins may be older than they were, and numbers that they reserve leap ahead";
}

}  // namespace

std::vector<std::string> store_reasons(const StoreFacts& facts, std::int64_t now) {
  std::vector<std::string> out;
  if (facts.status.failing) {
    out.push_back("store: " + facts.status.last_error + "; " + std::to_string(facts.status.dirty_rows) +
                  " rows wait since " + std::to_string(facts.status.lag.count()) + " s; " +
                  consequence(facts.config.on_failure));
  }
  if (facts.status.aside != 0) {
    out.push_back("store: " + std::to_string(facts.status.aside) +
                  " rows are not written, and a restart would forget them; the last one " + facts.status.last_aside);
  }
  if (!facts.status.excess.empty()) out.push_back("store: " + facts.status.excess);
  if (!facts.opening.moved.empty()) out.push_back("store: " + sentence_of_moved(facts.opening));
  if (facts.opening.unsure_until > now) out.push_back("store: " + sentence_of_missing(facts.opening));
  for (const std::string& remark : facts.opening.remarks) out.push_back("store: " + remark);
  return out;
}

Json store_json(const StoreFacts& facts) {
  const StoreStatus& status = facts.status;
  std::string opening;
  for (const LogMessage& message : opening_messages(facts.config, facts.opening)) {
    opening += (opening.empty() ? "" : "; ") + message.text;
  }
  return {{"url", facts.config.url},
          {"failing", status.failing},
          {"on_store_failure", to_text(facts.config.on_failure)},
          {"last_error", status.last_error},
          {"lag_seconds", status.lag.count()},
          {"dirty_rows", status.dirty_rows},
          {"commits", status.commits},
          {"rows", status.rows},
          {"failures", status.failures},
          {"served_undurable", status.served_undurable},
          {"refused", status.refused},
          {"forgotten", status.forgotten},
          {"set_aside", status.aside},
          {"last_set_aside", status.last_aside},
          {"displaced", status.displaced},
          {"unsure_until", status.unsure_until == 0 ? Json(nullptr) : Json(rfc3339(status.unsure_until))},
          {"opening", opening}};
}

void write_store_metrics(const StoreStatus& status, OpenMetrics& out) {
  const auto gauge = [&out](const char* name, const char* help, std::uint64_t value) {
    out.gauge(name, help, {}, static_cast<std::int64_t>(value));
  };
  gauge("gatehouse_store_failing", "1 while the store cannot be written.", status.failing ? 1 : 0);
  gauge("gatehouse_store_lag_seconds", "Age of the oldest change that is not on disk.",
        static_cast<std::uint64_t>(status.lag.count()));
  gauge("gatehouse_store_dirty_rows", "Rows that wait to be written.", status.dirty_rows);
  out.counter("gatehouse_store_commits", "Transactions of the store.", {}, status.commits);
  out.counter("gatehouse_store_rows", "Rows that were written.", {}, status.rows);
  out.counter("gatehouse_store_failures", "Writes that failed.", {}, status.failures);
  out.counter("gatehouse_store_served_undurable", "Clients that were answered before the disk had their row.", {},
              status.served_undurable);
  out.counter("gatehouse_store_refused", "New sessions and leases that were refused, as nothing could be written.", {},
              status.refused);
  out.counter("gatehouse_store_forgotten", "Ended sessions that were given up, as too many waited to be written.", {},
              status.forgotten);
  gauge("gatehouse_store_set_aside", "Rows that the store cannot take, and that do not hold up the others.",
        status.aside);
  out.counter("gatehouse_store_displaced", "Idle sessions that were ended for others, as the table was full.", {},
              status.displaced);
}

std::vector<LogMessage> opening_messages(const StoreConfig& config, const db::StoreOpening& opening) {
  std::vector<LogMessage> out;
  if (!opening.moved.empty()) out.push_back(LogMessage::warning(sentence_of_moved(opening)));
  if (opening.unsure_until != 0) out.push_back(LogMessage::warning(sentence_of_missing(opening)));
  for (const std::string& remark : opening.remarks) out.push_back(LogMessage::warning(remark));
  if (!opening.backup.empty()) {
    out.push_back(LogMessage::info(config.state_db().string() + " was migrated from schema version " +
                                   std::to_string(opening.from_version) + "; it was copied to " +
                                   opening.backup.string() + " before"));
  }
  if (opening.created && opening.moved.empty()) out.push_back(LogMessage::info("made " + config.state_db().string()));
  if (!opening.clean && opening.unsure_until == 0) {
    out.push_back(LogMessage::info("the last gateway did not end in an orderly way; what it had written is there"));
  }
  return out;
}

}  // namespace gatehouse
