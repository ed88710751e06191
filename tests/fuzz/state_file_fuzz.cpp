// A state.db that anybody has written is used, set aside or refused with a sentence: at a start, and when it is edited
// while the gateway has it open. Whatever is in it, the upkeep comes to an end.
#include "db/file/paths.hpp"
#include "db/store/files/epoch_file.hpp"
#include "db/store/state_reader.hpp"
#include "db/store/store.hpp"

#include "tests/fuzz/edited_database.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <array>
#include <limits>

namespace gatehouse {
namespace {

constexpr std::int64_t kNow = 1'800'000'000;
constexpr std::uint64_t kStoreId = 1;
constexpr unsigned kMostEdits = 8;  // before the file is opened, and again while it is
constexpr std::array kRows = {
    "UPDATE epoch SET n = 3, store_id = 1, last_session_id = 300",
    "DELETE FROM slots WHERE slot > 9",  // 4096 rows that nothing reads
    "INSERT INTO sessions (id, plugin, key, identity, source, slot, created_at, last_seen_at, blob)"
    " VALUES (1, 'udpgw', 'k', 'token:bob', '192.0.2.1:9', 1, 1799999000, 1799999999, x'00')",
    "INSERT INTO sessions (id, plugin, key, source, slot, created_at, last_seen_at)"
    " VALUES (2, 'udpgw', '', '[2001:db8::1]:9', 1, 1799999000, 1799999999)",
    "INSERT INTO sessions (id, plugin, key, source, slot, created_at, last_seen_at, ended_at) WITH RECURSIVE n (i) AS"
    " (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 180)"
    " SELECT i, 'udpgw', 'k', '192.0.2.1:9', 1, 1790000000, 1790000000 + i, 1780000000 + i * 120000 FROM n",
    "UPDATE sessions SET expires_at = 1800000009 WHERE id = 1",
    "UPDATE sessions SET share = '192.0.2.1/32' WHERE id >= 100",
    "INSERT INTO leases VALUES ('udpgw', '10.9.0.1', 1, 1799999000, 1800009000), ('udpgw', '7', 1, 1, 0)",
    "INSERT INTO usage VALUES (20833, 'udpgw', 'token:bob', 'kids', 1, 2, 3, 4), (1, 'udpgw', '', '', 1, 2, 3, 4)",
    "INSERT INTO plugin_values VALUES ('udpgw', 'counter', x'01', 2)",
};

db::StoreBatch batch(std::uint64_t id) {
  db::SessionRecord live;
  live.id = id;
  live.plugin = "udpgw";
  live.key = "other";
  live.identity = "token:eve";
  live.last_seen_at = kNow;
  live.resource = "10.9.0.2";
  db::SessionRecord ended = live;
  ended.id = 1;
  ended.ended_at = kNow;
  return {{live, ended},
          {{{"udpgw", "10.9.0.2"}, id, kNow, kNow + 60}},
          {{"udpgw", "7"}},
          {{{20833, "udpgw", "token:bob", "kids"}, {5, 6, 7, 8}}},
          {{{"udpgw", "key"}, true, db::ByteString{1}},
           {{"udpgw", "counter"}, false, db::ByteString{2}},
           {{"udpgw", "none"}, false, {}}}};
}

/// As the writer's thread does it, which calls again at once when it is told to.
void keep_up(db::Store& store) {
  constexpr int kMostCalls = 100;  // each does 200 rows or 64 pages
  for (int i = 0; store.upkeep(kNow).count() == 0; ++i) require(i < kMostCalls);
}

void write(db::Store& store, const db::StoreBatch& rows) {
  while (store.write(rows) == db::Store::Written::start_over) {
  }
  for (const db::RefusedRow& refused : store.take_refused()) require(!name_of(refused).empty());
}

/// What the command line and the control API read.
void read(const std::filesystem::path& path) {
  constexpr std::size_t kMost = 100;
  constexpr auto kLast = std::numeric_limits<std::int64_t>::max();
  db::StateReader reader(path);
  attempt([&] { require(reader.sessions(true, kMost).size() <= kMost); });
  attempt([&] { static_cast<void>(reader.count_sessions(true)); });
  attempt([&] { static_cast<void>(reader.leases()); });
  attempt([&] { static_cast<void>(reader.usage(0, kLast)); });
}

void check_file(const std::filesystem::path& path, Script& script) {
  attempt([&] {
    const auto store = db::open_sqlite_store(path, {.days = 30, .most_bytes = 32U << 10U});
    std::uint64_t last = 0;
    attempt([&] { last = store->load(kNow).last_session_id; });
    attempt([&] { write(*store, batch(last + 1)); });
    attempt([&] { keep_up(*store); });
    edit(path, script, kMostEdits);
    attempt([&] { write(*store, batch(last + 2)); });
    attempt([&] { keep_up(*store); });
    attempt([&] { store->close(); });
  });
  attempt([&] { read(path); });
  for (const std::string& finding : db::verify(path)) require(!finding.empty());
}

void check_input(Bytes input) {
  static const MemoryFolder folder;
  static const BaseFiles files(db::state_kind(), kRows, folder.path());
  const std::filesystem::path path = folder.path() / "state.db";
  Script script(input);
  files.write(path, script);
  const std::uint64_t acknowledged = script.byte();
  if (acknowledged > 0)
    require(db::EpochFile(db::beside(path, ".epoch")).save({kStoreId, acknowledged, acknowledged, 60}));
  const unsigned before = script.byte() % kMostEdits;
  edit(path, script, before);
  check_file(path, script);
  folder.empty();
}

}  // namespace
}  // namespace gatehouse

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  gatehouse::check_input(gatehouse::fuzz_input(data, size));
  return 0;
}
