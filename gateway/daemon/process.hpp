// What the daemon asks of the system for itself: folders, the service supervisor. Control thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace gatehouse {

/// Of folders with databases: others may not look into them.
inline constexpr std::filesystem::perms kStateFolderMode =
    std::filesystem::perms::owner_all | std::filesystem::perms::group_read | std::filesystem::perms::group_exec;

/// Refuses what somebody else may change: gatehouse/base/own_path.hpp. @throws Refusal
void require_own(const std::filesystem::path& path);

/// Makes `folder` with that mode, and its parents (0755), unless it is there. Whoever made them, nobody else may write
/// to any of them: require_own(). @throws Refusal
void make_folder(const std::filesystem::path& folder, std::filesystem::perms mode);

/// From now on, 1 MB that is freed at the end of a heap goes back to the system, whichever thread's it is. Left alone,
/// glibc keeps twice the largest block that was ever freed, up to 64 MB for each thread: mallopt(3). Who sets the one
/// has the other set, from what size on a block is a mapping of its own: 4 MB, for mapping and unmapping packets'
/// buffers of hundreds of KB, as from 128 KB on, would take forty times as long.
void give_back_freed_memory() noexcept;

/// Tells systemd ("READY=1") when it asked for that with NOTIFY_SOCKET; else does nothing. See sd_notify(3).
void notify_supervisor(std::string_view state) noexcept;
/// Tells it that a reload begins now; READY=1 ends it. For Type=notify-reload, see systemd.service(5).
void notify_reloading() noexcept;

}  // namespace gatehouse
