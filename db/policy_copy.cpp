#include "db/policy_copy.hpp"

#include "db/policy_database.hpp"

#include <gatehouse/base/unique_fd.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace gatehouse::db {
namespace {

constexpr std::chrono::milliseconds kTimeout{1000};

UniqueFd open_file(const std::filesystem::path& path, int flags, mode_t mode = 0) {
  UniqueFd out(::open(path.c_str(), flags | O_CLOEXEC, mode));
  if (!out) throw std::system_error(errno, std::system_category(), path.string());
  return out;
}

void sync(const std::filesystem::path& path) {
  const UniqueFd file = open_file(path, O_RDONLY);
  if (::fsync(file.get()) != 0) throw std::system_error(errno, std::system_category(), path.string());
}

void remove_all_of(const std::filesystem::path& path) noexcept {
  std::error_code ignored;
  for (const char* const suffix : {"", "-wal", "-shm", "-journal"})
    std::filesystem::remove(path.string() + suffix, ignored);
}

}  // namespace

void copy_policy(const std::filesystem::path& from, const std::filesystem::path& to) {
  const std::filesystem::path fresh = to.string() + ".new";
  remove_all_of(fresh);
  try {
    open_file(fresh, O_CREAT | O_EXCL | O_WRONLY, 0640).reset();  // VACUUM fills an empty file and keeps its mode
    {
      Database database(from, OpenMode::read_write, kTimeout);
      database.checkpoint_on_close(false);
      Statement statement = database.prepare("VACUUM INTO ?1");
      statement.bind(1, fresh.string());
      static_cast<void>(statement.step());
    }
    static_cast<void>(PolicyDatabase(fresh).load());
    sync(fresh);
    for (const char* const suffix : {"-wal", "-shm"})
      std::filesystem::remove(to.string() + suffix);  // of the older one
    std::filesystem::rename(fresh, to);
    sync(to.parent_path());
  } catch (...) {
    remove_all_of(fresh);
    throw;
  }
}

}  // namespace gatehouse::db
