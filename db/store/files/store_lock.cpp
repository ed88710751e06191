#include "db/store/files/store_lock.hpp"

#include "db/store/failure.hpp"
#include "db/store/files/utc_now.hpp"

#include <gatehouse/base/file_stamp.hpp>
#include <gatehouse/base/own_path.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <sstream>

namespace gatehouse::db {
namespace {

/// Its arguments, as ps shows them, or "" when there is no such process to be seen.
std::string command_of(const std::string& pid) {
  std::ifstream in("/proc/" + pid + "/cmdline", std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  std::string command = text.str();
  while (!command.empty() && command.back() == '\0') command.pop_back();
  std::replace(command.begin(), command.end(), '\0', ' ');
  constexpr std::size_t kEnough = 120;
  return command.size() > kEnough ? command.substr(0, kEnough) + "..." : command;
}

std::string holder(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::string pid, since;
  in >> pid >> since;
  if (pid.empty()) return "another process";
  const std::string command = command_of(pid);
  return "process " + pid + (command.empty() ? " (of another container, perhaps)" : " (" + command + ")") +
         (since.empty() ? "" : ", since " + since);
}

/// Read-only where nothing else can be had: that suffices for a lock.
UniqueFd open_lock(const std::filesystem::path& path) {
  UniqueFd file = open_or_make(path, O_RDWR, 0640);
  if (!file && (errno == EROFS || errno == EACCES)) {
    const int first = errno;
    file = open_own(path, O_RDONLY);
    if (!file) throw store_error(path, first);
  }
  if (!file) throw StoreError(store_error(path, errno).kind(), why_not_opened(path, errno));
  return file;
}

/// Is this file still what the path names?
bool is_there(const UniqueFd& file, const std::filesystem::path& path) noexcept {
  const FileStamp mine = FileStamp::of(file);
  return mine.exists() && mine.is_file(FileStamp::of(path));
}

}  // namespace

StoreLock::StoreLock(const std::filesystem::path& path, const std::filesystem::path& database) {
  do {
    file_ = open_lock(path);
    if (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) throw store_error(path, errno);
      throw std::runtime_error(database.string() + " is in use by another gateway: " + holder(path) +
                               "; stop that one, or give this one another [gateway] state_dir");
    }
  } while (!is_there(file_, path));
  const std::string text = std::to_string(::getpid()) + " " + utc_now("%Y-%m-%dT%H:%M:%SZ") + "\n";
  // The lock counts, not what the file says: on a full disk it may say nothing.
  if (::ftruncate(file_.get(), 0) == 0 && ::pwrite(file_.get(), text.data(), text.size(), 0) < 0) return;
}

}  // namespace gatehouse::db
