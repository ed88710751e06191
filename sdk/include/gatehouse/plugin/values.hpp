// Named values that the host keeps for the plugin: keys, counters. For control code and handshakes: the host locks.
#pragma once

#include <gatehouse/plugin/completions.hpp>
#include <gatehouse/plugin/host.hpp>

#include <optional>
#include <string_view>
#include <vector>

namespace gatehouse {

/// How a value is kept.
enum class ValueKind : std::uint32_t {
  plain = GH_VALUE_PLAIN,   ///< with everything else that the gateway remembers
  secret = GH_VALUE_SECRET  ///< in a file that only the gateway's user can read, and shown nowhere
};

/// Names have 1 to 255 bytes, values 4096 at most; Errc::invalid tells of others. Thread-safe where no scope or queue
/// is involved, which are their owner's; copies are cheap and refer to the same host.
class Values {
 public:
  /// Of this plugin alone: others have values of the same names.
  explicit Values(const Host& host) noexcept : table_(&host.values()) {}

  /// Empty: there is no such value. @throws std::invalid_argument for no name
  [[nodiscard]] std::optional<std::vector<std::byte>> get(std::string_view name) const;
  /// Keeps it under that name, in place of another. On disk soon; `durable` tells when, on the scope's thread.
  Error put(std::string_view name, Bytes value, ValueKind kind) const;
  /// The same, and `durable` runs on the scope's thread when it would survive a crash, or with Errc::io.
  Error put(std::string_view name, Bytes value, ValueKind kind, CompletionScope& scope, Completion durable) const;
  /// Errc::not_found: there is none.
  Error erase(std::string_view name) const;
  /// [control] put(), and waits until it is on disk: for what must not be used before, such as a new key, in start().
  /// Errc::io: it is not, after that time.
  [[nodiscard]] Error put_and_wait(std::string_view name, Bytes value, ValueKind kind, CompletionQueue& completions,
                                   Nanoseconds most = std::chrono::seconds(5)) const;

 private:
  const gh_values* table_;
};

}  // namespace gatehouse
