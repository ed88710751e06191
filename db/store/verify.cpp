#include "db/file/file_kind.hpp"
#include "db/file/open_to_read.hpp"
#include "db/file/paths.hpp"
#include "db/store/files/epoch_file.hpp"
#include "db/store/rows/state_rows.hpp"
#include "db/store/state_reader.hpp"

#include <utility>

namespace gatehouse::db {
namespace {

constexpr std::chrono::milliseconds kTimeout{5000};
constexpr std::int64_t kMostFindings = 20;  // of a kind

using Findings = std::vector<std::string>;

/// One sentence a row: `before` + its first column + `after`.
void name_rows(Database& database, Findings& findings, std::string_view sql, const std::string& before,
               const std::string& after) {
  Statement row = database.prepare(std::string(sql) + " LIMIT " + std::to_string(kMostFindings));
  while (row.step()) findings.push_back(before + row.text(0) + after);
}

void check_rows(Database& state, Findings& findings) {
  name_rows(state, findings,
            "SELECT plugin || ' ' || CAST(resource AS TEXT) FROM leases WHERE NOT EXISTS "
            "(SELECT 1 FROM sessions WHERE id = session_id AND ended_at IS NULL)",
            "lease ", " is held by a session that has ended or is not there");
  name_rows(state, findings,
            "SELECT group_concat(id, ' and ') FROM sessions WHERE ended_at IS NULL AND key <> '' "
            "GROUP BY plugin, identity, key HAVING count(*) > 1",
            "sessions ", " are live and have the same key");
  name_rows(state, findings,
            "SELECT id FROM sessions WHERE id > (SELECT last_session_id FROM epoch) AND ended_at IS NULL", "session ",
            " has a number beyond the last one that was given");
  if (const std::int64_t slots = state.number("SELECT count(*) FROM slots"); slots != kSlots)
    findings.push_back("slots has " + std::to_string(slots) + " rows in place of " + std::to_string(kSlots));
  if (state.number("SELECT count(*) FROM epoch") != 1) findings.emplace_back("epoch has no row");
}

/// `mark` was read before the database, whose number may have gone on in the meantime.
void check_epoch(Database& state, const EpochFile::Reading& reading, Findings& findings) {
  if (reading.found == EpochFile::Found::broken) findings.emplace_back("state.epoch beside it is broken");
  if (reading.found != EpochFile::Found::sound) return;
  const Epoch epoch = read_epoch(state);
  if (epoch.store_id != reading.mark.store_id) {
    findings.emplace_back("state.epoch beside it belongs to another database");
  } else if (epoch.n < reading.mark.n) {
    findings.push_back(
        std::to_string(reading.mark.n - epoch.n) +
        " commits are missing that state.epoch knows of: its log was cut or removed, or it is an older copy");
  }
}

/// What this program would open it as, or nullptr.
const FileKind* kind_of(std::int64_t application_id) {
  for (const FileKind* const kind : {&policy_kind(), &state_kind(), &secrets_kind()}) {
    if (kind->application_id == application_id) return kind;
  }
  return nullptr;
}

void verify_open(Database& database, const EpochFile::Reading& reading, Findings& findings) {
  const FileKind* const kind = kind_of(database.number("PRAGMA application_id"));
  if (!kind) {
    findings.emplace_back("it is no database of Gatehouse");
    return;
  }
  if (std::string why = why_not_plain(database, *kind); !why.empty()) {
    findings.push_back(std::move(why));  // and nobody can tell how long it takes to read the rest
    return;
  }
  Statement row = database.prepare("PRAGMA integrity_check(" + std::to_string(kMostFindings) + ")");
  while (row.step()) {
    if (row.text(0) != "ok") findings.push_back(row.text(0));
  }
  if (kind == &policy_kind()) return;
  const std::int64_t version = schema_version(database, *kind);
  if (kind != &state_kind() || version != kind->newest()) return;
  check_rows(database, findings);
  check_epoch(database, reading, findings);
}

}  // namespace

std::vector<std::string> verify(const std::filesystem::path& database) {
  Findings findings;
  try {
    const EpochFile::Reading reading = EpochFile::read(beside(resolved(database), ".epoch"));
    Database open = open_to_read(database, kTimeout);
    Transaction snapshot(open, Transaction::Kind::read);
    verify_open(open, reading, findings);
  } catch (const std::exception& error) {
    findings.emplace_back(error.what());
  }
  return findings;
}

}  // namespace gatehouse::db
