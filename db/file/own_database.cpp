#include "db/file/own_database.hpp"

#include "db/file/paths.hpp"

#include <gatehouse/base/own_path.hpp>

#include <sys/stat.h>

namespace gatehouse::db {

std::string why_not_own_database(const std::filesystem::path& database, Owner owner) {
  if (const std::string why = why_not_own_way(database); !why.empty()) return why;
  const std::filesystem::path file = resolved(database);
  struct stat about {};
  const bool is_there = ::lstat(file.c_str(), &about) == 0;
  if (is_there && about.st_nlink > 1 && owner == Owner::gateway)
    return file.string() +
           " has a second name (a hard link), which its log would not be found by: put a copy of it in " + "its place";
  if (owner == Owner::gateway || !is_there) {
    if (const std::string why = why_not_own_file(file); !why.empty()) return why;
  }
  const uid_t also = is_there && owner == Owner::any ? about.st_uid : 0;
  for (const char* const suffix : {"-wal", "-shm", "-journal"})
    if (const std::string why = why_not_own_file(file.string() + suffix, also); !why.empty()) return why;
  return {};
}

std::string why_not_own_store(const std::filesystem::path& state_db) {
  const std::filesystem::path state = resolved(state_db), secrets = secrets_beside(state);
  for (const std::filesystem::path& database : {state_db, secrets_link_beside(state)})
    if (const std::string why = why_not_own_database(database, Owner::gateway); !why.empty()) return why;
  for (const std::filesystem::path& file : {beside(state, ".lock"), beside(secrets, ".lock"), beside(state, ".epoch")})
    if (const std::string why = why_not_own_file(file); !why.empty()) return why;
  return {};
}

}  // namespace gatehouse::db
