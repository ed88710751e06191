#include "db/file/own_database.hpp"

#include "db/file/paths.hpp"

#include <string_view>

namespace gatehouse::db {

std::string why_not_own_database(const std::filesystem::path& database, Names names) {
  constexpr std::string_view kRemedy =
      "put a copy that is the gateway's own in its place, or move the database away with all that is beside it";
  if (const std::string why = why_not_own_way(database); !why.empty()) return why;
  const std::filesystem::path file = resolved(database);
  if (const std::string why = why_not_own_file(file, kRemedy, names); !why.empty()) return why;
  for (const char* const suffix : {"-wal", "-shm", "-journal"})
    if (const std::string why = why_not_own_file(file.string() + suffix, kRemedy); !why.empty()) return why;
  return {};
}

}  // namespace gatehouse::db
