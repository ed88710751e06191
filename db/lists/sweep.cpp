#include "db/file/paths.hpp"
#include "db/file/work_limit.hpp"
#include "db/lists/import.hpp"
#include "db/lists/list_file_writer.hpp"
#include "db/policy/policy_copy.hpp"
#include "db/policy/policy_database.hpp"
#include "db/sqlite.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>

namespace gatehouse::db {
namespace {

constexpr std::chrono::milliseconds kReaderTimeout{1000};
constexpr std::chrono::seconds kYoung{3600};  // its import may not have come to its transaction yet

constexpr std::int64_t kKept = 3;

using Names = std::set<std::string, std::less<>>;

/// What the rows name, and what undos of each list's last kKept changes of its file would name again.
void add_named(const std::filesystem::path& path, Names& names) {
  Database database(path, OpenMode::read_write, kReaderTimeout);
  limit_values(database, PolicyDatabase::kLongestChange);
  const WorkLimit limit(database, PolicyDatabase::kPatience, nullptr);
  must_be_tables(database);
  database.run("PRAGMA query_only = ON");
  Statement statement = database.prepare(
      "SELECT file FROM domain_lists UNION SELECT json_extract(old_row, '$.file') FROM"
      " (SELECT old_row, row_number() OVER (PARTITION BY row_id ORDER BY id DESC) AS age FROM changes"
      "  WHERE table_name = 'domain_lists' AND old_row IS NOT NULL"
      "  AND json_extract(old_row, '$.file') IS NOT json_extract(new_row, '$.file')) WHERE age <= ?1");
  statement.bind(1, kKept);
  while (statement.step())
    if (const auto file = statement.optional_text(0)) names.insert(*file);
}

/// A temporary file whose importer holds no lock on it any more.
bool is_abandoned(const std::filesystem::path& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  return fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0;
}

bool is_young(const std::filesystem::path& path) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) return true;
  return std::chrono::system_clock::from_time_t(found.st_mtime) + kYoung > std::chrono::system_clock::now();
}

}  // namespace

void sweep_list_files(const std::filesystem::path& database) noexcept try {
  Names named;
  add_named(database, named);
  for (const std::filesystem::path& copy : {last_good_path(database), former_good_path(database)})
    if (std::filesystem::exists(copy)) add_named(copy, named);
  for (const auto& entry : std::filesystem::directory_iterator(lists_beside(database))) {
    const std::string name = entry.path().filename().string();
    const bool is_left_over = is_list_file_name(name)
                                  ? !named.contains(name) && !is_young(entry.path())
                                  : name.starts_with(kUnfinishedPrefix) && is_abandoned(entry.path());
    if (is_left_over) ::unlink(entry.path().c_str());
  }
} catch (const std::exception&) {  // the next import sweeps again
}

}  // namespace gatehouse::db
