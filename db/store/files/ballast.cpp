#include "db/store/files/ballast.hpp"

#include <gatehouse/base/file_stamp.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace gatehouse::db {

bool Ballast::release() noexcept {
  const bool had_room = FileStamp::of(path_).size > 0;
  return ::unlink(path_.c_str()) == 0 && had_room;
}

std::uint64_t Ballast::room() const noexcept {
  struct statvfs disk {};
  const std::filesystem::path folder = path_.parent_path();
  if (::statvfs(folder.empty() ? "." : folder.c_str(), &disk) != 0) return 0;
  return disk.f_bavail * disk.f_frsize;
}

void Ballast::restore(std::uint64_t free) noexcept {
  if (FileStamp::of(path_).size >= kBytes || room() < kBytes + free) return;
  const UniqueFd file(::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (file && ::posix_fallocate(file.get(), 0, kBytes) != 0) ::unlink(path_.c_str());
}

}  // namespace gatehouse::db
