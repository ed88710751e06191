// What people should know about a plugin, as long as it is so: `gatehouse status` says it.
#pragma once

#include <gatehouse/plugin/border.hpp>
#include <gatehouse/plugin/host.hpp>

#include <string_view>

namespace gatehouse {

/// Thread-safe; copies are cheap and refer to the same host. A host that has no such thing is told nothing: what must
/// be known goes to the log as well.
class Notices {
 public:
  /// Where the host has no gh.notices/1, all of it does nothing.
  explicit Notices(const Host& host) noexcept : table_(host.find<gh_notices>(GH_NOTICES_ID)) {}

  /// Worth knowing, and to be mended by whoever minds.
  void note(std::string_view name, std::string_view sentence) const noexcept { set(name, GH_NOTICE_NOTE, sentence); }
  /// It does less than it was asked to: the gateway's state is `degraded`, with this reason.
  void degrade(std::string_view name, std::string_view sentence) const noexcept {
    set(name, GH_NOTICE_DEGRADED, sentence);
  }
  /// It is so no more.
  void clear(std::string_view name) const noexcept { set(name, GH_NOTICE_NOTE, {}); }

 private:
  /// @param name      what it is about: 32 bytes at most, 16 of them; a later sentence takes the place of the one
  /// before
  /// @param sentence  what is so and what to do: 512 bytes at most. The host locks
  void set(std::string_view name, std::uint32_t kind, std::string_view sentence) const noexcept {
    if (table_ != nullptr) table_->set(table_->context, to_border(name), kind, to_border(sentence));
  }

  const gh_notices* table_;
};

}  // namespace gatehouse
