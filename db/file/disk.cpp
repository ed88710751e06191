#include "db/file/disk.hpp"

#include <gatehouse/base/unique_fd.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace gatehouse::db {

bool make_file(const std::filesystem::path& path, std::filesystem::perms mode) {
  const auto bits = static_cast<mode_t>(mode);
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, bits));
  if (!file && errno == EEXIST) return false;
  if (!file || ::fchmod(file.get(), bits) != 0) throw FileError(path, errno);
  return true;
}

void sync_file(const std::filesystem::path& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file || ::fsync(file.get()) != 0) throw FileError(path, errno);
}

void sync_folder(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder.empty() ? "." : folder;
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!file || (::fsync(file.get()) != 0 && errno != EINVAL)) throw FileError(path, errno);
}

void remove_database(const std::filesystem::path& path) noexcept {
  std::error_code ignored;
  for (const char* const suffix : {"", "-wal", "-shm", "-journal"})
    std::filesystem::remove(path.string() + suffix, ignored);
}

}  // namespace gatehouse::db
