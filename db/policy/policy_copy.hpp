// A copy of policy.db that is known to be readable: what the gateway starts from when policy.db itself is broken.
#pragma once

#include <atomic>
#include <filesystem>

namespace gatehouse::db {

/// Where the gateway keeps its copy of that database: `policy.last-good.db` beside `policy.db`.
[[nodiscard]] std::filesystem::path last_good_path(const std::filesystem::path& database);
/// Where an older copy goes that the present policy does not continue: `policy.last-good.1.db`.
[[nodiscard]] std::filesystem::path former_good_path(const std::filesystem::path& database);

/// Copies the committed rows of `from` to `to`, reads the copy back whole, and only then puts it in place of an older
/// one: a crash leaves either. Mode 0640, on the disk when this returns. Writers of `from` do not wait for it, as long
/// as it is in WAL mode. Blocks: about a second for 100 MB, a minute at most. A file of more than 1 GiB is refused:
/// that is no policy. One call at a time for each `to`.
/// @param former  where an older copy is moved whose edits `from` does not have, for then the file was replaced or
///                went back, and what it replaced may be missed
/// @param stop    set by another thread: the copy is given up; may be null
/// @return was an older copy moved there?
/// @throws SqliteError, std::runtime_error, FileError; `to` is then as it was
bool copy_policy(const std::filesystem::path& from, const std::filesystem::path& to,
                 const std::filesystem::path& former, const std::atomic<bool>* stop = nullptr);

}  // namespace gatehouse::db
