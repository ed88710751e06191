// What the gateway reports about its store: why it is degraded, its part of `status` and of the metrics, the log
// messages of an opening. Pure functions.
#pragma once

#include "db/store/store.hpp"
#include "gateway/base/log_message.hpp"
#include "gateway/config/config.hpp"
#include "gateway/store/store_status.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace gatehouse {

class OpenMetrics;

/// The store at one moment.
struct StoreFacts {
  StoreConfig config;
  StoreStatus status;
  db::StoreOpening opening;
};

/// Why the gateway's health is not ok because of its store, as sentences; none: it is. @param now  Unix seconds
[[nodiscard]] std::vector<std::string> store_reasons(const StoreFacts& facts, std::int64_t now);
/// {url, failing, on_store_failure, last_error, lag_seconds, dirty_rows, ...}
[[nodiscard]] nlohmann::ordered_json store_json(const StoreFacts& facts);
void write_store_metrics(const StoreStatus& status, OpenMetrics& out);

/// What was not ordinary about the opening, for the log.
[[nodiscard]] std::vector<LogMessage> opening_messages(const StoreConfig& config, const db::StoreOpening& opening);

}  // namespace gatehouse
