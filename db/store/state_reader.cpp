#include "db/store/state_reader.hpp"

#include "db/file/disk.hpp"
#include "db/file/file_kind.hpp"
#include "db/file/open_to_read.hpp"
#include "db/store/failure.hpp"
#include "db/store/rows/state_rows.hpp"

#include <algorithm>
#include <limits>

namespace gatehouse::db {
namespace {

constexpr std::chrono::milliseconds kTimeout{1000};

template <class Record, class Read>
std::vector<Record> all(Statement& row, Read read) {
  std::vector<Record> out;
  while (row.step()) out.push_back(read(row));
  return out;
}

}  // namespace

struct StateReader::State {
  Database database;

  /// @param condition  of which rows; those of `plugin`, "" = all
  std::vector<SessionRecord> sessions(const std::string& condition, std::size_t most, std::string_view plugin) {
    constexpr std::string_view kWithoutBlob =
        "SELECT id, plugin, key, identity, group_name, source, created_at, last_seen_at, ended_at, bytes_up, "
        "bytes_down, packets_up, packets_down, blob_version, NULL FROM sessions ";
    Statement row = database.prepare(std::string(kWithoutBlob) + "WHERE (?2 = '' OR plugin = ?2)" + condition +
                                     " ORDER BY id DESC LIMIT ?1");
    row.bind(2, plugin);
    row.bind(1, static_cast<std::int64_t>(std::min<std::size_t>(most, std::numeric_limits<std::int64_t>::max())));
    return all<SessionRecord>(row, session_of);
  }
};

StateReader::StateReader(const std::filesystem::path& state_db)
    : state_(std::make_unique<State>(State{open_to_read(state_db, kTimeout)})) {
  const std::int64_t version = schema_version(state_->database, state_kind());
  if (version != state_kind().newest())
    throw std::runtime_error(state_db.string() + " has schema version " + std::to_string(version) + ", not " +
                             std::to_string(state_kind().newest()) +
                             ": start the gateway of this version once, which updates it");
  if (const std::string why = why_not_plain(state_->database, state_kind()); !why.empty())
    throw std::runtime_error(state_db.string() + ": " + why + ": the gateway sets such a file aside when it starts");
}

StateReader::~StateReader() = default;
StateReader::StateReader(StateReader&&) noexcept = default;
StateReader& StateReader::operator=(StateReader&&) noexcept = default;

std::vector<SessionRecord> StateReader::sessions(bool ended_too, std::size_t most, std::string_view plugin) {
  return state_->sessions(ended_too ? "" : " AND ended_at IS NULL", most, plugin);
}

std::vector<SessionRecord> StateReader::ended_sessions(std::size_t most, std::string_view plugin) {
  return state_->sessions(" AND ended_at IS NOT NULL", most, plugin);
}

std::size_t StateReader::count_sessions(bool ended, std::string_view plugin) {
  Statement row = state_->database.prepare(
      std::string("SELECT count(*) FROM sessions WHERE (?1 = '' OR plugin = ?1) AND ended_at IS ") +
      (ended ? "NOT NULL" : "NULL"));
  row.bind(1, plugin);
  return row.step() ? static_cast<std::size_t>(row.integer(0)) : 0;
}

std::vector<LeaseRecord> StateReader::leases() {
  Statement row = state_->database.prepare("SELECT " + std::string(kLeaseColumns) + " FROM leases");
  return all<LeaseRecord>(row, lease_of);
}

std::vector<UsageRecord> StateReader::usage(std::int64_t first, std::int64_t last) {
  Statement row = state_->database.prepare(
      "SELECT " + std::string(kUsageColumns) +
      " FROM usage WHERE day BETWEEN ?1 AND ?2 ORDER BY day DESC, plugin, identity, group_name");
  row.bind(1, first);
  row.bind(2, last);
  return all<UsageRecord>(row, usage_of);
}

void back_up(const std::filesystem::path& from, const std::filesystem::path& to, const CopyProgress& progress) {
  try {
    copy_database(from, to, Existing::refuse, progress);
  } catch (const FileError& error) {
    throw store_error(error);
  }
}

}  // namespace gatehouse::db
