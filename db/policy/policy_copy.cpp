#include "db/policy/policy_copy.hpp"

#include "db/file/disk.hpp"
#include "db/file/file_kind.hpp"
#include "db/file/paths.hpp"
#include "db/file/work_limit.hpp"
#include "db/policy/policy_database.hpp"

#include <cerrno>
#include <stdexcept>
#include <string>
#include <vector>

namespace gatehouse::db {
namespace {

constexpr std::chrono::milliseconds kTimeout{1000};
constexpr std::chrono::seconds kPatience{60};  // with the disk
constexpr std::int64_t kLargest = 2 * static_cast<std::int64_t>(PolicyDatabase::kMostBytes);

/// A line of the audit trail; empty where it has none of that number.
std::vector<Cell> change(Database& database, std::int64_t number) {
  Statement found =
      database.prepare("SELECT changed_at, who, table_name, row_id, old_row, new_row FROM changes WHERE id = ?1");
  found.bind(1, number);
  std::vector<Cell> out;
  if (!found.step()) return out;
  for (int i = 0; i < found.columns(); ++i) out.push_back(found.cell(i));
  return out;
}

/// Is `older` a past of `newer`: has it the same newest edit? One that cannot be read is nobody's.
bool is_past_of(const std::filesystem::path& older, const std::filesystem::path& newer) {
  if (!std::filesystem::exists(older)) return true;
  try {
    Database before(older, OpenMode::frozen, kTimeout), now(newer, OpenMode::frozen, kTimeout);
    for (Database* const one : {&before, &now}) {
      limit_values(*one, PolicyDatabase::kLongestChange);
      must_be_tables(*one);
    }
    const char* const revision = "SELECT revision FROM meta";
    const std::int64_t newest = before.number("SELECT max(id) FROM changes");
    return before.number(revision) <= now.number(revision) && change(before, newest) == change(now, newest);
  } catch (const std::runtime_error&) {
    return false;
  }
}

/// Everything in the file is copied, also tables of others.
void must_not_be_huge(Database& database) {
  const std::int64_t pages = database.number("PRAGMA page_count") - database.number("PRAGMA freelist_count");
  const std::int64_t bytes = pages * database.number("PRAGMA page_size");
  if (bytes > kLargest)
    throw std::runtime_error(database.path().string() + " has " + std::to_string(bytes >> 20) +
                             " MiB, more than a policy and its history come to: see what else is in it");
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
                 const std::filesystem::path& former, const std::atomic<bool>* stop) {
  const std::filesystem::path fresh = to.string() + ".new";
  remove_database(fresh);
  try {
    if (!make_file(fresh, policy_kind().mode)) throw FileError(fresh, EEXIST);  // VACUUM fills it and keeps its mode
    {
      Database database(from, OpenMode::read_write, kTimeout);
      database.checkpoint_on_close(false);
      const WorkLimit limit(database, kPatience, stop);
      must_not_be_huge(database);
      Statement statement = database.prepare("VACUUM INTO ?1");
      statement.bind(1, fresh.string());
      static_cast<void>(statement.step());
    }
    static_cast<void>(PolicyDatabase(fresh, stop).load());
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
