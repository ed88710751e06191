#include "db/lists/list_copy.hpp"

#include "db/file/paths.hpp"
#include "db/file/work_limit.hpp"
#include "db/lists/list_file.hpp"
#include "db/lists/list_file_writer.hpp"
#include "db/policy/policy_database.hpp"
#include "db/sqlite.hpp"

namespace gatehouse::db {

std::vector<std::string> copy_lists(const std::filesystem::path& original, const std::filesystem::path& copy) {
  namespace fs = std::filesystem;
  constexpr std::chrono::milliseconds kTimeout{1000};
  const fs::path from = lists_beside(original), to = lists_beside(fs::absolute(copy));
  std::vector<std::string> missing;
  Database database(copy, OpenMode::frozen, kTimeout);
  limit_values(database, PolicyDatabase::kLongestValue);
  must_be_tables(database);
  Statement named = database.prepare("SELECT DISTINCT file FROM domain_lists WHERE file <> '' ORDER BY file");
  while (named.step()) {
    const std::string file = named.text(0);
    if (!is_list_file_name(file) || !fs::exists(from / file)) {
      missing.push_back(file);
    } else if (!fs::exists(to / file)) {
      fs::create_directory(to, from);
      const fs::path unfinished = to / (std::string(kUnfinishedPrefix) + file);
      fs::remove(unfinished);  // of a copy that did not come to its end
      fs::copy_file(from / file, unfinished);
      fs::rename(unfinished, to / file);
    }
  }
  return missing;
}

}  // namespace gatehouse::db
