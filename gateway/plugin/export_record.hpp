// What an old instance of a plugin leaves to a new one: gh.sessions.export/1 as the host calls it.
#pragma once

#include <gatehouse/abi.h>
#include <gatehouse/base/unique_fd.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace gatehouse {

/// One session, or what the instance has for its devices.
struct ExportRecord {
  std::uint32_t lane = 0;
  std::uint64_t session = 0;
  std::uint32_t blob_version = 0;
  std::vector<std::uint8_t> blob, unread, unsent;
  std::vector<UniqueFd> fds;
};

/// Takes every session out of an instance whose lanes have returned; its descriptors are dups. Returns why that went
/// wrong; then `out` has what came all the same, to be put back.
[[nodiscard]] std::optional<std::string> take_sessions(const gh_plugin_ops& ops, gh_instance* instance,
                                                       std::vector<ExportRecord>& out);
/// Puts one into an instance that was started and whose lanes do not run. Its descriptors are the instance's then,
/// unless a sentence comes back.
[[nodiscard]] std::optional<std::string> put_session(const gh_plugin_ops& ops, gh_instance* instance,
                                                     ExportRecord& record);

}  // namespace gatehouse
