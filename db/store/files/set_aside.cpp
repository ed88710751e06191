#include "db/store/files/set_aside.hpp"

#include "db/store/failure.hpp"
#include "db/store/files/utc_now.hpp"

#include <gatehouse/base/unique_fd.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
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

std::vector<std::filesystem::path> rename_all(const std::filesystem::path& database,
                                              std::initializer_list<const char*> suffixes) {
  const std::string to = free_name(database);
  std::vector<std::filesystem::path> done;
  for (const char* const suffix : suffixes) {
    const std::string from = database.string() + suffix;
    if (::rename(from.c_str(), (to + suffix).c_str()) == 0) {
      done.emplace_back(to + suffix);
    } else if (errno != ENOENT) {
      throw store_error(from, errno);
    }
  }
  sync_folder(database.parent_path());
  return done;
}

}  // namespace

std::vector<std::filesystem::path> set_aside(const std::filesystem::path& database) {
  return rename_all(database, {"", "-wal", "-shm", "-journal"});
}

std::vector<std::filesystem::path> set_log_aside(const std::filesystem::path& database) {
  std::error_code ignored;
  const auto size = std::filesystem::file_size(database.string() + "-wal", ignored);
  if (ignored || size == 0) return {};
  return rename_all(database, {"-wal", "-shm"});
}

void sync_folder(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder.empty() ? "." : folder;
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!file || (::fsync(file.get()) != 0 && errno != EINVAL)) throw store_error(path, errno);
}

}  // namespace gatehouse::db
