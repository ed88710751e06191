#include "db/store/files/ballast.hpp"

#include <gatehouse/base/unique_fd.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace gatehouse::db {

/// Of the file itself, not of one that a link leads to.
std::int64_t Ballast::size() const noexcept {
  struct stat found {};
  return ::lstat(path_.c_str(), &found) == 0 && S_ISREG(found.st_mode) ? found.st_size : 0;
}

bool Ballast::release() noexcept {
  const bool had_room = size() > 0;
  return ::unlink(path_.c_str()) == 0 && had_room;
}

std::uint64_t Ballast::room() const noexcept {
  struct statvfs disk {};
  const std::filesystem::path folder = path_.parent_path();
  if (::statvfs(folder.empty() ? "." : folder.c_str(), &disk) != 0) return 0;
  return disk.f_bavail * disk.f_frsize;
}

void Ballast::restore(std::uint64_t free) noexcept {
  if (size() >= kBytes || room() < kBytes + free) return;
  ::unlink(path_.c_str());  // it holds nothing; and what a link leads to must not be filled up
  const UniqueFd file(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (file && ::posix_fallocate(file.get(), 0, kBytes) != 0) ::unlink(path_.c_str());
}

}  // namespace gatehouse::db
