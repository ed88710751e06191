// A policy's lists beside a copy of it. One thread.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace gatehouse::db {

/// Copies the list files that the rows of `copy` name from `lists/` beside `original` to `lists/` beside `copy`. What
/// is there already is left: files are named by the hash of their content. Blocks while it copies.
/// @return the files that the rows name and that are not beside `original`
/// @throws SqliteError, std::system_error; files that are copied stay
[[nodiscard]] std::vector<std::string> copy_lists(const std::filesystem::path& original,
                                                  const std::filesystem::path& copy);

}  // namespace gatehouse::db
