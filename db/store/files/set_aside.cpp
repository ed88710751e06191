#include "db/store/files/set_aside.hpp"

#include "db/file/disk.hpp"
#include "db/file/paths.hpp"
#include "db/store/files/utc_now.hpp"

#include <cerrno>
#include <cstdio>
#include <initializer_list>

namespace gatehouse::db {
namespace {

/// A name beside `database` that is free with each suffix.
std::string free_name(const std::filesystem::path& database) {
  const std::string first = database.string() + ".corrupt-" + utc_now("%Y%m%dT%H%M%SZ");
  for (int i = 0;; ++i) {
    const std::string name = i == 0 ? first : first + "." + std::to_string(i);
    if (!std::filesystem::exists(name) && !std::filesystem::exists(name + "-wal")) return name;
  }
}

void rename_all(const std::filesystem::path& database, std::initializer_list<const char*> suffixes,
                std::vector<std::filesystem::path>& moved) {
  const std::string to = free_name(database);
  for (const char* const suffix : suffixes) {
    const std::string from = database.string() + suffix;
    if (::rename(from.c_str(), (to + suffix).c_str()) == 0) {
      moved.emplace_back(to + suffix);
    } else if (errno != ENOENT) {
      throw FileError(from, errno);
    }
  }
  sync_folder(database.parent_path());
}

}  // namespace

void set_aside(const std::filesystem::path& database, std::vector<std::filesystem::path>& moved) {
  rename_all(database, {"", "-wal", "-shm", "-journal"}, moved);
}

void set_log_aside(const std::filesystem::path& database, std::vector<std::filesystem::path>& moved) {
  std::error_code ignored;
  const auto size = std::filesystem::file_size(log_of(database), ignored);
  if (!ignored && size > 0) rename_all(database, {"-wal", "-shm"}, moved);
}

}  // namespace gatehouse::db
