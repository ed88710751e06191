// What is done to a database's files beside SQLite: making, syncing, removing. Thread-safe: no state.
#pragma once

#include <filesystem>
#include <system_error>

namespace gatehouse::db {

/// What the system refuses, as "PATH: No space left on device".
class FileError : public std::system_error {
 public:
  /// @param code  errno
  FileError(std::filesystem::path path, int code)
      : std::system_error(code, std::system_category(), path.string()), path_(std::move(path)) {}
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

/// An empty file of that mode, whatever the umask is: SQLite fills it, and would itself make one that all can read.
/// @return false: there is one @throws FileError
[[nodiscard]] bool make_file(const std::filesystem::path& path, std::filesystem::perms mode);

/// Both survive a power cut then: what a file holds; which names a folder has. @throws FileError
void sync_file(const std::filesystem::path& path);
void sync_folder(const std::filesystem::path& folder);

/// A database that nobody has open, with its log, the log's index and its journal: what is there of them.
void remove_database(const std::filesystem::path& path) noexcept;

}  // namespace gatehouse::db
