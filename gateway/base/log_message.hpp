// What a part of the gateway reports to the log without knowing the log: one sentence, and whether it is a warning.
#pragma once

#include <functional>
#include <string>
#include <utility>

namespace gatehouse {

struct LogMessage {
  bool is_warning = false;  ///< somebody has to act on it, or the gateway is degraded
  std::string text;         ///< a sentence without the full stop

  [[nodiscard]] static LogMessage info(std::string text) { return {false, std::move(text)}; }
  [[nodiscard]] static LogMessage warning(std::string text) { return {true, std::move(text)}; }
  bool operator==(const LogMessage&) const = default;
};

/// Writes a message to the log. Must not throw.
using LogSink = std::function<void(const LogMessage& message)>;

}  // namespace gatehouse
