// Writes a compiled domain list (list_file.hpp) so that at no moment a half-written file has a list's name. One thread.
#pragma once

#include "db/lists/list_file.hpp"

namespace gatehouse::db {

/// What importers still running call their files: `.import-XXXXXX`, locked (flock) by their process.
inline constexpr std::string_view kUnfinishedPrefix = ".import-";

/// Every call throws std::system_error when the disk refuses. Without finish() nothing stays behind but, after a
/// kill, an unfinished file that the next import deletes.
class ListFileWriter {
 public:
  /// @param like  the new file gets this file's owner, if this process may give it away; mode 0640
  ListFileWriter(const std::filesystem::path& folder, ListFormat format, const std::filesystem::path& like);
  ~ListFileWriter();
  ListFileWriter(const ListFileWriter&) = delete;
  ListFileWriter& operator=(const ListFileWriter&) = delete;

  /// In the file's order without repetition.
  void add(std::string_view name, policy::ListEntry entry);

  /// Puts the file in place, safely on the disk. @return its name
  [[nodiscard]] std::string finish();

 private:
  void create(const std::filesystem::path& like);
  void end_block();
  void flush();
  void write(Bytes bytes, std::uint64_t at);
  [[nodiscard]] std::string hash() const;
  [[noreturn]] void fail() const;

  std::filesystem::path folder_, path_;  // path_: of the unfinished file, "" when there is none
  ListFormat format_;
  UniqueFd fd_;
  std::uint64_t entries_ = 0, exceptions_ = 0, names_ = 0;
  std::uint64_t written_ = list_layout::header_size(list_layout::kVersion);  // to the file
  std::vector<std::byte> blocks_;                                            // not written yet
  std::size_t block_ = 0;                                                    // where the open block begins in them
  std::size_t in_block_ = 0;                                                 // names
  std::string last_;
  std::vector<std::byte> index_;
};

}  // namespace gatehouse::db
