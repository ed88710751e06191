// What a client is told about a name that policy blocks. A value; thread-safe.
#pragma once

#include <gatehouse/net/dns_message.hpp>
#include <gatehouse/plugin/options.hpp>

#include <optional>

namespace gatehouse {

/// The options `blocked_answer` (nxdomain, nodata, refused or drop) and `blocked_ttl_seconds`, which every frontend
/// that passes DNS on has.
class BlockedAnswer {
 public:
  /// What these options say; the plugin's schema has both.
  explicit BlockedAnswer(const Options& options);

  /// The answer to a query whose question is blocked, or in place of a response that leads to a blocked name; whoever
  /// asks cannot tell one from the other.
  /// @param message  the query, or the response
  /// @param out      may be the message's own buffer; kBlockedAnswerGrowth more than the message always suffice
  /// @return the answer's size in bytes; 0: nothing is to be said, or cannot be (no DNS message, no room)
  [[nodiscard]] std::size_t write(Bytes message, MutableBytes out) const noexcept;

 private:
  std::optional<DnsRcode> rcode_;  // none: nothing is said
  std::uint32_t ttl_ = 0;          // seconds
};

}  // namespace gatehouse
