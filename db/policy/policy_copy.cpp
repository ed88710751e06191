#include "db/policy/policy_copy.hpp"

#include "db/lists/list_file.hpp"
#include "db/lists/list_file_writer.hpp"
#include "db/policy/policy_database.hpp"

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

/// A line of the audit trail, or "".
std::string change(Database& database, std::int64_t number) {
  Statement found = database.prepare(
      "SELECT changed_at || ' ' || who || ' ' || table_name || ' ' || row_id || ' ' || ifnull(old_row, '') || ' ' ||"
      " ifnull(new_row, '') FROM changes WHERE id = ?1");
  found.bind(1, number);
  return found.step() ? found.text(0) : "";
}

/// Is `older` a past of `newer`: has it the same newest edit? One that cannot be read is nobody's.
bool is_past_of(const std::filesystem::path& older, const std::filesystem::path& newer) {
  if (!std::filesystem::exists(older)) return true;
  try {
    Database before(older, OpenMode::frozen, kTimeout), now(newer, OpenMode::frozen, kTimeout);
    const char* const revision = "SELECT revision FROM meta";
    const std::int64_t newest = before.number("SELECT max(id) FROM changes");
    return before.number(revision) <= now.number(revision) && change(before, newest) == change(now, newest);
  } catch (const SqliteError&) {
    return false;
  }
}

void move(const std::filesystem::path& from, const std::filesystem::path& to) {
  for (const char* const suffix : {"-wal", "-shm"}) std::filesystem::remove(to.string() + suffix);  // of the older one
  std::filesystem::rename(from, to);
}

std::filesystem::path beside(const std::filesystem::path& database, const char* ending) {
  return database.parent_path() / (database.stem().string() + ending);
}

}  // namespace

std::filesystem::path last_good_path(const std::filesystem::path& database) {
  return beside(database, ".last-good.db");
}

std::filesystem::path former_good_path(const std::filesystem::path& database) {
  return beside(database, ".last-good.1.db");
}

bool copy_policy(const std::filesystem::path& from, const std::filesystem::path& to,
                 const std::filesystem::path& former) {
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
    const bool went_on = is_past_of(to, fresh);
    if (!went_on) move(to, former);
    move(fresh, to);
    sync(to.parent_path());
    return !went_on;
  } catch (...) {
    remove_all_of(fresh);
    throw;
  }
}

std::vector<std::string> copy_lists(const std::filesystem::path& original, const std::filesystem::path& copy) {
  namespace fs = std::filesystem;
  const fs::path from = original.parent_path() / "lists", to = fs::absolute(copy).parent_path() / "lists";
  std::vector<std::string> missing;
  Database database(copy, OpenMode::frozen, kTimeout);
  Statement named = database.prepare("SELECT DISTINCT file FROM domain_lists WHERE file <> '' ORDER BY file");
  while (named.step()) {
    const std::string file = named.text(0);
    if (!is_list_file_name(file) || !fs::exists(from / file)) {
      missing.push_back(file);
    } else if (!fs::exists(to / file)) {
      fs::create_directory(to, from);
      const fs::path unfinished = to / (std::string(kUnfinishedPrefix) + file);
      fs::copy_file(from / file, unfinished, fs::copy_options::overwrite_existing);
      fs::rename(unfinished, to / file);
    }
  }
  return missing;
}

}  // namespace gatehouse::db
