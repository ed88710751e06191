// Taking a published block list in: from a file or pipe, through the checks, to a list file and the one row of
// domain_lists that names it. Killed at any moment it leaves the list that was there before. One thread.
#pragma once

#include "db/lists/list_format.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace gatehouse::db {

struct ImportRequest {
  std::string name;                                 ///< of the list, domain_lists.name
  std::optional<ListFormat> format;                 ///< none = told from the first lines
  std::optional<std::string> match, action, group;  ///< none = as the row has it, or the default for a new one
  bool allow_wide = false;                          ///< take entries that cover a public suffix
  bool allow_shrink = false;                        ///< replace a list by one of less than half its names, or of none
  std::string who;                                  ///< for the audit trail
};

struct ImportReport {
  /// One part of a line that is not taken, or an entry that is dangerous.
  struct Finding {
    std::uint64_t line = 0;
    std::string name;  ///< or what else stands there; "" for a line that is too long
    std::string why;
  };
  static constexpr std::size_t kMostFindings = 100;  ///< the others are only counted

  ListFormat format = ListFormat::domains;
  std::string match, action, group;  ///< as the row has them now; group "" = all
  std::uint64_t lines = 0, bytes = 0;
  std::uint64_t entries = 0, exceptions = 0;  ///< names in the list, each once; some may be both
  std::uint64_t duplicates = 0;               ///< names that stood in it before, and said the same
  std::uint64_t rejected = 0;                 ///< parts of lines
  std::vector<Finding> rejects;
  std::uint64_t too_wide = 0;  ///< entries and exceptions that cover a public suffix: left out
  std::vector<Finding> wide;
  std::uint64_t rejected_exceptions = 0;  ///< among the rejected and the too wide: more is blocked than the list says
  std::vector<Finding> lost_exceptions;
  std::uint64_t open = 0;  ///< names of which the format does not say whether those below are meant: `match` does
  std::uint64_t entries_before = 0;  ///< of the list that was there
  std::string file;                  ///< the list file; "" unless it was imported
};

/// The list was read and is not taken; the former one stays. The sentence says why and what to do.
class ImportRefused : public std::runtime_error {
 public:
  ImportRefused(const std::string& sentence, ImportReport so_far)
      : std::runtime_error(sentence), report(std::move(so_far)) {}
  ImportReport report;
};

/// How far an import is; `lines` are read, `names` taken from them.
struct ImportProgress {
  std::uint64_t lines = 0, names = 0, bytes = 0;
};

/// Imports what `fd` gives, up to its end, into `lists/` beside `database`. Needs the text of all names and 18 bytes
/// for each in memory; ten million names take about ten seconds.
/// @param fd        stays the caller's
/// @param progress  called now and then, or empty
/// @throws ImportRefused; SqliteError, std::system_error or std::runtime_error with a sentence when it cannot be done
ImportReport import_list(const std::filesystem::path& database, int fd, const ImportRequest& request,
                         const std::function<void(const ImportProgress&)>& progress);

/// Deletes list files that no row, no undo of a list's last three files and no last good policy names, and what killed
/// imports have left behind. Never a list file younger than an hour. Does nothing when it cannot be sure.
void sweep_list_files(const std::filesystem::path& database) noexcept;

}  // namespace gatehouse::db
