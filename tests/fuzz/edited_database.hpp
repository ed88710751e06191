// A database that an input has written: made by the real migrations, then edited as the input says, in its bytes, its
// schema and its rows. One thread's.
#pragma once

#include "db/file/file_kind.hpp"

#include <gatehouse/base/bytes.hpp>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace gatehouse {

/// Takes an input apart from its beginning. One that is used up gives zeros.
class Script {
 public:
  explicit Script(Bytes input) : rest_(input) {}

  [[nodiscard]] bool is_over() const noexcept { return rest_.empty(); }
  std::uint64_t number(std::size_t bytes) noexcept;
  std::uint8_t byte() noexcept { return static_cast<std::uint8_t>(number(1)); }
  /// As many bytes as the next one says.
  std::string text();

 private:
  Bytes rest_;
};

/// A folder for one process, in memory where there is such a place.
class MemoryFolder {
 public:
  MemoryFolder();
  ~MemoryFolder();
  MemoryFolder(const MemoryFolder&) = delete;
  MemoryFolder& operator=(const MemoryFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  void empty() const;

 private:
  std::filesystem::path path_;
};

/// Files of each version of a kind, twice: as the migrations leave them, and without what refuses rows.
class BaseFiles {
 public:
  /// @param rows  statements; those that an older version refuses are left out
  BaseFiles(const db::FileKind& kind, std::span<const char* const> rows, const std::filesystem::path& folder);

  /// Writes the one that the script chooses; 0 is the newest.
  void write(const std::filesystem::path& to, Script& script) const;

 private:
  std::vector<std::string> contents_;
};

/// Does to the file what the script says next, `most` times or until it is over, as far as SQLite and the file system
/// let it.
void edit(const std::filesystem::path& database, Script& script, unsigned most);

}  // namespace gatehouse
