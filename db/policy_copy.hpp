// A copy of policy.db that is known to be readable: what the gateway starts from when policy.db itself is broken.
#pragma once

#include <filesystem>

namespace gatehouse::db {

/// Copies the committed rows of `from` to `to`, reads the copy back whole, and only then puts it in place of an older
/// one: a crash leaves either. Mode 0640, on the disk when this returns. Writers of `from` do not wait for it, as long
/// as it is in WAL mode. Blocks: about a second for 100 MB. One call at a time for each `to`.
/// @throws SqliteError, std::runtime_error, std::system_error; `to` is then as it was
void copy_policy(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace gatehouse::db
