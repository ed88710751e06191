#include "db/policy/policy_copy.hpp"

#include "db/file/disk.hpp"
#include "db/file/file_kind.hpp"
#include "db/file/paths.hpp"
#include "db/policy/policy_database.hpp"

#include <cerrno>

namespace gatehouse::db {
namespace {

constexpr std::chrono::milliseconds kTimeout{1000};

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
  remove_database(fresh);
  try {
    if (!make_file(fresh, policy_kind().mode)) throw FileError(fresh, EEXIST);  // VACUUM fills it and keeps its mode
    {
      Database database(from, OpenMode::read_write, kTimeout);
      database.checkpoint_on_close(false);
      Statement statement = database.prepare("VACUUM INTO ?1");
      statement.bind(1, fresh.string());
      static_cast<void>(statement.step());
    }
    static_cast<void>(PolicyDatabase(fresh).load());
    sync_file(fresh);
    const bool went_on = is_past_of(to, fresh);
    if (!went_on) move(to, former);
    move(fresh, to);
    sync_folder(to.parent_path());
    return !went_on;
  } catch (...) {
    remove_database(fresh);
    throw;
  }
}

}  // namespace gatehouse::db
