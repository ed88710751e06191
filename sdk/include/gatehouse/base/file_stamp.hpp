// Which file a path names and whether it was written to, as stat() tells it. Values.
#pragma once

#include <gatehouse/base/unique_fd.hpp>

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>

namespace gatehouse {

/// All zero where nothing can be found. Each of() but the first is one system call.
struct FileStamp {
  std::uint64_t device = 0;      ///< of its file system
  std::uint64_t inode = 0;       ///< its number there, never 0 of a file
  std::int64_t size = 0;         ///< bytes
  std::int64_t seconds = 0;      ///< since 1970, UTC: when it was last written to
  std::int64_t nanoseconds = 0;  ///< beyond these, 0 .. 999,999,999

  /// Of what stat(2) has found.
  [[nodiscard]] static FileStamp of(const struct stat& found) noexcept {
    return {found.st_dev, found.st_ino, found.st_size, found.st_mtim.tv_sec, found.st_mtim.tv_nsec};
  }
  /// Of what stands there, links followed.
  [[nodiscard]] static FileStamp of(const char* path) noexcept {
    struct stat found {};
    return ::stat(path, &found) == 0 ? of(found) : FileStamp{};
  }
  /// Of what stands there, links followed.
  [[nodiscard]] static FileStamp of(const std::filesystem::path& path) noexcept { return of(path.c_str()); }
  /// Of an open file.
  [[nodiscard]] static FileStamp of(const UniqueFd& file) noexcept {
    struct stat found {};
    return file && ::fstat(file.get(), &found) == 0 ? of(found) : FileStamp{};
  }

  [[nodiscard]] bool exists() const noexcept { return inode != 0; }
  /// The same file, whatever it holds.
  [[nodiscard]] bool is_file(const FileStamp& other) const noexcept {
    return device == other.device && inode == other.inode;
  }
  bool operator==(const FileStamp&) const = default;
};

}  // namespace gatehouse
